"""The verifier in a browser, ``docs/verify/index.html``, held against the one in Python.

Two implementations in two languages that agree on every published vector, down to the step that
fails, are two readings of one specification. A real Chromium runs the page; it must ask nobody for
anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from federation.protocol.keys import check_ed25519
from federation.protocol.limits import ROSTER_PARTS_MAX
from federation.protocol.policy import parse_quorum
from federation.provenance.bundle_judge import STATED_STEPS, STEPS, claims_of, judge_bundle
from federation.provenance.report import Report
from tests.architecture.sources import TREE
from tests.conformance.browser import Page, open_page
from tests.vectors.cases import Case, from_input, text_of
from tests.vectors.generate import FOLDER

PAGE = TREE / "docs" / "verify" / "index.html"
OPS = (Path(__file__).parent / "browser_vectors.js").read_text(encoding="utf-8")

in_the_browser = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with open_page(PAGE, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def every_case() -> list[Case]:
    """Every vector of every page of the specification."""
    cases: list[Case] = []
    for file in sorted(FOLDER.glob("*/*.json")):
        cases += json.loads(file.read_text("ascii"))
    return cases


def bundle_cases() -> list[Case]:
    return [case for case in every_case() if case["op"] == "bundle"]


def judged_here(case: Case) -> Report:
    roots = case["roots"]
    assert isinstance(roots, list)
    first_root, *known_roots = [str(root).encode() for root in roots]
    quorum, asked = parse_quorum(text_of(case, "quorum")), case.get("in_force")
    return judge_bundle(
        from_input("bundle", case),
        first_root,
        quorum,
        check_ed25519,
        known_roots,
        in_force=None if asked is None else parse_quorum(str(asked)).count,
    )


async def judged_in(page: Page, case: Case) -> dict[str, Any]:
    raw = json.dumps(from_input("bundle", case).hex())
    roots, quorum = json.dumps(case["roots"]), json.dumps(case["quorum"])
    in_force = json.dumps(case.get("in_force"))
    report: dict[str, Any] = await page.evaluate(
        f"judgeBundle(unhex({raw}), {roots}.map(utf8), {quorum}, {in_force})"
    )
    return report


def outcomes(report: Report) -> list[tuple[int, str, str, str | None]]:
    return [(each.number, each.title, str(each.outcome), each.code) for each in report.steps]


@in_the_browser
async def test_every_bundle_gets_the_same_verdict_step_by_step(page: Page) -> None:
    cases = bundle_cases()
    for case in cases:
        ours, theirs = judged_here(case), await judged_in(page, case)
        said = [
            (each["number"], each["title"], each["outcome"], each.get("code"))
            for each in theirs["steps"]
        ]
        assert outcomes(ours) == said, case["desc"]
        assert ours.is_verified == theirs["verified"], case["desc"]
        assert ours.conclusion == theirs["conclusion"], case["desc"]
        assert claims_of(ours, is_force_asked="in_force" in case) == theirs["claims"], case["desc"]
        if ours.is_verified:
            details = [each["detail"] for each in theirs["steps"]]
            assert [each.detail for each in ours.steps] == details, case["desc"]
    assert len(cases) > len(STEPS)


@in_the_browser
async def test_every_vector_of_the_formats_it_reads_gets_the_same_answer(page: Page) -> None:
    ops, plain = await page.evaluate(f"(({OPS}).ops)"), await page.evaluate(f"(({OPS}).plain)")
    cases = [case for case in every_case() if case["op"] in ops]
    answers = await page.evaluate(f"(({OPS}).all({json.dumps(cases)}))")
    wrong = [
        (case["op"], case["desc"], case.get("error"), answer)
        for case, answer in zip(cases, answers, strict=True)
        if [case["accept"], case.get("error")] != answer[:2]
        or (case["accept"] and case["op"] in plain and case["gives"] != answer[2])
    ]
    assert [] == wrong
    assert set(ops) == {case["op"] for case in cases}


@in_the_browser
@pytest.mark.parametrize("flipped", range(0, 1200, 149))
async def test_a_flipped_byte_fails_at_the_same_step(page: Page, flipped: int) -> None:
    case = next(case for case in bundle_cases() if case["accept"])
    raw = bytearray(from_input("bundle", case))
    raw[flipped] ^= 1
    changed: Case = {**case, "bundle_hex": raw.hex()}
    del changed["bundle"]
    ours, theirs = judged_here(changed), await judged_in(page, changed)
    failed = [each for each in theirs["steps"] if each["outcome"] == "failed"]
    assert ours.failed_step is not None
    assert [(ours.failed_step.number, ours.failed_step.code)] == [
        (each["number"], each["code"]) for each in failed
    ]


@in_the_browser
async def test_files_are_chosen_and_the_verdict_is_shown(page: Page, tmp_path: Path) -> None:
    case = next(case for case in bundle_cases() if "which it names" in text_of(case, "desc"))
    roots = case["roots"]
    assert isinstance(roots, list)
    files = []
    for number, root in reversed(list(enumerate(roots, start=1))):  # any order will do
        files.append(tmp_path / f"{number}.root.json")
        files[-1].write_text(str(root), encoding="utf-8")
    bundle = tmp_path / "proof.json"
    bundle.write_bytes(from_input("bundle", case))
    await page.choose_files("#bundle-file", [bundle])
    await page.choose_files("#roots-file", files)
    await page.until(f"document.querySelectorAll('.drop li').length === {1 + len(files)}")
    verdict = await judge_by_hand(page, "2")
    assert judged_here(case).conclusion == verdict
    assert "good" == await page.evaluate("document.getElementById('verdict').className")
    count = "document.querySelectorAll('#steps tr.{}').length"
    assert STATED_STEPS == await page.evaluate(count.format("passed"))
    assert len(STEPS) - STATED_STEPS == await page.evaluate(count.format("not-asked"))
    verdict = await judge_by_hand(page, "3")
    assert "NOT VERIFIED: step 8 failed; nothing after it was asked. Believe none." == verdict
    assert "a quorum is a number of members" in await judge_by_hand(page, "")


async def judge_by_hand(page: Page, quorum: str) -> str:
    """Type a quorum, press the button, read the banner once the page has judged."""
    await page.evaluate(f"document.getElementById('quorum').value = {json.dumps(quorum)}")
    await page.evaluate("document.getElementById('judge').click()")
    await page.until("document.getElementById('answer').ariaBusy === 'false'")
    verdict: str = await page.evaluate("document.getElementById('verdict').textContent")
    return verdict


@in_the_browser
async def test_millions_of_parts_of_a_roster_are_refused_by_the_page_too(page: Page) -> None:
    attack = f"parseRoster(utf8('['.repeat({ROSTER_PARTS_MAX + 1}))).catch((error) => error.code)"
    assert "too-large" == await page.evaluate(attack)


@in_the_browser
async def test_the_page_refuses_a_proof_of_very_long_lines_in_words(page: Page) -> None:
    attack = "(() => { try { parseTlogProof(utf8('x'.repeat(300000) + '\\n\\nx')); }"
    code = await page.evaluate(f"{attack} catch (error) {{ return error.code; }} }})()")
    assert "proof-malformed" == code


@in_the_browser
async def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    await judged_in(page, bundle_cases()[0])
    assert [PAGE.as_uri()] == [url for url in page.requests if not url.startswith("data:")]


def test_the_page_is_one_file_without_addresses() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [] == re.findall(r"(?:src|href)=\"(?!data:)[^\"]*\"", text)
    assert [] == re.findall(r"\b(?:fetch|XMLHttpRequest|WebSocket|import)\s*\(", text)
    assert "default-src 'none'" in text
