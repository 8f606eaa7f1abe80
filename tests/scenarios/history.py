"""A history: what was done and what came of it, one entry a line; all that a check may look at.

Every op of a step leaves an entry when it is over, with the time at which it was over and whether
it succeeded. These carry a result::

    publish, withdraw, erase   {"key": …, "log": origin, "ids": [id], "size": n}
                               ok: the node acknowledged it; false: refused, or no answer came
    seen                       {"key": …}: written by the backend itself when all that ``key`` said
                               can first be read at that node (real processes: asked often)
    failed                     {"why": …}: a process ended by itself, or said what none should
    misdeed                    {"what": …}: written by the backend when a hostile member did harm of
                               its kind, the first time or in the end
    observe                    {"heads": {origin: [size, root hex]}, "ids": [id], "view": hex,
                                "faults": {peer: n}, "accused": [origin],
                                "counts": {peer: {word: n}}, "receipts": {origin: [peer]}}
    glance                     of these, at least ``heads``, ``faults`` and ``accused``

``ids`` are as the local API shows them (``st_…``). Of an observation, ``heads`` are the logs held
and not accused, ``ids`` the statements that the node can read, opened or erased; ``view`` is a
digest of its merged view, or null where the backend cannot tell; ``counts`` is what operators are
shown of each peer (``federation peers``), by ``COUNTED``; ``receipts`` are those on the
newest heads of its own logs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

COUNTED: Final = ("faults", "unserved", "waits", "unjudged", "repeats", "unsigned")
"""Of a peer: see ``PeerStanding``; ``unsigned``: statements it says to hold, without a receipt."""


@dataclass(frozen=True)
class Entry:
    """One line of a history.

    Attributes:
        at: seconds from the beginning, on a clock that never goes back.
        op: as in the scenario, or ``seen`` or ``failed``.
        node: where; "" where it concerns the network.
        ok: whether it succeeded.
        result: see the module.
    """

    at: float
    op: str
    node: str = ""
    ok: bool = True
    result: Mapping[str, Any] = field(default_factory=dict)


class History:
    """All entries, in the order in which they happened."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = list(entries)

    def add(self, entry: Entry) -> None:
        """Something is over."""
        self.entries.append(entry)

    def of(self, *ops: str) -> Iterator[Entry]:
        """The entries of these ops."""
        return (entry for entry in self.entries if entry.op in ops)

    def acknowledged(self) -> Iterator[Entry]:
        """What was said, and acknowledged."""
        return (entry for entry in self.of("publish", "withdraw", "erase") if entry.ok)

    def last_observations(self) -> dict[str, Entry]:
        """What each node held in the end."""
        return {entry.node: entry for entry in self.of("observe") if entry.ok}


def parse_history(text: str) -> History:
    """Read JSON lines."""
    return History(Entry(**json.loads(line)) for line in text.splitlines())


def format_history(history: History) -> str:
    """Write JSON lines; the inverse of :func:`parse_history`."""
    return "".join(json.dumps(asdict(entry)) + "\n" for entry in history.entries)
