"""Roles: one table says who may ask for what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.local_errors.askers import RoleNotEnough
from federation.protocol.roster_members import EMPTY_PIN, Member, MemberRole, MemberStatus
from federation.protocol.roster_roles import CALLS_OF, Call, check_may, may, reads_bodies
from tests.builders import ACME, make_roster

ACTIVE = make_roster().roster.member(ACME)


def with_roles(*roles: MemberRole, status: MemberStatus = MemberStatus.ACTIVE) -> Member:
    """Acme with these roles; its logs end where it may not publish."""
    logs = tuple(replace(log, pin=EMPTY_PIN) for log in ACTIVE.logs)
    publishes = MemberRole.MEMBER in roles and status is MemberStatus.ACTIVE
    return replace(
        ACTIVE, roles=frozenset(roles), status=status, logs=ACTIVE.logs if publishes else logs
    )


def test_a_publishing_member_may_ask_for_everything() -> None:
    assert all(may(with_roles(MemberRole.MEMBER), call) for call in Call)


def test_an_observer_reads_bodies_and_has_no_log_to_be_witnessed() -> None:
    observer = with_roles(MemberRole.OBSERVER)
    assert reads_bodies(observer)
    assert {Call.ADD_CHECKPOINT} == {call for call in Call if not may(observer, call)}


@pytest.mark.parametrize("role", [MemberRole.AUDITOR, MemberRole.WITNESS])
def test_who_only_looks_gets_no_body(role: MemberRole) -> None:
    looking = with_roles(role)
    assert not reads_bodies(looking)
    assert not {Call.ANNOUNCE, Call.HEADS, Call.STATEMENTS} & {c for c in Call if may(looking, c)}
    assert may(looking, Call.ROSTER)


def test_an_auditor_reads_bodies_where_the_roster_makes_it_an_observer_too() -> None:
    assert reads_bodies(with_roles(MemberRole.AUDITOR, MemberRole.OBSERVER))


@pytest.mark.parametrize("status", [MemberStatus.SUSPENDED, MemberStatus.DEPARTED])
def test_a_member_that_is_not_active_may_ask_for_nothing(status: MemberStatus) -> None:
    gone = with_roles(MemberRole.MEMBER, MemberRole.OBSERVER, status=status)
    assert not any(may(gone, call) for call in Call)
    with pytest.raises(RoleNotEnough, match=status):
        check_may(gone, Call.ROSTER)


def test_a_refusal_names_the_roles_and_the_call() -> None:
    with pytest.raises(RoleNotEnough, match="is auditor here, which does not allow statements"):
        check_may(with_roles(MemberRole.AUDITOR), Call.STATEMENTS)


def test_every_role_has_its_line() -> None:
    assert set(MemberRole) == set(CALLS_OF)
