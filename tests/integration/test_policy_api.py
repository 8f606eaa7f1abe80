"""The platform decides: its policy, what it found itself, and what is held back until it does."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from federation.daemon import quarantine
from federation.daemon.changes import QuarantineEnded, SignalQuarantined
from federation.daemon.node import Node
from federation.local_errors.config import PolicyInvalid
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal
from federation.store.decision_store import HoldReason
from federation.web.app import LocalServer
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import flipped
from tests.integration.test_local_api import Api, query
from tests.integration.test_publish_crash import until_held
from tests.integration.test_teller import Ear

A, B = "a.example", "b.example"
SIGNAL = make_signal(1)
POLICY = """\
version = 1
otherwise = "review"

[findings]
publish_endorse = true
publish_dispute = true

[flood]
matches = 5
window_minutes = 60
unless_members_min = 2

[[rules]]
name = "anybody"
action = "block"
human = false
"""


class House:
    """A running node, its API, and what it told."""

    def __init__(self, node: Node, api: Api, ear: Ear, folder: Path) -> None:
        self.node, self.api, self.ear, self.folder = node, api, ear, folder

    async def ask(self, path: str, body: Any = None) -> dict[str, Any]:
        """A call that must succeed."""
        method = "GET" if body is None else "POST"
        status, answer = await self.api.ask(method, path, body)
        assert 200 == status, answer
        return answer

    async def match(self, signal: Signal = SIGNAL) -> dict[str, Any]:
        """What to do about a signal."""
        (result,) = (await self.ask("/v1/match", query(signal.value.hex())))["results"]
        answer: dict[str, Any] = result
        return answer

    async def until_quarantined(self, count: int = 1) -> None:
        """Wait until so many signals wait for a person."""

        async def is_held() -> bool:
            return count == self.node.platform.quarantine.count_held()

        await until(is_held)

    def write_policy(self, text: str) -> None:
        (self.folder / "policy.toml").write_text(text)


def known(signal: Signal = SIGNAL) -> dict[str, str]:
    return {"type": signal.type.value, "value": signal.value.hex()}


def configure(founded: Founded, member: str, benign: str = "") -> Path:
    """Give a member a policy and a benign set."""
    folder = founded.config_path(member).parent
    (folder / "policy.toml").write_text(POLICY)
    config = founded.config_path(member)
    text = config.read_text().replace('\nfile = ""', '\nfile = "policy.toml"')
    if benign:
        (folder / "benign.txt").write_text(benign)
        text = text.replace('benign_file = ""', 'benign_file = "benign.txt"')
    config.write_text(text)
    return folder


async def open_house(founded: Founded, member: str, stack: AsyncExitStack) -> House:
    node, ear = await Node.open(founded.config(member)), Ear()
    stack.push_async_callback(node.close)
    node.platform.teller.listen(ear)
    await node.start()
    server = LocalServer(node)
    await server.start()
    stack.push_async_callback(server.close)
    server.api.is_ready = True
    token = node.config.path(node.config.api.token_file).read_text().strip()
    session = await stack.enter_async_context(
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
    )
    api = Api(session, f"http://{node.config.api.listen}", server)
    return House(node, api, ear, founded.config_path(member).parent)


@pytest.fixture
async def house(found: Found) -> AsyncIterator[House]:
    founded = found([A])
    configure(founded, A)
    async with AsyncExitStack() as stack:
        yield await open_house(founded, A, stack)


async def publish(house: House, *signals: Signal, number: int = 1) -> str:
    (said,) = await house.node.publisher.confirm(
        Lane.LIVE, [make_confirm(number, signals=signals or (SIGNAL,))]
    )
    return str(said.id)


async def test_every_answer_says_which_rule_decided_and_a_miss_says_why_none_was_asked(
    house: House,
) -> None:
    miss = await house.match()
    assert ("allow", "nothing-known", []) == (miss["action"], miss["rule"], miss["matches"])
    statement = await publish(house)
    hit = await house.match(flipped(SIGNAL, 7))
    assert ("block", "anybody") == (hit["action"], hit["rule"])
    (match,) = hit["matches"]
    assert ("positive", 7) == (match["verdict"], match["distance"])
    assert (statement, "in-force") == (
        match["statements"][0]["id"], match["statements"][0]["word"]
    )  # fmt: skip


async def test_a_refused_policy_leaves_the_old_one_in_force_and_names_the_line(
    house: House,
) -> None:
    await publish(house)
    before = await house.ask("/v1/policy")
    house.write_policy(POLICY + '[[rules]]\nname = "b"\naction = "label"\nlabels = ["tvec9"]\n')
    status, answer = await house.api.ask("POST", "/v1/policy/reload", {})
    assert (422, "policy-invalid") == (status, answer["code"])
    assert "line 20: " in answer["detail"]
    assert "tvec9" in answer["detail"]
    assert before == await house.ask("/v1/policy")
    assert "block" == (await house.match())["action"]
    house.write_policy(POLICY.replace('"block"', '"label"'))
    after = await house.ask("/v1/policy/reload", {})
    assert before["sha256"] != after["sha256"]
    assert "label" == (await house.match())["action"]


async def test_a_node_does_not_start_with_a_policy_that_means_nothing(found: Found) -> None:
    founded = found([A])
    folder = configure(founded, A)
    (folder / "policy.toml").write_text("version = 1\nsurprise = 1")
    async with AsyncExitStack() as stack:
        with pytest.raises(PolicyInvalid, match="line 2"):
            await open_house(founded, A, stack)


async def test_what_a_policy_would_change_is_told_before_it_is_taken_on(house: House) -> None:
    for number in range(4):
        await publish(house, make_signal(number), number=number)
    await publish(house, make_signal(0), number=9)  # said again: still one signal
    for bits in (0, 9):
        await house.match(flipped(SIGNAL, bits))
    text = POLICY.replace("human = false", "types = ['pdq']\ndistance_max = 8")
    told = await house.ask("/v1/policy/test", {"text": text})
    assert (4, [{"before": "block", "after": "block", "count": 4}]) == (
        told["stored"]["asked"], told["stored"]["moves"]
    )  # fmt: skip
    assert [
        {"before": "block", "after": "block", "count": 1},
        {"before": "block", "after": "review", "count": 1},
    ] == told["recent"]["moves"]
    (example,) = told["recent"]["examples"]
    assert ("anybody", "otherwise") == (example["rule_before"], example["rule_after"])
    assert told["end"] is None
    assert "block" == (await house.match())["action"]


async def test_a_flooding_signal_goes_to_review_until_a_person_releases_it_and_then_stays(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # Its own member's word is not held back: let another's be in question.
    house.node.platform.quarantine._config = house.node.config.model_copy(update={"member": B})
    statement = await publish(house)
    for _ in range(5):
        assert "block" == (await house.match())["action"]
    await house.until_quarantined()
    assert ("review", "quarantine") == ((held := await house.match())["action"], held["rule"])
    assert [("anybody", "a known signal near it is in quarantine until a person decides")] == [
        (each["rule"], each["why"]) for each in held["passed_over"]
    ]
    listed = await house.ask("/v1/quarantine")
    assert ("flood", [statement], SIGNAL.value.hex()) == (
        listed["signals"][0]["reason"],
        listed["signals"][0]["statements"],
        listed["signals"][0]["value"],
    )
    alarms = (await house.ask("/v1/status"))["alarms"]
    assert {"signal-quarantined", "quarantine"} <= {alarm["code"] for alarm in alarms}
    await house.ask("/v1/quarantine", {"decision": "release", "statements": [statement]})
    for _ in range(12):
        assert "block" == (await house.match())["action"]
    assert [] == (await house.ask("/v1/quarantine"))["signals"]
    await house.node.platform.teller.until_idle()
    kinds = [type(change) for change in house.ear.changes]
    assert 1 == kinds.count(SignalQuarantined)
    assert 1 == kinds.count(QuarantineEnded)
    assert SIGNAL.value.hex() not in caplog.text + json.dumps(alarms)


async def test_what_several_members_or_this_one_stand_for_floods_and_goes_on_acting(
    house: House,
) -> None:
    """An attack's own video is uploaded a thousand times a minute."""
    await publish(house)
    for _ in range(8):
        assert "block" == (await house.match())["action"]

    async def is_alarmed() -> bool:
        alarms = (await house.ask("/v1/status"))["alarms"]
        return "signal-floods" in {alarm["code"] for alarm in alarms}

    await until(is_alarmed)
    assert "block" == (await house.match())["action"]


async def test_an_excepted_signal_never_acts_again_not_after_a_restart_either(
    found: Found,
) -> None:
    founded = found([A])
    configure(founded, A)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await publish(house)
        await house.ask("/v1/quarantine", {"decision": "except", "signals": [known()]})
        assert ("allow", "excepted") == ((told := await house.match())["action"], told["rule"])
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert "excepted" == (await house.match())["rule"]
        shown = await house.ask("/v1/quarantine?all=true")
        assert ["excepted"] == [each["state"] for each in shown["signals"]]


async def test_a_signal_that_comes_too_near_to_harmless_content_is_held_before_it_acts(
    found: Found,
) -> None:
    founded = found([A])
    near, far = flipped(SIGNAL, 31), make_signal(2)
    configure(founded, A, f"# our logo\npdq:{SIGNAL.value.hex()}\n\nmd5:{'ab' * 16}\n")
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await publish(house, near, number=1)
        await publish(house, far, number=2)
        assert "quarantine" == (await house.match(near))["rule"]
        assert "anybody" == (await house.match(far))["rule"]
        (held,) = (await house.ask("/v1/quarantine"))["signals"]
        assert "benign" == held["reason"]
        # A set that grows is held against what is known already.
        (house.folder / "benign.txt").write_text(f"pdq:{far.value.hex()}\n")
        await house.ask("/v1/policy/reload", {})
        assert "quarantine" == (await house.match(far))["rule"]
        await house.ask("/v1/quarantine", {"decision": "release", "signals": [known(near)]})
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert "anybody" == (await house.match(near))["rule"]
        assert "quarantine" == (await house.match(far))["rule"]


async def test_findings_are_kept_counted_and_published_where_the_policy_says_so(
    found: Found,
) -> None:
    founded = found([A, B])
    configure(founded, B)
    async with AsyncExitStack() as stack:
        a = await open_house(founded, A, stack)
        b = await open_house(founded, B, stack)
        statement = await publish(a)
        (said,) = [
            log
            for log in a.node.replicator.engine.logs
            if log.member == A and log.lane is Lane.LIVE
        ]
        await until_held(b.node, said, 1)
        body = {"finding": "rejected", "signals": [known()], "reason": "collision"}
        (told,) = (await b.ask("/v1/findings", body))["found"]
        assert ([statement], 1) == (told["statements"], len(told["published"]))
        assert ("review", "rejected") == ((now := await b.match())["action"], now["rule"])

        async def state_at_a() -> str:
            asked = {"signals": [known()]}
            (verdict,) = (await a.ask("/v1/verdicts", asked))["verdicts"]
            state: str = verdict["state"]
            return state

        async def is_disputed() -> bool:
            return "disputed" == await state_at_a()

        await until(is_disputed)
        assert "review" == (await a.match())["action"]
        # On second thoughts: the dispute is taken back, and an endorse said.
        body = {"finding": "confirmed", "statements": [statement]}
        await b.ask("/v1/findings", body)
        assert "block" == (await b.match())["action"]

        async def is_endorsed() -> bool:
            asked = {"signals": [known()]}
            (verdict,) = (await a.ask("/v1/verdicts", asked))["verdicts"]
            told = (verdict["statements"][0]["endorsed_by"], verdict["state"])
            return told == ([B], "positive")

        await until(is_endorsed)


async def test_an_erased_signal_leaves_no_trace_in_what_was_decided_about_it(
    house: House,
) -> None:
    statement = await publish(house)
    await house.ask("/v1/quarantine", {"decision": "except", "statements": [statement]})
    await house.ask("/v1/findings", {"finding": "confirmed", "statements": [statement]})
    erase = {"erase": [{"statement": statement, "reason": "data-protection"}]}
    await house.ask("/v1/statements", erase)
    assert [] == await house.node.stores.decisions.holds()
    assert [] == await house.node.stores.decisions.findings()


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/findings", {"finding": "confirmed", "signals": [known()]}, "statement-not-found"),
        ("/v1/findings", {"finding": "maybe", "signals": [known()]}, "request-malformed"),
        ("/v1/findings", {"finding": "confirmed"}, "request-malformed"),
        ("/v1/quarantine", {"decision": "release", "signals": [known()]}, "statement-not-found"),
        ("/v1/quarantine", {"decision": "release", "signals": [{"type": "pdq", "value": "00"}]},
         "signal-malformed"),
        ("/v1/policy/check", {"text": "version = 1\nx = 1"}, "policy-invalid"),
        ("/v1/policy/test", {"text": "version = 2"}, "policy-invalid"),
        ("/v1/verdicts", {"signals": []}, "request-malformed"),
    ],
)  # fmt: skip
async def test_what_means_nothing_is_refused_and_changes_nothing(
    house: House, path: str, body: Any, code: str
) -> None:
    status, answer = await house.api.ask("POST", path, body)
    assert code == answer["code"]
    assert 400 <= status < 500
    assert SIGNAL.value.hex() not in json.dumps(answer)
    assert [] == (await house.ask("/v1/quarantine?all=true"))["signals"]


async def test_a_broken_benign_file_leaves_the_policy_in_force_too(found: Found) -> None:
    founded = found([A])
    configure(founded, A, "# fine\n")
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        before = await house.ask("/v1/policy")
        house.write_policy("version = 1\n")
        (house.folder / "benign.txt").write_text("pdq:zz\n")
        status, _ = await house.api.ask("POST", "/v1/policy/reload", {})
        assert 400 <= status < 600
        assert before == await house.ask("/v1/policy")
        (house.folder / "benign.txt").write_text("# fine again\n")
        assert before["sha256"] != (await house.ask("/v1/policy/reload", {}))["sha256"]


async def test_a_broken_benign_file_is_refused_with_its_line(found: Found) -> None:
    founded = found([A])
    configure(founded, A, "# fine\npdq:zz\n")
    async with AsyncExitStack() as stack:
        with pytest.raises(Exception, match=r"benign.txt line 2"):
            await open_house(founded, A, stack)


async def test_a_full_quarantine_stops_neither_a_log_nor_the_next_start(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes beyond it acts, operators are told once; only a person's request is refused."""
    monkeypatch.setattr(quarantine, "HOLDS_MAX", 1)
    founded = found([A])
    signals = [make_signal(number) for number in range(4)]
    configure(founded, A, "".join(f"pdq:{each.value.hex()}\n" for each in signals))
    for _ in range(2):
        async with AsyncExitStack() as stack:
            house = await open_house(founded, A, stack)
            for number, signal in enumerate(signals):
                await publish(house, signal, number=number)
            rules = [(await house.match(signal))["rule"] for signal in signals]
            assert ["quarantine", "anybody", "anybody", "anybody"] == rules
            alarms = [each.code for each in house.node.replicator.alarms]
            assert 1 == alarms.count("quarantine-full")
            held, other = [known(signal) for signal in signals[:2]]
            refused = {"decision": "except", "signals": [other]}
            status, answer = await house.api.ask("POST", "/v1/quarantine", refused)
            assert (429, "too-busy") == (status, answer["code"])
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await house.ask("/v1/quarantine", {"decision": "release", "signals": [held]})
        assert "anybody" == (await house.match(signals[0]))["rule"]


async def test_what_a_person_decided_no_guard_decides_again(house: House) -> None:
    """A flood was counted just before, and its signal is held back only now."""
    await publish(house)
    await house.ask("/v1/quarantine", {"decision": "except", "signals": [known()]})
    mark = (SIGNAL.type, SIGNAL.identity)
    assert [] == await house.node.platform.quarantine.hold([mark], HoldReason.FLOOD, 9)
    assert "excepted" == (await house.match())["rule"]
