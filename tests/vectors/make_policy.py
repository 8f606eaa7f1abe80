"""Vectors of docs/spec/policy.md: how many cosigners an auditor asks for."""

from __future__ import annotations

from federation.errors import RequestMalformed
from tests.vectors.cases import Case, accepted, refused

COUNTS = {
    "one other member": "1",
    "three": "3",
    "ten": "10",
    "as many as a roster holds": "1000",
}
BROKEN = {
    "nothing written at all": "",
    "zero, which would be an empty list": "0",
    "a leading zero": "03",
    "a sign": "+3",
    "a negative number": "-1",
    "more than a roster holds": "1001",
    "very many digits": "9" * 30,
    "a space before it": " 3",
    "a line feed after it": "3\n",
    "a fraction": "1.5",
    "digits of another script": "\u0663",
    "none in upper case": "NONE",
    "another word": "all",
    "a list": "1,2",
    "second lines of nobody": "+mldsa44",
    "second lines twice": "2+mldsa44+mldsa44",
    "second lines in upper case": "2+MLDSA44",
    "second lines after a space": "2 +mldsa44",
    "second lines of a kind that is not defined": "2+mldsa65",
    "second lines of none in upper case": "NONE+mldsa44",
}
SECOND = {"two, with second lines": "2+mldsa44", "none, with the log's second line": "none+mldsa44"}


def cases() -> list[Case]:
    """All cases; ``gives`` is the count, and 0 where none was written out.

    Where second lines are asked for too, it is the text in its one form.
    """
    return [
        *[accepted("quorum", desc, int(text), text=text) for desc, text in COUNTS.items()],
        accepted("quorum", "none, written out", 0, text="none"),
        *[accepted("quorum", desc, text, text=text) for desc, text in SECOND.items()],
        *[refused("quorum", desc, RequestMalformed, text=text) for desc, text in BROKEN.items()],
    ]
