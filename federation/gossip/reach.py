"""Who can be reached from here: a rule of the roster alone, the same on every node.

Two members can speak if either has a URL: the one with a URL is connected to, and where only the
asker has one, its calls wait until the other polls for them. Two that both only call others hear
of each other through everybody else.

Source: docs/internals/gossip.md.
"""

from __future__ import annotations

from federation.protocol.roster import Roster
from federation.protocol.roster_roles import reads_bodies


def readers_of(roster: Roster, member: str) -> tuple[str, ...]:
    """Everybody else who may read bodies, reachable or not, in the order of names."""
    return tuple(
        sorted(
            each.name
            for each in roster.members.values()
            if each.name != member and reads_bodies(each)
        )
    )


def callers_of(roster: Roster) -> frozenset[str]:
    """Everybody who cannot be connected to, and only calls others."""
    return frozenset(each.name for each in roster.members.values() if not each.urls)


def takes_calls(roster: Roster, member: str) -> bool:
    """Whether a member's node can be connected to; not, for one that is in no roster yet."""
    found = roster.members.get(member)
    return found is not None and bool(found.urls)


def reachable_from(roster: Roster, member: str) -> tuple[str, ...]:
    """Those of :func:`readers_of` whom this member can speak to, in the order of names."""
    own = takes_calls(roster, member)
    readers = readers_of(roster, member)
    return readers if own else tuple(name for name in readers if takes_calls(roster, name))
