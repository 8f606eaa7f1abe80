"""Who can be reached from where: by the roster alone, and the same seen from both sides."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import MappingProxyType

import pytest

from federation.gossip.reach import reachable_from, readers_of, takes_calls
from federation.protocol.roster import Roster
from federation.protocol.roster_members import EMPTY_PIN, MemberRole, MemberStatus
from tests.builders import ACME, NOVA, UMBRA, make_roster


def roster_of(**changes: object) -> Roster:
    """Three members; ``acme={"urls": ()}`` changes one."""
    roster = make_roster().roster
    members = dict(roster.members)
    for name, change in changes.items():
        member = members[f"{name}.example"]
        fields = dict(change)  # type: ignore[call-overload]
        roles = fields.get("roles", member.roles)
        if MemberRole.MEMBER not in roles or fields.get("status", MemberStatus.ACTIVE) != "active":
            fields["logs"] = tuple(replace(log, pin=EMPTY_PIN) for log in member.logs)
        members[member.name] = replace(member, **fields)
    return replace(roster, members=MappingProxyType(members))


def test_everybody_reaches_everybody_who_has_a_url() -> None:
    roster = roster_of()
    assert (NOVA, UMBRA) == reachable_from(roster, ACME)


def test_who_has_no_url_reaches_those_who_have_one_and_is_reached_by_them() -> None:
    roster = roster_of(acme={"urls": ()}, nova={"urls": ()})
    assert (UMBRA,) == reachable_from(roster, ACME)
    assert (UMBRA,) == reachable_from(roster, NOVA)
    assert (ACME, NOVA) == reachable_from(roster, UMBRA)
    assert (NOVA, UMBRA) == readers_of(roster, ACME)


@pytest.mark.parametrize("without", [(), ("acme",), ("acme", "nova"), ("acme", "nova", "umbra")])
def test_reach_is_the_same_from_both_sides(without: tuple[str, ...]) -> None:
    roster = roster_of(**{name: {"urls": ()} for name in without})
    for one, other in combinations(roster.members, 2):
        assert (other in reachable_from(roster, one)) is (one in reachable_from(roster, other))


def test_who_may_not_read_is_not_told() -> None:
    roster = roster_of(
        nova={"roles": frozenset({MemberRole.AUDITOR})}, umbra={"status": MemberStatus.SUSPENDED}
    )
    assert () == reachable_from(roster, ACME)


def test_a_member_that_is_in_no_roster_yet_reaches_those_with_a_url() -> None:
    roster = roster_of(nova={"urls": ()})
    assert not takes_calls(roster, "new.example")
    assert (ACME, UMBRA) == reachable_from(roster, "new.example")
