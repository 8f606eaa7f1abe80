"""Amendments: what governance changes about one member, each as a function from member to member.

A proposal made of them is :func:`propose_members`: whatever is not changed goes on as it stood,
extension fields included. Each function keeps the rules of docs/spec/roster.md by making a
:class:`Member`, which cannot be made otherwise.

Source: docs/spec/roster.md, "Proposals".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from federation.errors import RequestMalformed
from federation.protocol.headers import StatementId
from federation.protocol.join_requests import JoinRequest
from federation.protocol.origins import Cosigner, Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import (
    LogKey,
    Member,
    MemberLog,
    MemberRole,
    MemberStatus,
    Pin,
)
from federation.protocol.roster_proposals import (
    EXPIRES_DAYS,
    Proposal,
    propose_facts,
    roster_facts,
    write_member,
)

Pins: TypeAlias = Mapping[Lane, Pin]
"""Where the newest log of each lane ends, or where its next key starts."""

LOG_PURPOSES: Final = tuple(str(lane) for lane in Lane)
TLS: Final = "tls"
PURPOSES: Final = (*LOG_PURPOSES, *(str(cosigner) for cosigner in Cosigner), TLS)
"""What keys are for, as commands and diffs name them."""


def propose_members(
    chain: RosterChain,
    members: Iterable[Member],
    *,
    now_ms: int,
    expires_days: int = EXPIRES_DAYS,
) -> Proposal:
    """The next version, in which these members stand as given.

    Args:
        chain: what is agreed today.
        members: changed ones, each known to the roster by its name.
        now_ms: Unix milliseconds.
        expires_days: how long the version admits and governs.

    Raises:
        MemberUnknown: one is not in the roster.
        RosterMalformed, RosterUnproven: together they break a rule, or unsay something.
        RequestMalformed: an expiry out of range.
    """
    facts = _facts_with(chain, members)
    return propose_facts(chain, facts, now_ms=now_ms, expires_days=expires_days)


def propose_remove(
    chain: RosterChain,
    member: str,
    pins: Mapping[LogId, Pin],
    *,
    now_ms: int,
    successor: str | None = None,
    expires_days: int = EXPIRES_DAYS,
) -> Proposal:
    """The next version, in which a member has departed; what it said up to the pins stands.

    Args:
        chain: what is agreed today.
        member: who leaves.
        pins: where each of its open logs ends; ``EMPTY_PIN`` for one that never published.
        now_ms: Unix milliseconds.
        successor: who may take back its statements from then on.
        expires_days: how long the version admits and governs.

    Raises:
        MemberUnknown: there is no such member.
        RosterMalformed: the successor is no other member.
        RequestMalformed: an open log has no pin, or an expiry out of range.
    """
    departing = chain.newest.member(member)
    by_lane = {
        log.lane: pins[log_id]
        for log in departing.logs
        if log.is_open
        and (log_id := LogId(member, chain.federation_id, log.lane, log.epoch)) in pins
    }
    leaving = departed(departing, by_lane, successor)
    return propose_members(chain, [leaving], now_ms=now_ms, expires_days=expires_days)


def propose_rulings(
    chain: RosterChain,
    members: Iterable[Member] = (),
    *,
    withdrawn: Iterable[StatementId] = (),
    erased: Iterable[StatementId] = (),
    now_ms: int,
    expires_days: int = EXPIRES_DAYS,
) -> Proposal:
    """The next version, in which governance takes statements back, or orders them to be erased.

    Args:
        chain: what is agreed today.
        members: changed ones beside it, as for :func:`propose_members`.
        withdrawn: taken back.
        erased: salt and body must go.
        now_ms: Unix milliseconds.
        expires_days: how long the version admits and governs.

    Raises:
        MemberUnknown: one is not in the roster.
        RosterMalformed: more ids than a roster holds.
        RequestMalformed: an expiry out of range.
    """
    facts = _facts_with(chain, members)
    _add_ids(facts, "withdrawn", withdrawn)
    _add_ids(facts, "erased", erased)
    return propose_facts(chain, facts, now_ms=now_ms, expires_days=expires_days)


def _facts_with(chain: RosterChain, members: Iterable[Member]) -> dict[str, Any]:
    facts = roster_facts(chain)
    for member in members:
        chain.newest.member(member.name)
        fields = next(part for part in facts["members"] if part["name"] == member.name)
        _write_over(fields, write_member(member))
    return facts


def _add_ids(facts: dict[str, Any], field: str, ids: Iterable[StatementId]) -> None:
    facts[field] = sorted({*facts[field], *map(str, ids)})


def _write_over(fields: dict[str, Any], written: dict[str, Any]) -> None:
    """Put a member's fields over its former ones; what only a later release knows stays."""
    logs = [
        {**before, **after} for before, after in zip(fields["logs"], written["logs"], strict=False)
    ]
    fields.pop("mldsa44_keys", None)
    fields.update(written)
    fields["logs"] = [*logs, *written["logs"][len(logs) :]]


# --- standing -------------------------------------------------------------------------------------


def suspended(member: Member, pins: Pins) -> Member:
    """Its word ends at these pins, until governance lifts them.

    Raises:
        RequestMalformed: an open log has no pin, or the member is not active.
    """
    if not member.is_active:
        raise RequestMalformed(f"{member.name} is {member.status} already")
    return replace(member, status=MemberStatus.SUSPENDED, logs=_ended(member, pins))


def departed(member: Member, pins: Pins, successor: str | None = None) -> Member:
    """It left; what it said up to the pins stands for ever.

    Raises:
        RequestMalformed: an open log has no pin.
    """
    logs = _ended(member, pins)
    return replace(member, status=MemberStatus.DEPARTED, successor=successor, logs=logs)


def lifted(member: Member) -> Member:
    """Active again, each lane open where it was before the suspension: all it said counts.

    Raises:
        RequestMalformed: it is not suspended.
    """
    if member.status is not MemberStatus.SUSPENDED:
        raise RequestMalformed(f"{member.name} is not suspended")
    newest = {log.lane: log.epoch for log in member.logs}
    publishes = MemberRole.MEMBER in member.roles
    logs = [
        replace(log, pin=None) if publishes and log.epoch == newest[log.lane] else log
        for log in member.logs
    ]
    return replace(member, status=MemberStatus.ACTIVE, logs=tuple(logs))


def succeeded(member: Member, successor: str | None) -> Member:
    """Who may take back what a departed member said.

    Raises:
        RosterMalformed: it did not depart.
    """
    return replace(member, successor=successor)


def _ended(member: Member, pins: Pins) -> tuple[MemberLog, ...]:
    logs = []
    for log in member.logs:
        if log.is_open and log.lane not in pins:
            raise RequestMalformed(f"no pin says where the {log.lane} log of {member.name} ends")
        logs.append(replace(log, pin=pins[log.lane]) if log.is_open else log)
    return tuple(logs)


# --- place and roles ------------------------------------------------------------------------------


def readdressed(member: Member, urls: tuple[str, ...]) -> Member:
    """Reached elsewhere.

    Raises:
        RosterMalformed: one is no ``https://host[:port][/path]``.
    """
    return replace(member, urls=urls)


def with_roles(
    member: Member, roles: frozenset[MemberRole], pins: Pins, request: JoinRequest | None = None
) -> Member:
    """Other roles: who may not publish any more has its logs end, who may needs keys for some.

    Args:
        member: as it is.
        roles: all it will have.
        pins: where its logs end; needed where it published and will not.
        request: its keys; needed where it will publish and has no open log.

    Raises:
        RequestMalformed: a pin or the request is missing, or the request is another member's or
            has no keys.
        RosterMalformed: a key that the roles need is missing.
    """
    publishes = MemberRole.MEMBER in roles
    if member.publishes and not publishes:
        return replace(member, roles=roles, logs=_ended(member, pins))
    if publishes and not member.publishes:
        if request is None:
            raise RequestMalformed(f"{member.name} will publish: give its request with the keys")
        _check_request(member, request, roles)
        return _with_keys(member, request, _restarted(member, request), roles=roles)
    return replace(member, roles=roles)


# --- keys -----------------------------------------------------------------------------------------


def changed_keys(member: Member, request: JoinRequest) -> tuple[str, ...]:
    """What of ``PURPOSES`` a request has another key for than the roster; of what its roles use.

    Raises:
        RequestMalformed: the request is another member's, or has no keys and the roles need them.
    """
    _check_request(member, request, member.roles)
    held: dict[str, bytes] = {log.lane: log.public for log in member.logs}  # the newest epoch's
    held |= {each: keys[-1] for each in Cosigner if (keys := member.cosigner_keys(each))}
    used = _used_keys(member.roles)
    changed = [purpose for purpose in used if request.keys[purpose] != held.get(purpose)]
    if request.tls_identity not in member.tls_identities[-1:]:
        changed.append(TLS)
    return tuple(changed)


def _used_keys(roles: frozenset[MemberRole]) -> tuple[str, ...]:
    """What a member with these roles has keys for; an observer or auditor for nothing."""
    if MemberRole.MEMBER in roles:
        return (*Lane, *Cosigner)
    return (Cosigner.WITNESS,) if MemberRole.WITNESS in roles else ()


def _check_request(member: Member, request: JoinRequest, roles: frozenset[MemberRole]) -> None:
    if request.member != member.name:
        raise RequestMalformed(f"the request is of {request.member}, not of {member.name}")
    if _used_keys(roles) and not request.keys:
        raise RequestMalformed(
            f"{member.name} asks for no keys: it can be an observer or an auditor",
            hint="for a member, make the request without --observer-of",
        )


def rekeyed(member: Member, request: JoinRequest, starts: Pins) -> Member:
    """Its next keys: a log goes on under the new one from where it starts.

    For keys that were not stolen. The former TLS identity stays beside the new one until
    :func:`settled`; former cosigner keys stay for ever.

    Args:
        member: as it is.
        request: all of its keys, those that stay included; proofs checked.
        starts: where the new key of a lane starts.

    Raises:
        RequestMalformed: another member's request or one without the keys that its roles need, no
            start for a lane with a new key, or nothing changes.
    """
    changed = changed_keys(member, request)
    second = _second_keys(member.roles, member, request)
    if not changed and second == member.mldsa44_keys:
        raise RequestMalformed("the request holds the very keys that the roster holds")
    logs = []
    for log in member.logs:
        if not log.is_open or log.lane not in changed:
            logs.append(log)
            continue
        if log.lane not in starts:
            raise RequestMalformed(f"nothing says where the new {log.lane} key starts")
        key = LogKey(request.keys[log.lane], starts[log.lane])
        logs.append(replace(log, keys=(*log.keys, key)))
    rekeyed_member = _with_keys(member, request, tuple(logs))
    if TLS not in changed:
        return replace(rekeyed_member, tls_identities=member.tls_identities)
    identities = (*member.tls_identities[-1:], request.tls_identity)
    return replace(rekeyed_member, tls_identities=identities)


def settled(member: Member) -> Member:
    """The former TLS identity is taken out: nobody gets in by it any more.

    Raises:
        RequestMalformed: there is one only.
    """
    if len(member.tls_identities) < 2:  # noqa: PLR2004 - the former and the present one
        raise RequestMalformed(f"{member.name} has no former TLS identity")
    return replace(member, tls_identities=member.tls_identities[-1:])


def restored(member: Member, request: JoinRequest) -> Member:
    """Active again under new keys, after its old ones were stolen: each lane opens a new epoch.

    What it said up to the pins stands, and what was said beyond them in its name never counts.

    Raises:
        RequestMalformed: another member's request or one without the keys that its roles need; the
            member is not suspended; or the request holds a key that the roster holds already.
    """
    if member.status is not MemberStatus.SUSPENDED:
        raise RequestMalformed(f"{member.name} is not suspended")
    kept = {*_used_keys(member.roles), TLS} - set(changed_keys(member, request))
    if kept:
        raise RequestMalformed(
            f"the request holds keys that were there before: {', '.join(sorted(kept))}",
            hint="after a theft all keys are new: federation keys renew all",
        )
    logs = _restarted(member, request) if MemberRole.MEMBER in member.roles else member.logs
    return _with_keys(member, request, logs, status=MemberStatus.ACTIVE)


def _restarted(member: Member, request: JoinRequest) -> tuple[MemberLog, ...]:
    logs = list(member.logs)
    for lane in Lane:
        epochs = [log.epoch for log in member.logs if log.lane is lane]
        opened = MemberLog(lane, max(epochs, default=-1) + 1, (LogKey(request.keys[lane]),))
        logs.append(opened)
    order = list(Lane)
    return tuple(sorted(logs, key=lambda log: (order.index(log.lane), log.epoch)))


def _with_keys(
    member: Member, request: JoinRequest, logs: tuple[MemberLog, ...], **changes: Any
) -> Member:
    """The keys and the identity of a request, these logs, and what changes with them.

    Of the cosigners' keys only those that the roles use: a company's further machines are no
    further opinions, whatever they ask for.
    """
    roles = changes.get("roles", member.roles)
    keys = {
        cosigner: tuple(dict.fromkeys((*member.cosigner_keys(cosigner), request.keys[cosigner])))
        if cosigner in _used_keys(roles)
        else member.cosigner_keys(cosigner)
        for cosigner in Cosigner
    }
    return replace(
        member,
        logs=logs,
        witness_keys=keys[Cosigner.WITNESS],
        mirror_keys=keys[Cosigner.MIRROR],
        tls_identities=(request.tls_identity,),
        mldsa44_keys=_second_keys(roles, member, request),
        **changes,
    )


def _second_keys(
    roles: frozenset[MemberRole], member: Member, request: JoinRequest
) -> tuple[tuple[str, bytes], ...]:
    asked = request.mldsa44_keys if MemberRole.MEMBER in roles else ()
    return asked or member.mldsa44_keys
