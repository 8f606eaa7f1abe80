"""What operators see of status and peers: lag each way, receipts, last errors, alarms."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli import standings
from federation.cli.answers import Answer, tell
from federation.cli.exits import ExitCode
from federation.errors import MemberUnknown
from federation.web.schemas import (
    AlarmAnswer,
    CatchingUpAnswer,
    LogAnswer,
    PeerAnswer,
    PeerListenerAnswer,
    PeerLogAnswer,
    PeersAnswer,
    QuotaAnswer,
    RefusedAnswer,
    StatusAnswer,
)

CONFIG = Path("node.toml")
FAR = 32_503_680_000_000
LONG_NAME = ".".join(["very-long-label-of-a-member-name"] * 3) + ".x"
STEERING = "\x1b[2Jgone\x07"


def make_status(
    *,
    expires_at_ms: int = FAR,
    governors: int = 3,
    threshold: int = 2,
    alarms: tuple[AlarmAnswer, ...] = (),
) -> StatusAnswer:
    return StatusAnswer(
        member="acme.example",
        federation="ab" * 16,
        version="0.1.0",
        roster_version=4,
        roster_expires_at_ms=expires_at_ms,
        governors=governors,
        threshold=threshold,
        signals=123_456,
        logs=[
            LogAnswer(
                log=f"{LONG_NAME}/{'ab' * 16}/live",
                member=LONG_NAME,
                lane="live",
                held=1_000_000,
                known=1_000_017,
            )
        ],
        alarms=list(alarms),
    )


def make_peer(
    member: str = "nova.example",
    *,
    last_error: str | None = None,
    failures: int = 0,
    faults: int = 0,
    unserved: int = 0,
    waits: int = 0,
    unjudged: int = 0,
    repeats: int = 0,
) -> PeerAnswer:
    return PeerAnswer(
        member=member,
        urls=["https://127.0.0.1:7002"],
        link="waiting" if failures else "up",
        last_contact_seconds=200.0,
        failures=failures,
        faults=faults,
        unserved=unserved,
        waits=waits,
        unjudged=unjudged,
        repeats=repeats,
        last_error=last_error,
        logs=[
            PeerLogAnswer(
                log=f"{member}/{'ab' * 16}/live",
                member=member,
                lane="live",
                here=40,
                there=29,
                behind_here=0,
                behind_there=11,
                receipt_size=29,
            )
        ],
    )


def answered_status(
    monkeypatch: pytest.MonkeyPatch, told: StatusAnswer, *, is_ready: bool = True
) -> Answer:
    async def ask(_config: Path) -> tuple[StatusAnswer, bool]:
        return told, is_ready

    monkeypatch.setattr(standings, "_ask_status", ask)
    return standings.status(CONFIG)


def answered_peers(
    monkeypatch: pytest.MonkeyPatch,
    peers: list[PeerAnswer],
    members: tuple[str, ...] = (),
    listener: PeerListenerAnswer | None = None,
) -> Answer:
    async def ask(_config: Path) -> PeersAnswer:
        return PeersAnswer(peers=peers, listener=listener or PeerListenerAnswer())

    monkeypatch.setattr(standings, "_ask_peers", ask)
    return standings.peers(CONFIG, members)


def drawn(answer: Answer, capsys: pytest.CaptureFixture[str]) -> str:
    tell(answer, as_json=False)
    return capsys.readouterr().out


def test_a_node_without_alarms_is_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answered_status(monkeypatch, make_status())
    text = drawn(answer, capsys)
    assert (ExitCode.YES, []) == (answer.exit_code, (answer.fields or {})["warnings"])
    assert "ALARM" not in text
    assert "2 of 3 governors decide" in text
    assert "1,000,017" in text


def test_an_alarm_comes_first_and_is_a_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = AlarmAnswer(code="fork", text="nova.example signed two histories")
    answer = answered_status(monkeypatch, make_status(alarms=(alarm,)))
    assert ExitCode.NO == answer.exit_code
    first = drawn(answer, capsys).splitlines()[0]
    assert "ALARM  fork: nova.example signed two histories" == first.strip()


def test_a_node_that_starts_is_not_a_yes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answered_status(monkeypatch, make_status(), is_ready=False)
    assert ExitCode.NO == answer.exit_code
    assert "starting" in drawn(answer, capsys)


def test_an_expired_roster_is_told_and_a_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answered_status(monkeypatch, make_status(expires_at_ms=1))
    assert ExitCode.NO == answer.exit_code
    assert "the roster has expired" in drawn(answer, capsys)


def test_one_governor_alone_is_said_aloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answered_status(monkeypatch, make_status(governors=1, threshold=1))
    assert ExitCode.YES == answer.exit_code
    assert "one governor alone decides" in drawn(answer, capsys)


def test_lag_receipt_contact_and_error_are_shown_for_a_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = make_peer(last_error="cannot connect", failures=3)
    text = drawn(answered_peers(monkeypatch, [peer]), capsys)
    assert "nova.example  waiting  heard 3 min ago  https://127.0.0.1:7002" in text
    assert "last error: cannot connect (3 in a row)" in text
    row = next(line for line in text.splitlines() if "nova.example live" in line)
    assert ["nova.example", "live", "40", "29", "-", "11", "up", "to", "29"] == row.split()


def test_a_peer_that_sends_nonsense_is_shown_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(answered_peers(monkeypatch, [make_peer(faults=2)]), capsys)
    assert "FAULTS: sent 2 malformed or unproven things" in text


def test_what_is_offered_and_not_served_is_told_apart_from_what_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = make_status()
    catching_up = CatchingUpAnswer(lacking=0, unserved=17, per_second=3.0, seconds_left=None)
    told = told.model_copy(update={"catching_up": catching_up})
    text = drawn(answered_status(monkeypatch, told), capsys)
    assert "17 statements that peers offer" in text
    assert "17 never served" in text
    assert "to come" not in text
    log = told.logs[0].model_copy(update={"last_served_seconds": 300.0})
    text = drawn(answered_status(monkeypatch, told.model_copy(update={"logs": [log]})), capsys)
    assert "17 not served for 5 min" in text
    log = log.model_copy(update={"is_served": True})
    text = drawn(answered_status(monkeypatch, told.model_copy(update={"logs": [log]})), capsys)
    assert "not served for" not in text


def test_a_peer_that_promises_and_repeats_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = make_peer(unserved=7, repeats=12_345, unjudged=2_310)
    text = drawn(answered_peers(monkeypatch, [peer]), capsys)
    assert "left unread: 2,310 heads" in text
    assert "did not serve 7 ranges that it offered" in text
    assert "told 12,345 times what was known already" in text


def test_a_peer_that_asked_to_wait_is_not_said_to_have_broken_a_promise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(answered_peers(monkeypatch, [make_peer(waits=1_234)]), capsys)
    assert "asked us to wait 1,234 times" in text
    assert "did not serve" not in text


def test_a_long_name_is_folded_and_no_number_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(answered_peers(monkeypatch, [make_peer(LONG_NAME)]), capsys)
    assert "…" not in text
    assert "up to 29" in text


def test_a_peers_words_do_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = make_peer(last_error=STEERING)
    alarm = AlarmAnswer(code="fork", text=STEERING)
    for answer in (
        answered_peers(monkeypatch, [peer]),
        answered_status(monkeypatch, make_status(alarms=(alarm,))),
    ):
        text = drawn(answer, capsys)
        assert "gone" in text
        assert "\x1b" not in text
        assert "\x07" not in text


def test_who_was_turned_away_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = PeerListenerAnswer(
        handshakes_refused=12,
        members=[
            RefusedAnswer(
                member="umbra.example", standing="suspended", refused={"peer-not-a-member": 1_204}
            ),
            RefusedAnswer(
                member="nova.example", standing="member", refused={"x": 2}, abandoned=3_017
            ),
        ],
    )
    text = drawn(answered_peers(monkeypatch, [make_peer()], listener=listener), capsys)
    for words in ("umbra.example", "suspended", "peer-not-a-member x1,204", "12 refused in the"):
        assert words in text
    assert "did not take 3,017 answers" in " ".join(text.split())


def test_a_peer_that_says_it_holds_what_it_gave_no_receipt_for_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = make_peer()
    (log,) = peer.logs
    words = "says it holds 29 of nova.example live, receipt up to"
    assert words not in drawn(answered_peers(monkeypatch, [peer]), capsys)
    bare = log.model_copy(update={"receipt_size": 0, "unsigned": 29})
    text = drawn(answered_peers(monkeypatch, [peer.model_copy(update={"logs": [bare]})]), capsys)
    assert f"{words} 0" in text


def test_only_the_peers_named_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [make_peer("nova.example"), make_peer("umbra.example")]
    answer = answered_peers(monkeypatch, peers, ("umbra.example",))
    nobody_refused = PeerListenerAnswer().model_dump()
    assert {"peers": [peers[1].model_dump()], "listener": nobody_refused} == answer.fields
    with pytest.raises(MemberUnknown):
        answered_peers(monkeypatch, peers, ("nobody.example",))


def test_peers_show_how_much_of_its_quotas_each_one_uses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quotas = QuotaAnswer(
        statements_day=1_234,
        statements_day_usual=2_000_000,
        crisis_hour=7,
        crisis_hour_usual=3_600,
        marked={},
    )
    peer = make_peer().model_copy(update={"quotas": quotas})
    shown = drawn(answered_peers(monkeypatch, [peer]), capsys)
    assert "said 1,234 of 2,000,000 statements a day, 7 of 3,600 crisis statements an hour" in shown
