"""Whole logs judged offline: audited, compared, and held against what was seen before."""

from __future__ import annotations

import json
import random
import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest

from federation.cli import auditor
from federation.cli.exits import ExitCode
from federation.protocol.keys import check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import propose_add
from federation.provenance.convicting import judge_evidence
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    make_key,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.log_trees import ORIGIN, entry, write_tree

ENTRIES = [entry(number) for number in range(66_000)]


class Program:
    """Runs the auditor's program and reads its answer."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        code = auditor.main([*map(str, arguments), "--json"])
        answer: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, answer


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


def failed_step(answer: dict[str, Any]) -> int | None:
    return next((s["number"] for s in answer["steps"] if s["outcome"] == "failed"), None)


# --- log ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 65_536, 66_000])
def test_a_log_of_any_size_is_audited_whole(program: Program, tmp_path: Path, size: int) -> None:
    folder = write_tree(tmp_path / "log", ENTRIES[:size])
    code, answer = program.run("log", folder)
    assert (ExitCode.YES, True, size) == (code, answer["verified"], answer["size"])
    assert answer["conclusion"].startswith(f"WHOLE: all {size} entries")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("logs") / "large", ENTRIES)


def test_one_flipped_bit_in_any_file_is_found_at_its_step(
    program: Program, large: Path, tmp_path: Path
) -> None:
    """Of every kind of file one drawn at random, and every bit of it drawn as well."""
    rng = random.Random(7)
    copy = tmp_path / "large"
    shutil.copytree(large, copy)
    shutil.copy(large.with_name("large.vkey"), tmp_path / "large.vkey")
    files = {
        "checkpoint": {1},
        "tile/entries/000": {2},
        f"tile/entries/{rng.randrange(255):03}": {2},
        "tile/entries/257.p/208": {2},
        f"tile/0/{rng.randrange(255):03}": {2},
        "tile/0/257.p/208": {2},
        "tile/1/000": {3},
        "tile/1/001.p/1": {3},
        "tile/2/000.p/1": {3},
    }
    for name, steps in files.items():
        path = copy / name
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        code, answer = program.run("log", copy)
        assert (ExitCode.NO, True) == (code, failed_step(answer) in steps), name
        path.write_bytes(whole)
    assert ExitCode.YES == program.run("log", copy)[0]


def test_a_log_whose_tiles_agree_with_each_other_and_not_with_the_root_is_refused(
    program: Program, tmp_path: Path
) -> None:
    folder = write_tree(tmp_path / "log", [*ENTRIES[:300], entry(300, "another")])
    note = (write_tree(tmp_path / "true", ENTRIES[:301]) / "checkpoint").read_bytes()
    (folder / "checkpoint").write_bytes(note)
    code, answer = program.run("log", folder)
    assert (ExitCode.NO, 4) == (code, failed_step(answer))


def test_a_missing_file_is_no_accusation(program: Program, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "log", ENTRIES[:600])
    (folder / "tile" / "entries" / "001").unlink()
    code, answer = program.run("log", folder)
    assert (ExitCode.UNKNOWN, 2) == (code, failed_step(answer))
    assert "COULD NOT TELL" in answer["conclusion"]


def test_a_full_tile_stands_for_its_partial_forerunner(program: Program, tmp_path: Path) -> None:
    """C2SP lets a log take partial tiles away once the full one is there."""
    folder = write_tree(tmp_path / "log", ENTRIES[:300])
    grown = write_tree(tmp_path / "grown", ENTRIES[:512])
    shutil.copy(grown / "tile" / "0" / "001", folder / "tile" / "0" / "001")
    shutil.rmtree(folder / "tile" / "0" / "001.p")
    assert ExitCode.YES == program.run("log", folder)[0]
    entries = Path("tile") / "entries"
    shutil.rmtree(folder / entries / "001.p")
    code, answer = program.run("log", folder)
    assert (ExitCode.UNKNOWN, 2) == (code, failed_step(answer))
    shutil.copy(grown / entries / "001", folder / entries / "001")
    assert ExitCode.YES == program.run("log", folder)[0]


def test_every_log_of_an_export_is_audited(program: Program, tmp_path: Path) -> None:
    for number in range(3):
        origin = f"m{number}.example/{'0' * 32}/live"
        write_tree(tmp_path / f"log{number}", ENTRIES[: 300 * number], origin=origin)
    (tmp_path / "log1" / "tile" / "0" / "000").write_bytes(bytes(8_192))
    code, answer = program.run("log", tmp_path)
    assert (ExitCode.NO, False, 3) == (code, answer["verified"], len(answer["reports"]))
    assert [True, False, True] == [each["verified"] for each in answer["reports"]]


def test_another_key_and_no_key_are_told_apart(program: Program, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "log", ENTRIES[:3])
    other = write_tree(tmp_path / "other", ENTRIES[:3], key=make_key("another"))
    code, answer = program.run("log", folder, "--vkey", other.with_name("other.vkey"))
    assert (ExitCode.NO, 1) == (code, failed_step(answer))
    folder.with_name("log.vkey").unlink()
    code, answer = program.run("log", folder)
    assert (ExitCode.MISUSE, "request-malformed") == (code, answer["error"]["code"])


# --- compare ------------------------------------------------------------------------------------


def test_copies_are_the_same_or_one_begins_the_other(program: Program, tmp_path: Path) -> None:
    first = write_tree(tmp_path / "first", ENTRIES[:700])
    second = write_tree(tmp_path / "second", ENTRIES[:700])
    longer = write_tree(tmp_path / "longer", ENTRIES[:900])
    for one, other, expected in (
        (first, second, "same"),
        (first, longer, "prefix"),
        (longer, first, "prefix"),
    ):
        code, answer = program.run("compare", one, other)
        assert (ExitCode.YES, expected) == (code, answer["comparison"])


@pytest.mark.parametrize(("one", "other"), [(700, 700), (700, 900), (900, 700), (1, 2)])
def test_a_fork_is_found_and_its_evidence_convicts_the_key_alone(
    program: Program, tmp_path: Path, one: int, other: int
) -> None:
    founded = make_roster()
    origin = f"{ACME}/{founded.roster.federation_id}/live"
    key = founded.companies[ACME].keys["live"]
    lies = [entry(number, "lie") for number in range(other)]
    first = write_tree(tmp_path / "first", ENTRIES[:one], origin=origin, key=key)
    second = write_tree(tmp_path / "second", [*lies], origin=origin, key=key)
    file = tmp_path / "fork.evidence"
    code, answer = program.run("compare", first, second, "--evidence", file)
    assert (ExitCode.NO, "fork", str(file)) == (code, answer["comparison"], answer["evidence"])
    assert "FORK" in answer["conclusion"]
    report = judge_evidence(file.read_bytes(), founded.chain.versions[0], check_ed25519)
    assert report.is_verified, report.failed_step
    root = tmp_path / "1.root.json"
    root.write_bytes(founded.chain.versions[0])
    code, answer = program.run("evidence", file, "--root", root)
    assert (ExitCode.YES, True) == (code, answer["verified"])
    assert answer["conclusion"].startswith("CONVICTED: ")


def test_a_damaged_copy_convicts_nobody(program: Program, tmp_path: Path) -> None:
    first = write_tree(tmp_path / "first", ENTRIES[:700])
    second = write_tree(tmp_path / "second", ENTRIES[:700])
    (second / "tile" / "0" / "001").write_bytes(bytes(8_192))
    file = tmp_path / "fork.evidence"
    code, answer = program.run("compare", first, second, "--evidence", file)
    assert (ExitCode.NO, 2, None) == (code, failed_step(answer), answer["comparison"])
    assert not file.exists()


@pytest.mark.parametrize(("file", "step"), [("checkpoint", 2), ("tile/entries/001", 2)])
def test_a_file_that_a_copy_lacks_is_no_accusation_and_can_be_fetched(
    program: Program, tmp_path: Path, file: str, step: int
) -> None:
    first = write_tree(tmp_path / "first", ENTRIES[:700])
    second = write_tree(tmp_path / "second", ENTRIES[:700])
    (second / file).unlink()
    code, answer = program.run("compare", first, second)
    assert (ExitCode.UNKNOWN, step) == (code, failed_step(answer))
    failed = answer["steps"][step - 1]
    assert "file-not-at-hand" == failed["code"]
    assert "fetch" in failed["hint"]


# --- monitor ------------------------------------------------------------------------------------


def test_what_was_seen_is_kept_between_runs_and_must_be_the_beginning(
    program: Program, tmp_path: Path
) -> None:
    state, folder = tmp_path / "seen.json", tmp_path / "export"
    for size, words in ((300, "FIRST SEEN"), (700, "grew by 400"), (700, "grew by 0")):
        write_tree(folder / "log", ENTRIES[:size])
        code, answer = program.run("monitor", folder, "--state", state)
        assert (ExitCode.YES, True) == (code, words in answer["conclusion"])
    kept = state.read_bytes()
    shutil.rmtree(folder / "log")
    write_tree(folder / "log", ENTRIES[:300])
    code, answer = program.run("monitor", folder, "--state", state)
    assert (ExitCode.UNKNOWN, 5) == (code, failed_step(answer))
    shutil.rmtree(folder / "log")
    write_tree(folder / "log", [entry(number, "lie") for number in range(800)])
    code, answer = program.run("monitor", folder, "--state", state, "--evidence", tmp_path / "e")
    assert (ExitCode.NO, 5) == (code, failed_step(answer))
    assert Path(answer["evidence"]).is_file()
    assert kept == state.read_bytes()


def test_a_log_goes_on_under_a_key_that_followed_the_one_seen_before(
    program: Program, tmp_path: Path
) -> None:
    state, folder = tmp_path / "seen.json", tmp_path / "export"
    write_tree(folder / "log", ENTRIES[:300])
    assert ExitCode.YES == program.run("monitor", folder, "--state", state)[0]
    for size in (400, 500):
        write_tree(folder / "log", ENTRIES[:size], key=make_key("the next live key"))
        code, answer = program.run("monitor", folder, "--state", state)
        assert (ExitCode.YES, True) == (code, "grew by 100" in answer["conclusion"])
    # Nor does the new key let anybody put another beginning under it.
    shutil.rmtree(folder / "log")
    others = [entry(number, "lie") for number in range(600)]
    write_tree(folder / "log", others, key=make_key("one key more"))
    code, answer = program.run("monitor", folder, "--state", state)
    assert (ExitCode.NO, 5) == (code, failed_step(answer))


def test_what_was_seen_by_a_release_that_kept_no_key_is_read(
    program: Program, tmp_path: Path
) -> None:
    state, folder = tmp_path / "seen.json", tmp_path / "export"
    write_tree(folder / "log", ENTRIES[:300])
    program.run("monitor", folder, "--state", state)
    kept = json.loads(state.read_text())
    del kept["logs"][ORIGIN]["vkey"]
    state.write_text(json.dumps(kept))
    write_tree(folder / "log", ENTRIES[:301])
    code, answer = program.run("monitor", folder, "--state", state)
    assert (ExitCode.YES, True) == (code, "grew by 1" in answer["conclusion"])


def test_a_key_that_is_none_does_not_hide_another_logs_fork(
    program: Program, tmp_path: Path
) -> None:
    state, folder, found = tmp_path / "seen.json", tmp_path / "export", tmp_path / "evidence"
    write_tree(folder / "a", ENTRIES[:3], origin=f"{ORIGIN}/1")
    write_tree(folder / "b", ENTRIES[:300])
    assert ExitCode.YES == program.run("monitor", folder, "--state", state)[0]
    (folder / "a.vkey").write_text("garbage+x")
    write_tree(folder / "b", [entry(number, "lie") for number in range(300)])
    code, answer = program.run("monitor", folder, "--state", state, "--evidence", found)
    assert ExitCode.NO == code
    outcomes = [(each["log"], failed_step(each)) for each in answer["reports"]]
    assert [(None, 1), (ORIGIN, 5), (f"{ORIGIN}/1", 1)] == outcomes
    assert 1 == len(list(found.iterdir()))


def test_a_second_key_that_is_far_too_long_is_refused(program: Program, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "log", ENTRIES[:3])
    (tmp_path / "log.mldsa44.vkey").write_text("x" * 5_000_000)
    code, answer = program.run("log", folder)
    assert (ExitCode.MISUSE, "request-malformed") == (code, answer["error"]["code"])


def test_a_log_that_went_is_asked_for(program: Program, tmp_path: Path) -> None:
    state, folder = tmp_path / "seen.json", tmp_path / "export"
    write_tree(folder / "log", ENTRIES[:3])
    write_tree(folder / "gone", ENTRIES[:3], origin=f"{ORIGIN}/1")
    assert ExitCode.YES == program.run("monitor", folder, "--state", state)[0]
    shutil.rmtree(folder / "gone")
    code, answer = program.run("monitor", folder, "--state", state)
    assert (ExitCode.UNKNOWN, 2) == (code, len(answer["reports"]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "else", "logs": {}}',
        "\x00",
    ],
)
def test_a_state_of_something_else_is_not_written_over(
    program: Program, tmp_path: Path, text: str
) -> None:
    state = tmp_path / "seen.json"
    state.write_text(text)
    write_tree(tmp_path / "export" / "log", ENTRIES[:3])
    code, answer = program.run("monitor", tmp_path / "export", "--state", state)
    assert (ExitCode.MISUSE, "request-malformed") == (code, answer["error"]["code"])
    assert text == state.read_text()


# --- roster -------------------------------------------------------------------------------------


def test_a_roster_chain_is_judged_version_by_version(program: Program, tmp_path: Path) -> None:
    founded = make_roster(governors=3)
    adding = propose_add(
        founded.chain, make_member("delta.example").request, now_ms=NEW_YEAR_2026_MS
    )
    chain: RosterChain = sign_and_finish(adding, founded.chain, founded.governors)
    files = [tmp_path / f"{number}.root.json" for number in (1, 2)]
    for file, root in zip(files, chain.versions, strict=True):
        file.write_bytes(root)
    code, answer = program.run("roster", *files)
    assert (ExitCode.YES, 2) == (code, answer["version"])
    assert "delta.example" in answer["steps"][1]["detail"]
    assert answer["facts"]
    unsigned = tmp_path / "unsigned"
    unsigned.write_bytes(adding.proposal_bytes)
    code, answer = program.run("roster", files[0], unsigned)
    assert (ExitCode.NO, 2, "roster-unproven") == (
        code,
        failed_step(answer),
        answer["steps"][1]["code"],
    )


# --- pages --------------------------------------------------------------------------------------


def test_a_page_tells_the_same_and_asks_for_nothing(program: Program, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "<log>", ENTRIES[:3])
    page = tmp_path / "page.html"
    _, answer = program.run("log", folder, "--html", page)
    text = page.read_text("utf-8")
    assert all(escape(step["title"]) in text for step in answer["steps"])
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert "src=" not in text
    assert 4 == text.count("<tr class=passed>")
    code, answer = program.run("log", folder, "--html", tmp_path / "absent" / "page.html")
    assert (ExitCode.MISUSE, "request-malformed") == (code, answer["error"]["code"])


def test_a_foreign_name_cannot_write_into_the_page(program: Program, tmp_path: Path) -> None:
    origin = "<script>alert(1)</script>"
    folder = write_tree(tmp_path / "log", ENTRIES[:3], origin=origin, key=_key())
    page = tmp_path / "page.html"
    program.run("log", folder, "--html", page)
    assert origin not in page.read_text("utf-8")


def _key() -> SigningKey:
    return make_key("foreign")
