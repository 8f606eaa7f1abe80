"""Labels: the local door is strict, reading is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federation.local_errors.content import LabelUnknown
from federation.protocol.bodies import is_label
from federation.protocol.labels import VOCABULARY, check_labels
from federation.protocol.limits_content import LABELS_MAX

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "labels.md"


def test_page_gives_the_vocabulary_word_for_word() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert VOCABULARY == dict(rows)


def test_example_of_the_page_passes_the_door() -> None:
    example = PAGE.read_text("utf-8").split("```")[1].split()
    assert tuple(sorted(example)) == check_labels(example)


def test_every_known_label_has_the_form_that_readers_accept() -> None:
    assert [] == [label for label in VOCABULARY if not is_label(label)]


def test_typed_labels_are_lowered_sorted_and_given_once() -> None:
    assert ("content:url", "tvec1") == check_labels([" TVEC1", "content:URL", "tvec1 "])


@pytest.mark.parametrize("label", ["tvec9", "terrorism", "", "content:other", "incident:x-2026"])
def test_unknown_label_is_refused_with_the_known_ones(label: str) -> None:
    with pytest.raises(LabelUnknown) as caught:
        check_labels([label])
    assert "tvec1" in str(caught.value.hint)
    assert "<member name>:<word>" in str(caught.value.hint)


def test_label_under_a_reserved_prefix_is_not_taken_for_a_members_own() -> None:
    for prefix in ("content", "behaviour", "incident", "tvec"):
        with pytest.raises(LabelUnknown):
            check_labels([f"{prefix}:mine"])


def test_label_of_a_lookalike_member_is_refused() -> None:
    for prefix in ("xn--cme-5cd.example", "acme_x", "-acme", "acme..example"):
        with pytest.raises(LabelUnknown):
            check_labels([f"{prefix}:word"])


def test_too_many_labels_are_refused_after_counting_each_once() -> None:
    own = [f"acme.example:{number}" for number in range(LABELS_MAX)]
    assert LABELS_MAX == len(check_labels(own * 2))
    with pytest.raises(LabelUnknown):
        check_labels([*own, "tvec1"])


def test_error_does_not_repeat_what_was_typed() -> None:
    with pytest.raises(LabelUnknown) as caught:
        check_labels(["a-name-someone-typed"])
    assert "a-name" not in str(caught.value)
