"""Governance at the terminal: propose, sign, publish and show, offline, with real keys."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.exits import ExitCode
from federation.cli.operator import main
from federation.cli.proposing import majority, parse_governor, parse_pin
from federation.daemon.initialise import initialise
from federation.errors import FederationError, RequestMalformed
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN
from tests.builders import ACME, FEDERATION_ID, NOVA, UMBRA


@dataclass(frozen=True)
class Told:
    """What a command answered: its exit code and its JSON object."""

    code: int
    fields: dict[str, Any]

    @property
    def error(self) -> str:
        """The code of the error it told."""
        return str(self.fields["error"]["code"])


Operator = Callable[..., Told]


@pytest.fixture
def operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    """Runs commands with --json in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Told:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return Told(code, json.loads(capsys.readouterr().out))

    return run


def make_node(name: str, port: int = 7001) -> str:
    """A node's folder, named by the first part of its name; gives its request's path."""
    folder = Path(name.partition(".")[0])
    initialise(folder, name, f"https://127.0.0.1:{port}")
    return str(folder / "join-request.json")


def make_governors(operator: Operator, count: int) -> list[str]:
    """Keys governor-0.key and so on; gives the public ones."""
    made = [operator("roster", "governor", f"governor-{number}.key") for number in range(count)]
    return [told.fields["public"] for told in made]


def options(name: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (name, value)]


def found(operator: Operator, governors: int = 1) -> None:
    """A federation of acme and nova: governors/1.root.json, signed by as many as must."""
    keys = options("--governor", make_governors(operator, governors))
    operator("roster", "propose", "found", make_node(ACME), make_node(NOVA, 7002), *keys)
    for number in range(majority(governors)):
        operator("roster", "sign", "1.root.proposal.json", "--key", f"governor-{number}.key")
    told = operator("roster", "publish", "1.root.proposal.json", "--to", "governors")
    assert ExitCode.YES == told.code


def test_a_governors_key_is_secret_and_never_overwritten(
    operator: Operator, tmp_path: Path
) -> None:
    (public,) = make_governors(operator, 1)
    assert 32 == len(parse_governor(public))
    path = tmp_path / "governor-0.key"
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    before = path.read_bytes()
    assert public not in before.decode()
    assert "already-initialised" == operator("roster", "governor", str(path)).error
    assert before == path.read_bytes()


def test_one_governor_alone_is_said_aloud(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    found(operator)
    capsys.readouterr()
    assert ExitCode.YES == main(["roster", "show", "--roster", "governors"])
    assert "one governor alone decides: fine for trying out" in capsys.readouterr().out


def test_a_founding_waits_for_its_quorum(operator: Operator, tmp_path: Path) -> None:
    keys = options("--governor", make_governors(operator, 3))
    told = operator("roster", "propose", "found", make_node(ACME), *keys, "--threshold", "2")
    assert (ExitCode.YES, 1) == (told.code, told.fields["version"])
    proposal = "1.root.proposal.json"
    publish = ("roster", "publish", proposal, "--to", "governors")
    assert ExitCode.NO == operator("roster", "show", proposal).code
    operator("roster", "sign", proposal, "--key", "governor-0.key")
    told = operator("roster", "sign", proposal, "--key", "governor-0.key")
    assert [1, 2] == told.fields["signatures"]["governors"]
    assert 2 == len(told.fields["signatures"]["waiting"])
    assert "roster-unproven" == operator(*publish).error
    assert not (tmp_path / "governors").exists()
    told = operator("roster", "sign", proposal, "--key", "governor-2.key")
    assert told.fields["signatures"]["complete"]
    assert ExitCode.YES == operator("roster", "show", proposal).code
    published = operator(*publish)
    chain = RosterChain.trust((tmp_path / "governors" / "1.root.json").read_bytes())
    assert chain.federation_id == published.fields["federation"]
    assert (2, 3) == (chain.newest.threshold, len(chain.newest.governors))


def test_a_founding_gives_nodes_their_root_of_trust(operator: Operator, tmp_path: Path) -> None:
    found(operator)
    configs = ["--config", "acme/node.toml", "--config", "nova/node.toml"]
    told = operator("roster", "publish", "1.root.proposal.json", *configs)
    written = [str(tmp_path / "acme" / "1.root.json"), str(tmp_path / "nova" / "1.root.json")]
    assert written == told.fields["written"]
    again = operator("roster", "publish", "1.root.proposal.json", *configs)
    assert (ExitCode.YES, []) == (again.code, again.fields["written"])


def test_another_root_of_trust_is_never_overwritten(operator: Operator, tmp_path: Path) -> None:
    found(operator)
    other = tmp_path / "acme" / "1.root.json"
    other.write_bytes(b"another federation's")
    told = operator("roster", "publish", "1.root.proposal.json", "--config", "acme/node.toml")
    assert (ExitCode.MISUSE, b"another federation's") == (told.code, other.read_bytes())


def test_a_strangers_key_cannot_sign(operator: Operator) -> None:
    found(operator)
    told = operator("roster", "sign", "1.root.proposal.json", "--key", "acme/keys/witness.key")
    assert (ExitCode.NO, "roster-unproven") == (told.code, told.error)


def test_a_member_is_added_and_then_departs(operator: Operator, tmp_path: Path) -> None:
    found(operator, governors=3)
    request = make_node(UMBRA, 7003)
    chain = ("--roster", "governors")
    operator("roster", "propose", "add", request, *chain, "--role", "observer")
    for number in (1, 2):
        signed = operator(
            "roster", "sign", "2.root.proposal.json", "--key", f"governor-{number}.key", *chain
        )
    assert [[2, 2], [2, 2]] == [
        signed.fields["signatures"][side] for side in ("governors_before", "governors")
    ]
    assert f"+ member {UMBRA} is observer, active" in signed.fields["changes"]
    told = operator("roster", "publish", "2.root.proposal.json", "--to", "governors")
    assert [str(Path("governors/2.root.json"))] == told.fields["written"]
    operator("roster", "propose", "remove", UMBRA, *chain, "--out", "leave.json")
    for number in (0, 2):
        operator("roster", "sign", "leave.json", "--key", f"governor-{number}.key")
    told = operator("roster", "publish", "leave.json", "--to", "governors")
    assert (ExitCode.YES, 3) == (told.code, told.fields["version"])
    shown = operator("roster", "show", *chain).fields
    status = {member["member"]: member["status"] for member in shown["members"]}
    assert (3, True) == (shown["version"], shown["proven"])
    assert {ACME: "active", NOVA: "active", UMBRA: "departed"} == status
    # Publishing an old version again finds it there and changes nothing.
    again = operator("roster", "publish", "2.root.proposal.json", "--to", "governors")
    assert (ExitCode.YES, []) == (again.code, again.fields["written"])
    assert 3 == len(list((tmp_path / "governors").iterdir()))


def test_a_departure_says_where_each_log_ends(operator: Operator) -> None:
    found(operator)
    leave = ("roster", "propose", "remove", NOVA, "--roster", "governors")
    told = operator(*leave)
    assert (ExitCode.MISUSE, "request-malformed") == (told.code, told.error)
    assert "--pin" in told.fields["error"]["hint"]
    pins = options("--pin", ["crisis:0", f"live:17:{'ab' * 32}", "bulk:0"])
    told = operator(*leave, *pins)
    assert f"+ member {NOVA} live ends at size 17 root {'ab' * 32}" in told.fields["changes"]
    assert "request-malformed" == operator(*leave, *pins, "--pin", "live:0").error
    assert (
        "member-unknown"
        == operator("roster", "propose", "remove", UMBRA, "--roster", "governors").error
    )


def test_governors_are_replaced_by_their_own_and_the_new_ones(operator: Operator) -> None:
    found(operator)
    (first,) = operator("roster", "show", "--roster", "governors").fields["governors"]
    made = [operator("roster", "governor", name) for name in ("x.key", "y.key")]
    others = [told.fields["public"] for told in made]
    chain = ("--roster", "governors")
    operator("roster", "propose", "governors", *options("--governor", others), *chain)
    proposal = "2.root.proposal.json"
    for name in ("x.key", "y.key"):
        operator("roster", "sign", proposal, "--key", name)
    told = operator("roster", "publish", proposal, "--to", "governors")
    assert "roster-unproven" == told.error
    # One who leaves with this version signs beside the chain, and cannot without it.
    leaving = ("roster", "sign", proposal, "--key", "governor-0.key")
    assert "roster-unproven" == operator(*leaving).error
    assert ExitCode.YES == operator(*leaving, *chain).code
    operator("roster", "publish", proposal, "--to", "governors")
    shown = operator("roster", "show", *chain).fields
    assert (sorted(others), 2) == (sorted(shown["governors"]), shown["threshold"])
    assert first not in shown["governors"]


def test_a_refresh_changes_nothing_but_version_and_expiry(operator: Operator) -> None:
    found(operator)
    told = operator("roster", "propose", "refresh", "--roster", "governors", "--expires-days", "30")
    changed = {line.split()[1] for line in told.fields["changes"]}
    assert {"version", "expires", "federation"} == changed
    told = operator("roster", "propose", "refresh", "--expires-days", "0", "--roster", "governors")
    assert "request-malformed" == told.error


def test_a_gap_in_the_chain_is_told(operator: Operator, tmp_path: Path) -> None:
    found(operator)
    (tmp_path / "governors" / "3.root.json").write_bytes(b"{}")
    told = operator("roster", "show", "--roster", "governors")
    assert "roster-malformed" == told.error
    assert "version 2" in told.fields["error"]["message"]


def test_a_proposal_that_is_there_is_not_lost_to_another(operator: Operator) -> None:
    found(operator)
    operator("roster", "propose", "refresh", "--roster", "governors", "--expires-days", "30")
    before = Path("2.root.proposal.json").read_bytes()
    told = operator("roster", "propose", "refresh", "--roster", "governors", "--expires-days", "31")
    assert ("request-malformed", before) == (told.error, Path("2.root.proposal.json").read_bytes())


def test_a_chain_from_another_federation_does_not_follow(
    operator: Operator, tmp_path: Path
) -> None:
    found(operator)
    operator("roster", "propose", "refresh", "--roster", "governors")
    operator("roster", "sign", "2.root.proposal.json", "--key", "governor-0.key")
    (tmp_path / "1.root.proposal.json").unlink()
    for path in tmp_path.glob("governor-*"):
        path.unlink()
    (tmp_path / "governors").rename(tmp_path / "first")
    (tmp_path / "acme").rename(tmp_path / "first-acme")
    (tmp_path / "nova").rename(tmp_path / "first-nova")
    found(operator)
    told = operator("roster", "publish", "2.root.proposal.json", "--to", "governors")
    assert (ExitCode.NO, "roster-unproven") == (told.code, told.error)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100, b'{"signed":{}}', b"[" * 5000])
def test_any_other_file_is_a_coded_error_everywhere(operator: Operator, content: bytes) -> None:
    found(operator)
    Path("bad.json").write_bytes(content)
    for arguments in (
        ("roster", "show", "bad.json"),
        ("roster", "sign", "bad.json", "--key", "governor-0.key"),
        ("roster", "sign", "1.root.proposal.json", "--key", "bad.json"),
        ("roster", "publish", "bad.json", "--to", "governors"),
        ("roster", "propose", "add", "bad.json", "--roster", "governors"),
    ):
        told = operator(*arguments)
        assert (ExitCode.MISUSE, ["error"]) == (told.code, list(told.fields))


def test_a_huge_file_is_refused_unread(operator: Operator) -> None:
    found(operator)
    with Path("huge.json").open("wb") as file:
        file.truncate(2**40)
    for arguments in (
        ("roster", "show", "huge.json"),
        ("roster", "propose", "add", "huge.json", "--roster", "governors"),
    ):
        assert "too-large" == operator(*arguments).error


@given(st.text() | st.text("crisislivebulk/:0123456789abcdef", max_size=90))
def test_any_pin_is_a_pin_or_our_error(text: str) -> None:
    try:
        parse_pin(text, ACME, FEDERATION_ID)
    except RequestMalformed:
        return


def test_an_empty_log_is_pinned_by_its_size_alone() -> None:
    log, pin = parse_pin("live/2:0", ACME, FEDERATION_ID)
    assert (f"{ACME}/{FEDERATION_ID}/live/2", EMPTY_PIN) == (log.origin, pin)


@given(st.text() | st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_any_governors_key_is_a_key_or_our_error(text: str) -> None:
    try:
        assert 32 == len(parse_governor(text))
    except FederationError:
        return
