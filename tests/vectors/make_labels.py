"""Vectors of docs/spec/labels.md: the form that every node reads, and the local door."""

from __future__ import annotations

from collections.abc import Sequence

from federation.local_errors.content import LabelUnknown
from tests.vectors.cases import Case, Json, accepted, refused

VOCABULARY = [
    *[f"tvec{number}" for number in range(9)],
    "tvec.01",
    "content:attacker-manifesto",
    "content:branded-publication",
    "content:livestream",
    "content:url",
    "behaviour:glorification",
    "behaviour:graphic-violence",
    "behaviour:imminent-credible-threat",
    "behaviour:recruitment-instruction",
]
WORDS = {
    "one character": "a",
    "a digit": "9",
    "a vocabulary that nobody has heard of": "tvec9",
    "a prefix": "later:word",
    "dots, hyphens and underscores": "a.b-c_d:e.f-g_h",
    "64 characters": "a" * 31 + ":" + "b" * 32,
}
NOT_WORDS = {
    "no characters": "",
    "65 characters": "a" * 65,
    "upper case": "Tvec1",
    "two colons": "a:b:c",
    "an empty prefix": ":b",
    "nothing after the prefix": "a:",
    "a hyphen at the start": "-a",
    "a dot after the colon": "a:.b",
    "a space": "a b",
    "a line feed at the end": "tvec1\n",
    "a letter outside ASCII": "é",
}


def _door(desc: str, typed: Sequence[str], signed: Sequence[str]) -> Case:
    gives: list[Json] = list(signed)
    return accepted("labels", desc, gives, labels=list(typed))


def _refused_at_door(desc: str, *typed: str) -> Case:
    return refused("labels", desc, LabelUnknown, labels=list(typed))


def cases() -> list[Case]:
    """All cases."""
    own = [f"acme.example:{number:02}" for number in range(17)]
    return [
        _door(
            "the example of the page",
            ["TVEC5", "content:livestream"],
            ["content:livestream", "tvec5"],
        ),
        _door("no labels", [], []),
        *[_door(f"known: {label}", [label], [label]) for label in VOCABULARY],
        _door("typed twice, in two cases, with spaces", [" tvec1", "TVEC1 "], ["tvec1"]),
        _door("a member's own", ["acme.example:matter-7"], ["acme.example:matter-7"]),
        _door("16 labels", own[:16], own[:16]),
        *[
            accepted("label_form", f"the form of a label: {desc}", True, label=label)
            for desc, label in WORDS.items()
        ],
        *[
            accepted("label_form", f"not the form of a label: {desc}", False, label=label)
            for desc, label in NOT_WORDS.items()
        ],
        _refused_at_door("an unknown word", "tvec9"),
        _refused_at_door("one unknown word among known ones", "tvec1", "nonsense"),
        _refused_at_door("no word", ""),
        _refused_at_door("an unknown word under a reserved prefix", "content:other"),
        _refused_at_door("the reserved prefix of incidents", "incident:somewhere-2026"),
        _refused_at_door("the reserved prefix of TVEC", "tvec:1"),
        _refused_at_door("a prefix that is no member's name", "acme_example:word"),
        _refused_at_door("a member with nothing after it", "acme.example:"),
        _refused_at_door("a label of 65 characters", "acme.example:" + "a" * 52),
        _refused_at_door("17 labels", *own),
    ]
