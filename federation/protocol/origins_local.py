"""What only this node's own doors ask about names: the lane that somebody typed.

Source: docs/spec/origins.md.
"""

from __future__ import annotations

from federation.local_errors.proofs import LaneUnknown
from federation.protocol.origins import Lane


def parse_lane(text: str) -> Lane:
    """The lane of that name.

    Raises:
        LaneUnknown: not crisis, live or bulk.
    """
    try:
        return Lane(text)
    except ValueError:
        raise LaneUnknown("a lane is one of: crisis, live, bulk") from None
