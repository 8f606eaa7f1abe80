"""Quorum policies: how many others must have seen a head before an auditor is satisfied.

``none`` must be written out: an empty list of cosigners is never a pass. ``+mldsa44`` behind it
asks for a second, post-quantum signature line of the log and of each that counts.

Source: docs/spec/policy.md; C2SP tlog-policy for the idea.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from federation.errors import RequestMalformed
from federation.protocol.limits import MEMBERS_MAX

NONE: Final = "none"
SECOND_LINES: Final = "+mldsa44"
_COUNT = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many members other than the log's own must have cosigned.

    Attributes:
        count: 1 to ``MEMBERS_MAX``, or 0 where ``none`` was written out.
        second_lines: whether an ML-DSA-44 line of each must stand beside the Ed25519 one.
    """

    count: int
    second_lines: bool = False

    def __str__(self) -> str:
        return (str(self.count) if self.count else NONE) + SECOND_LINES * self.second_lines

    def is_met_by(self, cosigners: int) -> bool:
        """Whether that many different members are enough."""
        return cosigners >= self.count


def parse_quorum(text: str) -> Quorum:
    """Read ``none`` or a count, and whether second lines are asked for.

    Raises:
        RequestMalformed: anything else; 0 and the empty text too.
    """
    number = text.removesuffix(SECOND_LINES)
    if number == NONE:
        return Quorum(0, number != text)
    if not _COUNT.match(number) or int(number) > MEMBERS_MAX:
        raise RequestMalformed(
            "a quorum is a number of members from 1, or the word none",
            hint="write none only if you mean to trust the log's own word",
        )
    return Quorum(int(number), number != text)
