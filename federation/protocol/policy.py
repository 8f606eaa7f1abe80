"""Quorum policies: how many others must have seen a head before an auditor is satisfied.

``none`` must be written out: an empty list of cosigners is never a pass.

Source: docs/spec/policy.md; C2SP tlog-policy for the idea.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from federation.errors import RequestMalformed
from federation.protocol.limits import MEMBERS_MAX

NONE: Final = "none"
_COUNT = re.compile(r"[1-9][0-9]{0,3}\Z")


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many members other than the log's own must have cosigned.

    Attributes:
        count: 1 to ``MEMBERS_MAX``, or 0 where ``none`` was written out.
    """

    count: int

    def __str__(self) -> str:
        return str(self.count) if self.count else NONE

    def is_met_by(self, cosigners: int) -> bool:
        """Whether that many different members are enough."""
        return cosigners >= self.count


def parse_quorum(text: str) -> Quorum:
    """Read ``none`` or a count.

    Raises:
        RequestMalformed: anything else; 0 and the empty text too.
    """
    if text == NONE:
        return Quorum(0)
    if not _COUNT.match(text) or int(text) > MEMBERS_MAX:
        raise RequestMalformed(
            "a quorum is a number of members from 1, or the word none",
            hint="write none only if you mean to trust the log's own word",
        )
    return Quorum(int(text))
