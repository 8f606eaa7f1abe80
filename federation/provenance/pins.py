"""Pins: up to where each log that is held counts, under one roster.

A pin says where a log stands for ever: the end of a suspended or departed member's log, and the
place where a key took over from its predecessor. What is held beyond a pin, or on a branch that is
off it, is **cut off**: stored, provable as evidence, without effect in the view. It counts again
when governance moves or lifts the pin. A pure function of the roster and of what is held, so that
nodes that hold the same agree.

Source: docs/spec/view.md, "Cut off".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from federation.protocol.origins import LogId
from federation.protocol.roster_members import MemberLog


@dataclass(frozen=True)
class Cuts:
    """Where branches of logs are cut off.

    Attributes:
        ends: (log, branch) -> how many of its first statements count; all of a branch that is not
            in it.
    """

    ends: Mapping[tuple[LogId, int], int] = field(default_factory=dict)

    def counts(self, log: LogId, branch: int, index: int) -> bool:
        """Whether the statement at that place counts."""
        end = self.ends.get((log, branch))
        return end is None or index < end


def pinned_sizes(log: MemberLog, held: int) -> list[int]:
    """The sizes, at most ``held``, at which the roster says what the log's root is."""
    return [pin.size for pin in log.pins if pin.size <= held]


def cut_of(
    log: MemberLog, root_at: Callable[[int], bytes], held: int, signer: bytes | None
) -> int | None:
    """How many first statements of a branch count; None where all of them do.

    Args:
        log: what the roster says of it.
        root_at: the branch's root at a size among :func:`pinned_sizes`.
        held: statements held of the branch.
        signer: the public key that signed the newest head accepted of it, if any was.
    """
    stands = 0
    for pin in log.pins:
        if pin.size <= held and root_at(pin.size) != pin.root_hash:
            return stands
        stands = min(pin.size, held)
    if log.pin is not None and log.pin.size <= held:
        return log.pin.size
    # What only a retired key signed for, beyond the place where its word ends, waits for a head by
    # the key in use: until then nobody who speaks for the log has said it.
    publics = [key.public for key in log.keys]
    if signer in publics[:-1]:
        following = log.keys[publics.index(signer) + 1].start
        if following is not None and following.size < held:
            return following.size
    return None
