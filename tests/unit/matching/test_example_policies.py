"""The example policies of docs/policies/ do what their comments say."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.matching.decisions import LocalFindings
from federation.matching.policy import CompiledPolicy
from federation.matching.policy_reading import parse_policy
from federation.matching.policy_terms import Action, Stage
from federation.protocol.signals import SignalType
from tests.architecture.sources import TREE
from tests.builders import ACME, NOVA, UMBRA, make_signal
from tests.unit.matching.test_policy import MARK, SIGNAL, Near, near, opinion

FOLDER = TREE / "docs" / "policies"
FILES = sorted(FOLDER.glob("*.toml"))
OWN = "own.example"
MEMBERS = {OWN, ACME, NOVA, UMBRA}


def example(name: str) -> CompiledPolicy:
    """One of the policies, as a node of four members reads it."""
    return CompiledPolicy(parse_policy((FOLDER / f"{name}.toml").read_text(), MEMBERS), OWN)


def said(*members: str, distance: int = 3, **changes: object) -> list[Near]:
    """What these members confirmed of one near picture."""
    opinions = [opinion(at, name, **changes) for at, name in enumerate(members, start=1)]  # type: ignore[arg-type]
    return [near(*opinions, distance=distance)]


def test_there_are_three_and_each_is_commented() -> None:
    names = ["large_platform", "live_streaming", "small_platform"]
    assert names == [file.stem for file in FILES]
    for file in FILES:
        text = file.read_text().splitlines()
        assert sum(line.startswith("#") for line in text) >= text.count("[[rules]]")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_acts_on_nothing_that_is_disputed_educational_or_by_nobody_in_good_standing(
    file: Path,
) -> None:
    policy = example(file.stem)
    for stage in Stage:
        for unsure in (
            said(ACME, NOVA, disputed_by=(UMBRA,)),
            said(ACME, NOVA, educational=True),
        ):
            assert policy.decide(SIGNAL, unsure, stage).action in {Action.REVIEW, Action.LABEL}
        assert Action.ALLOW is policy.decide(SIGNAL, (), stage).action


@pytest.mark.parametrize(
    ("name", "matches", "stage", "action", "rule"),
    [
        ("small_platform", said(ACME), Stage.UPLOAD, "review", "otherwise"),
        ("small_platform", said(ACME, NOVA), Stage.UPLOAD, "block", "two-people-agree"),
        ("small_platform", said(ACME, NOVA, distance=17), Stage.UPLOAD, "review", "otherwise"),
        ("small_platform", said(OWN), Stage.UPLOAD, "block", "own-word"),
        ("small_platform", said(ACME, labels=("tvec2",), confirmer="automated"), Stage.UPLOAD,
         "limit_reach", "threat"),
        ("large_platform", said(ACME), Stage.UPLOAD, "block", "attack-content"),
        ("large_platform", said(ACME, distance=17), Stage.UPLOAD, "limit_reach", "one-says-so"),
        ("large_platform", said(ACME, NOVA, labels=("tvec3",)), Stage.UPLOAD, "block", "two-agree"),
        ("large_platform", said(ACME, labels=("tvec7",)), Stage.UPLOAD, "review",
         "contested-labels"),
        ("large_platform", said(ACME, distance=25), Stage.UPLOAD, "review", "otherwise"),
        ("live_streaming", said(ACME, distance=20), Stage.LIVE, "deny_live", "attack-on-air"),
        ("live_streaming", said(ACME, labels=("tvec7",)), Stage.LIVE, "label", "warned-on-air"),
        ("live_streaming", said(ACME, NOVA, labels=("tvec7",)), Stage.LIVE, "deny_live",
         "two-agree-on-air"),
        ("live_streaming", said(ACME), Stage.UPLOAD, "block", "recorded-attack"),
        ("live_streaming", said(ACME, labels=("tvec7",)), Stage.UPLOAD, "review", "otherwise"),
    ],
)  # fmt: skip
def test_an_example_decides_as_its_comments_say(
    name: str, matches: list[Near], stage: Stage, action: str, rule: str
) -> None:
    decided = example(name).decide(SIGNAL, matches, stage)
    assert (action, rule) == (decided.action.value, decided.rule)
    rules = {each.name for each in example(name).policy.rules}
    assert rules - {rule} == {each.rule for each in decided.others}


@pytest.mark.parametrize("name", ["large_platform", "live_streaming"])
def test_an_exact_copy_needs_one_persons_word_where_there_are_many_uploads(name: str) -> None:
    exact = make_signal(1, SignalType.SHA256)
    match = near(opinion(1, labels=("tvec4",)), distance=0, signal=exact)
    assert Action.BLOCK is example(name).decide(exact, [match]).action


def test_what_was_rejected_once_stays_away_from_a_small_platforms_queue() -> None:
    rejected = LocalFindings(rejected=frozenset({MARK}))
    small, large = example("small_platform"), example("large_platform")
    assert Action.ALLOW is small.decide(SIGNAL, said(ACME), findings=rejected).action
    assert Action.REVIEW is large.decide(SIGNAL, said(ACME), findings=rejected).action
