"""Cuts: up to where each branch that is held counts, under one roster and one set of evidence.

A pin says where a log stands for ever: the end of a suspended or departed member's log, and the
place where a key took over from its predecessor. What is held beyond a pin, or on a branch that is
off it, is **cut off**: stored, provable as evidence, without effect in the view. It counts again
when governance moves or lifts the pin. So is, of a log under evidence, what is held of a head in
part: an issuer with two faces may never give the rest to anybody, and nobody is told of it. A pure
function of the roster and of what is held, so that nodes that hold the same agree.

Source: docs/spec/view.md, "Cut off".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from federation.protocol.origins import LogId
from federation.protocol.roster_members import MemberLog


@dataclass(frozen=True, slots=True)
class HeldBranch:
    """As much of a branch as matters to where it counts.

    Attributes:
        branch: its number; larger than that of the branch it begins with.
        size: how many statements are held of it.
        whole_size: how many of them are everything under a head that was accepted, or up to a pin.
        base: the number of the branch it begins with, and how many statements are common; those
            stand once, as that branch's.
    """

    branch: int
    size: int
    whole_size: int
    base: tuple[int, int] | None = None


@dataclass(frozen=True)
class Cuts:
    """Where branches of logs are cut off.

    Attributes:
        ends: (log, branch) -> where a pin or a key's end cuts it off; nowhere where it is not here.
        limits: (log, branch) -> how many of the first statements that stand there count, also for
            the branches that begin with them; all of a branch that is not in it.
    """

    ends: Mapping[tuple[LogId, int], int] = field(default_factory=dict)
    limits: Mapping[tuple[LogId, int], int] = field(default_factory=dict)

    def counts(self, log: LogId, branch: int, index: int) -> bool:
        """Whether the statement at that place counts."""
        limit = self.limits.get((log, branch))
        return limit is None or index < limit


def limits_of(
    branches: Iterable[HeldBranch], ends: Mapping[int, int], *, is_accused: bool
) -> dict[int, int]:
    """How many first statements count of each branch of one log; of what is not in it all do.

    Args:
        branches: every branch held.
        ends: branch -> where :func:`cut_of` ends it, where it does.
        is_accused: whether there is evidence against the log.
    """
    limits, lent = dict[int, int](), dict[int, int]()
    # From the last to the first: each comes before the one that it begins with.
    for held in sorted(branches, key=lambda each: each.branch, reverse=True):
        end = ends.get(held.branch)
        if is_accused and held.whole_size < held.size:
            end = held.whole_size if end is None else min(end, held.whole_size)
        counting = max(held.size if end is None else end, lent.get(held.branch, 0))
        base, common = held.base or (0, 0)
        if end is not None:
            limits[held.branch] = max(counting, common)  # nothing below stands there
        lent[base] = max(lent.get(base, 0), min(counting, common))
    return limits


def pinned_sizes(log: MemberLog, held: int) -> list[int]:
    """The sizes, at most ``held``, at which the roster says what the log's root is."""
    return [pin.size for pin in log.pins if pin.size <= held]


def last_pin(log: MemberLog, root_at: Callable[[int], bytes], held: int) -> int:
    """The largest size at which a pin says what a branch is, and it is that; 0 where there is none.

    Args:
        log: what the roster says of it.
        root_at: the branch's root at a size among :func:`pinned_sizes`.
        held: statements held of the branch.
    """
    stands = 0
    for pin in log.pins:
        if pin.size > held or root_at(pin.size) != pin.root_hash:
            break
        stands = pin.size
    return stands


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
