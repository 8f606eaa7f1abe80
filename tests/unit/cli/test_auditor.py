"""The auditor's program says what it looked at, and believes only what it was given."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.cli import auditor, auditor_bundle
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.protocol.attestations import State
from federation.protocol.bundles import encode_bundle
from federation.protocol.limits import BUNDLE_BYTES_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.roster_proposals import propose_add, propose_refresh
from federation.provenance.bundle_judge import STATED_STEPS, STEPS
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_attestation,
    make_bundle,
    make_log,
    make_member,
    make_roster,
    sign_and_finish,
    sign_as,
)

FOUNDED = make_roster()
MADE = make_log(7, founded=FOUNDED)
SECOND = sign_and_finish(
    propose_add(FOUNDED.chain, make_member("delta.example").request, now_ms=NEW_YEAR_2026_MS),
    FOUNDED.chain,
    FOUNDED.governors,
)
THIRD = sign_and_finish(
    propose_refresh(SECOND, now_ms=NEW_YEAR_2026_MS + 1), SECOND, FOUNDED.governors
)
WHOLE = encode_bundle(make_bundle(MADE, 2, chain=THIRD))
NAMED = encode_bundle(make_bundle(MADE, 2, chain=THIRD, carries_chain=False))


@dataclass(frozen=True)
class Said:
    """How the program ended."""

    code: int
    out: str
    err: str

    @property
    def fields(self) -> dict[str, Any]:
        """The one JSON object of its stdout."""
        told: dict[str, Any] = json.loads(self.out)
        return told


@dataclass(frozen=True)
class Desk:
    """An auditor's folder: the root of trust, bundles, and the program."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def put(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def run(self, *arguments: str) -> Said:
        code = auditor.main(list(arguments))
        out, err = self.capsys.readouterr()
        return Said(code, out, err)

    def judge(self, bundle: str, *more: str, quorum: str = "2") -> Said:
        root = str(self.folder / "1.root.json")
        return self.run("bundle", bundle, "--root", root, "--quorum", quorum, *more)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    made = Desk(tmp_path, capsys)
    made.put("1.root.json", THIRD.versions[0])
    made.put("2.root.json", THIRD.versions[1])
    made.put("3.root.json", THIRD.versions[2])
    made.put("bundle", WHOLE)
    made.put("named", NAMED)
    return made


@pytest.fixture(autouse=True)
def _of_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def at(desk: Desk, name: str) -> str:
    return str(desk.folder / name)


# --- what it says -------------------------------------------------------------------------------


def test_every_step_is_ticked_and_the_conclusion_comes_last(desk: Desk) -> None:
    said = desk.judge(at(desk, "bundle"))
    assert (ExitCode.YES, "") == (said.code, said.err)
    lines = said.out.splitlines()
    told = [line for line in lines if line[:2].strip().isdecimal()]
    marks = "✓" * STATED_STEPS + "··"
    numbered = enumerate(zip(marks, STEPS, strict=True), start=1)
    assert [f"{number:2} {mark} {title}" for number, (mark, title) in numbered] == told
    assert lines[-2] == ""
    assert lines[-1].startswith("STATED: acme.example stated st_")
    assert "\x1b" not in said.out


def test_a_failed_step_is_crossed_and_those_after_it_are_not_reached(desk: Desk) -> None:
    said = desk.judge(at(desk, "bundle"), quorum="3")
    assert ExitCode.NO == said.code
    assert " 8 ✗ enough other members have cosigned\n" in said.out
    assert "(quorum-unmet)\n" in said.out
    assert " 9 – what the statement says can be read\n10 – every" in said.out  # noqa: RUF001
    assert "\n\nNOT VERIFIED: step 8 failed" in said.out
    assert "STATED" not in said.out


def test_json_is_one_object_with_every_step(desk: Desk) -> None:
    said = desk.judge(at(desk, "bundle"), "--json")
    assert 1 == said.out.count("\n")
    assert said.fields["verified"] is True
    assert "2" == said.fields["quorum"]
    assert list(STEPS) == [step["title"] for step in said.fields["steps"]]
    outcomes = [step["outcome"] for step in said.fields["steps"]]
    assert ["passed"] * STATED_STEPS + ["not-asked"] * 2 == outcomes
    assert {"stated": True, "in_force": None} == said.fields["claims"]
    assert said.fields["in_force"] is None
    refused = desk.judge(at(desk, "bundle"), "--json", quorum="3").fields
    assert refused["verified"] is False
    assert "quorum-unmet" == refused["steps"][7]["code"]
    assert "not-reached" == refused["steps"][8]["outcome"]


def test_colours_are_for_terminals_that_want_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b[32m 1 ✓\x1b[0m" in desk.judge(at(desk, "bundle")).out
    assert "\x1b[1;31m 8 ✗\x1b[0m" in desk.judge(at(desk, "bundle"), quorum="3").out
    assert "\x1b" not in desk.judge(at(desk, "bundle"), "--json").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in desk.judge(at(desk, "bundle")).out


def test_where_the_marks_cannot_be_written_plain_letters_stand(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    arguments = ["bundle", at(desk, "bundle"), "--root", at(desk, "1.root.json"), "--quorum", "3"]
    assert ExitCode.NO == auditor.main(arguments)
    lines = raw.getvalue().decode("ascii").splitlines()
    marks = [line[3] for line in lines if line[:2].strip().isdecimal()]
    assert [*"+++++++x---"] == marks


def test_a_bundle_may_come_from_stdin(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(WHOLE)))
    assert ExitCode.YES == desk.judge("-").code


# --- the two claims -----------------------------------------------------------------------------


def attested(desk: Desk, *states: State, bundle: str = "attested") -> str:
    """A bundle with as many attestations, by nova, umbra and acme itself."""
    texts = [
        sign_as(member, make_attestation(MADE, 2, member, state), MADE.log.federation_id)
        for member, state in zip((NOVA, UMBRA, ACME), states, strict=False)
    ]
    return desk.put(bundle, encode_bundle(make_bundle(MADE, 2, attestations=texts)))


def test_in_force_is_said_in_those_words_and_beside_stated(desk: Desk) -> None:
    said = desk.judge(attested(desk, State.ACTIVE, State.ACTIVE), "--in-force", "2")
    assert ExitCode.YES == said.code
    conclusion = said.out.splitlines()[-1]
    assert conclusion.startswith("STATED: acme.example stated st_")
    assert "IN FORCE as of 2026-01-01 00:01:00 UTC" in conclusion
    assert 11 == said.out.count("✓")


def test_what_is_attested_and_not_asked_claims_nothing(desk: Desk) -> None:
    said = desk.judge(attested(desk, State.ACTIVE), "--json")
    assert (ExitCode.YES, {"stated": True, "in_force": None}) == (said.code, said.fields["claims"])
    assert "IN FORCE was not asked" in said.fields["conclusion"]


@pytest.mark.parametrize(
    ("states", "count", "code"),
    [
        ((), "1", "quorum-unmet"),
        ((State.ACTIVE,), "2", "quorum-unmet"),
        ((State.ACTIVE, State.WITHDRAWN), "1", "not-in-force"),
        ((State.ACTIVE, State.ACTIVE, State.WITHDRAWN), "2", "not-in-force"),
    ],
)
def test_stated_stands_where_in_force_is_not_shown(
    desk: Desk, states: tuple[State, ...], count: str, code: str
) -> None:
    said = desk.judge(attested(desk, *states), "--in-force", count, "--json")
    assert ExitCode.NO == said.code
    assert (False, {"stated": True, "in_force": False}) == (
        said.fields["verified"],
        said.fields["claims"],
    )
    assert code == said.fields["steps"][10]["code"]
    assert said.fields["conclusion"].startswith(
        "NOT VERIFIED: step 11 failed. What was shown: STATED"
    )
    assert "IN FORCE was not shown" in said.fields["conclusion"]


# --- what it believes ---------------------------------------------------------------------------


def test_none_takes_the_logs_own_word_and_says_so(desk: Desk) -> None:
    alone = desk.put("alone", encode_bundle(make_bundle(MADE, 2, ())))
    assert ExitCode.NO == desk.judge(alone, quorum="1").code
    said = desk.judge(alone, quorum="none")
    assert ExitCode.YES == said.code
    assert "no quorum was asked for" in said.out


def test_another_federations_root_of_trust_proves_nothing(desk: Desk) -> None:
    desk.put("1.root.json", make_roster(NOVA).chain.versions[0])
    said = desk.judge(at(desk, "bundle"))
    assert ExitCode.NO == said.code
    assert " 2 ✗ the roster follows from the root of trust\n" in said.out


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ((), ExitCode.UNKNOWN),
        (("2.root.json",), ExitCode.UNKNOWN),
        (("3.root.json",), ExitCode.UNKNOWN),
        (("2.root.json", "3.root.json"), ExitCode.YES),
        (("3.root.json", "1.root.json", "2.root.json"), ExitCode.YES),
    ],
)
def test_a_bundle_that_names_its_roster_needs_the_files_in_any_order(
    desk: Desk, given: tuple[str, ...], code: ExitCode
) -> None:
    roots = [part for name in given for part in ("--known-root", at(desk, name))]
    said = desk.judge(at(desk, "named"), *roots)
    assert code == said.code
    assert ("COULD NOT TELL" in said.out) == (code is ExitCode.UNKNOWN)
    assert ("hint: " in said.out) == (code is ExitCode.UNKNOWN)


@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_bit_of_a_bundle_can_change_unnoticed(desk: Desk, place: int, bit: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= 1 << bit
    said = desk.judge(desk.put("changed", bytes(changed)), "--json")
    assert (ExitCode.NO, False) == (said.code, said.fields["verified"])


# --- bad input ----------------------------------------------------------------------------------


@given(raw=st.binary(max_size=300), which=st.sampled_from(["bundle", "1.root.json", "known"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_are_judged_and_nothing_slips(desk: Desk, raw: bytes, which: str) -> None:
    desk.put("bundle", WHOLE)
    desk.put("1.root.json", THIRD.versions[0])
    desk.put(which, raw)
    more = ("--known-root", at(desk, "known")) if which == "known" else ()
    said = desk.judge(at(desk, "bundle"), "--json", *more)
    assert (ExitCode.MISUSE if more else ExitCode.NO) == said.code
    assert "Traceback" not in said.err


def test_a_bundle_over_the_limit_is_refused_without_being_read_to_its_end(desk: Desk) -> None:
    huge = desk.folder / "huge"
    with huge.open("wb") as file:
        file.truncate(64 * BUNDLE_BYTES_MAX)  # a hole: it takes no room, and would take 1 GiB read
    said = desk.judge(str(huge), "--json")
    assert (ExitCode.NO, "too-large") == (said.code, said.fields["steps"][0]["code"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "COMMAND"),
        (("bundle",), "FILE"),
        (("bundle", "{bundle}"), "--root"),
        (("bundle", "{bundle}", "--root", "{root}"), "--quorum"),
        (("bundle", "{bundle}", "--root", "{root}", "--quorum", "0"), "number of members"),
        (("bundle", "{bundle}", "--root", "{root}", "--quorum", ""), "number of members"),
        (("bundle", "{bundle}", "--root", "{root}", "--quorum", "-1"), "--quorum"),
        (("bundle", "{absent}", "--root", "{root}", "--quorum", "2"), "cannot read"),
        (("bundle", "{folder}", "--root", "{root}", "--quorum", "2"), "cannot read"),
        (("bundle", "{bundle}", "--root", "{absent}", "--quorum", "2"), "cannot read"),
        (
            ("bundle", "{bundle}", "--root", "{root}", "--quorum", "2", "--known-root", "{bundle}"),
            "is no roster",
        ),
        (("bundle", "{bundle}", "--root", "{root}", "--quorum", "2", "--else"), "--else"),
        (
            ("bundle", "{bundle}", "--root", "{root}", "--quorum", "2", "--in-force", "none"),
            "number of members",
        ),
        (
            ("bundle", "{bundle}", "--root", "{root}", "--quorum", "2", "--in-force", "2+mldsa44"),
            "number of members",
        ),
        (("judge",), "judge"),
    ],
)
def test_misuse_says_what_is_wrong(desk: Desk, arguments: tuple[str, ...], word: str) -> None:
    places = {
        "bundle": at(desk, "bundle"),
        "root": at(desk, "1.root.json"),
        "absent": at(desk, "absent"),
        "folder": str(desk.folder),
    }
    said = desk.run(*(argument.format(**places) for argument in arguments), "--json")
    assert (ExitCode.MISUSE, "request-malformed") == (said.code, said.fields["error"]["code"])
    assert said.err.startswith("federation-verify: error: ")
    assert word in said.err


def test_two_files_of_one_roster_version_are_not_chosen_from(desk: Desk) -> None:
    other = propose_refresh(FOUNDED.chain, now_ms=NEW_YEAR_2026_MS + 7).proposal_bytes
    given = ("--known-root", at(desk, "2.root.json"), desk.put("other", other))
    said = desk.judge(at(desk, "named"), *given, "--json")
    assert ExitCode.MISUSE == said.code
    assert "another version 2" in said.fields["error"]["message"]


def test_more_root_files_than_a_chain_has_are_refused_unread(desk: Desk) -> None:
    many = [at(desk, "absent")] * (ROSTER_VERSIONS_MAX + 1)
    said = desk.judge(at(desk, "named"), "--known-root", *many)
    assert ExitCode.MISUSE == said.code
    assert "at most" in said.err


def test_a_bug_is_no_no(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(auditor_bundle, "judge_bundle", broken)
    said = desk.judge(at(desk, "bundle"), "--json")
    assert ExitCode.UNKNOWN == said.code
    assert "secret" not in said.out


def test_control_c_ends_it_as_shells_expect(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(auditor_bundle, "judge_bundle", interrupted)
    assert INTERRUPTED == desk.judge(at(desk, "bundle")).code


@pytest.mark.parametrize("arguments", [["--help"], ["bundle", "--help"], ["--version"]])
def test_help_tells_the_exit_codes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        auditor.main(arguments)
    assert 0 == ended.value.code
    out = capsys.readouterr().out
    assert "federation-verify" in out
    assert ("3 could not tell" in out) == ("--help" in arguments)
