"""Proposals: the next roster on its way from one governor to the next.

A proposal is the next ``N.root.json`` itself with the signatures it has so far, so signing needs
that one file and a key, on a machine that may have no network. What a governor signs is what
:meth:`Proposal.diff` says; :func:`finish` lets nothing out that the chain would not take.

Source: docs/spec/roster.md, "Proposals".
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from federation.errors import RequestMalformed, RosterMalformed, RosterUnproven
from federation.protocol.join_requests import JoinRequest, Possessor
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.roster import FACTS_FORMAT, Roster, RosterLimits, parse_roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_changes import describe_changes
from federation.protocol.roster_drafts import (
    SignatureTally,
    compose_root,
    drop_signatures,
    sign_root,
    tally_signatures,
)
from federation.protocol.roster_fields import Json
from federation.protocol.roster_members import (
    LogKey,
    Member,
    MemberLog,
    MemberRole,
    MemberStatus,
    Pin,
)
from federation.protocol.roster_root import (
    FACTS_FIELD,
    check_threshold,
    decode_root,
    read_governors,
)
from federation.protocol.texts import format_base64

EXPIRES_DAYS: Final = 90
"""Long enough for a ceremony each quarter, short enough that a lost quorum is noticed."""

EXPIRES_DAYS_MAX: Final = 366
PUBLIC_DELAY_SECONDS: Final = 900
DAY_SECONDS: Final = 24 * 3_600

PUBLISHER: Final = frozenset({MemberRole.MEMBER})


@dataclass(frozen=True)
class Proposal:
    """A roster that is not signed by everyone yet.

    Attributes:
        proposal_bytes: the file that travels.
        roster: what it would be; not proven. A founding has no federation id that will last.
        before: what it follows; None for a founding, or where it is not at hand.
    """

    proposal_bytes: bytes = field(repr=False)
    roster: Roster
    before: Roster | None

    def diff(self) -> list[str]:
        """What it changes, for people: lines after ``- `` go, lines after ``+ `` come."""
        return describe_changes(self.before, self.roster)


# --- proposing ------------------------------------------------------------------------------------


def propose_founding(
    requests: Iterable[JoinRequest],
    governors: Iterable[bytes],
    threshold: int,
    *,
    now_ms: int,
    expires_days: int = EXPIRES_DAYS,
    limits: RosterLimits | None = None,
    public_delay_seconds: int = PUBLIC_DELAY_SECONDS,
) -> Proposal:
    """Version 1, with everyone who asked as a publishing member.

    Args:
        requests: the founding members' requests.
        governors: Ed25519 public keys of those who will decide.
        threshold: how many of them decide.
        now_ms: Unix milliseconds.
        expires_days: how long the version admits and governs.
        limits: what every node agrees on; they may grow later and never shrink.
        public_delay_seconds: how far public endpoints may lag.

    Raises:
        RosterMalformed, KeyWeak: two requests share a name or key, or k of n cannot be.
        RequestMalformed: an expiry out of range.
    """
    limits = limits or RosterLimits()
    members = [_requested_member(request, PUBLISHER) for request in requests]
    facts: dict[str, Json] = {
        "erased": [],
        "federation_id": None,
        "format": FACTS_FORMAT,
        "limits": {
            "body_bytes": limits.body_bytes,
            "epochs": limits.epochs,
            "log_size": limits.log_size,
        },
        "members": [write_member(member) for member in sorted(members, key=_name)],
        "public_delay_seconds": public_delay_seconds,
        "withdrawn": [],
    }
    keys = tuple(governors)
    check_threshold(threshold, len(keys))
    root_bytes = compose_root(
        version=1,
        expires_at_seconds=_expiry(now_ms, expires_days),
        governors=keys,
        threshold=threshold,
        fields={FACTS_FIELD: facts},
    )
    return parse_proposal(root_bytes, None)


def propose_add(
    chain: RosterChain,
    request: JoinRequest,
    *,
    now_ms: int,
    roles: frozenset[MemberRole] = PUBLISHER,
    expires_days: int = EXPIRES_DAYS,
) -> Proposal:
    """The next version, with one more member.

    Args:
        chain: what is agreed today.
        request: of the new member.
        now_ms: Unix milliseconds.
        roles: what it may do; without ``member`` it gets no logs.
        expires_days: how long the version admits and governs.

    Raises:
        RosterMalformed: the name or a key is already in the roster.
        RosterUnproven: a key was somebody else's in an earlier version.
        RequestMalformed: an expiry out of range.
    """
    facts = roster_facts(chain)
    if request.member in chain.newest.members:
        raise RosterMalformed(f"{request.member} is already in the roster")
    facts["members"].append(write_member(_requested_member(request, roles)))
    facts["members"].sort(key=lambda member: member["name"])
    return propose_facts(chain, facts, now_ms=now_ms, expires_days=expires_days)


def propose_refresh(
    chain: RosterChain, *, now_ms: int, expires_days: int = EXPIRES_DAYS
) -> Proposal:
    """The next version, which changes nothing but the expiry.

    Raises:
        RequestMalformed: an expiry out of range.
    """
    return propose_facts(chain, roster_facts(chain), now_ms=now_ms, expires_days=expires_days)


def propose_governors(
    chain: RosterChain,
    governors: Iterable[bytes],
    threshold: int,
    *,
    now_ms: int,
    expires_days: int = EXPIRES_DAYS,
) -> Proposal:
    """The next version, with other governors; those of today and the new ones must both sign.

    Raises:
        RosterMalformed, KeyWeak: k of n cannot be, or a key is somebody's already.
        RosterUnproven: one governor alone would decide where several did.
        RequestMalformed: an expiry out of range.
    """
    return propose_facts(
        chain,
        roster_facts(chain),
        now_ms=now_ms,
        expires_days=expires_days,
        governance=(tuple(governors), threshold),
    )


def propose_facts(
    chain: RosterChain,
    facts: dict[str, Any],
    *,
    now_ms: int,
    expires_days: int = EXPIRES_DAYS,
    governance: tuple[tuple[bytes, ...], int] | None = None,
) -> Proposal:
    """The next version, with these facts; see :func:`roster_facts`.

    Raises:
        RosterMalformed, RosterUnproven: they break a rule, or unsay something.
        RequestMalformed: an expiry out of range.
    """
    governors, threshold = governance or (chain.newest.governors, chain.newest.threshold)
    check_threshold(threshold, len(governors))
    fields = decode_root(chain.newest.root_bytes).signed.unrecognized_fields
    facts["federation_id"] = chain.federation_id
    root_bytes = compose_root(
        version=chain.newest.version + 1,
        expires_at_seconds=_expiry(now_ms, expires_days),
        governors=governors,
        threshold=threshold,
        fields={**fields, FACTS_FIELD: facts},
    )
    return parse_proposal(root_bytes, chain)


def roster_facts(chain: RosterChain) -> dict[str, Any]:
    """A copy of the newest version's raw facts: extension fields go on untouched."""
    facts = decode_root(chain.newest.root_bytes).signed.unrecognized_fields[FACTS_FIELD]
    return copy.deepcopy(dict(facts))


def _expiry(now_ms: int, expires_days: int) -> int:
    if not 1 <= expires_days <= EXPIRES_DAYS_MAX:
        raise RequestMalformed(f"a roster expires after 1 to {EXPIRES_DAYS_MAX} days")
    return now_ms // 1_000 + expires_days * DAY_SECONDS


def _requested_member(request: JoinRequest, roles: frozenset[MemberRole]) -> Member:
    publishes = MemberRole.MEMBER in roles
    if not request.keys and (publishes or MemberRole.WITNESS in roles):
        raise RequestMalformed(
            f"{request.member} asks for no keys: it can be an observer or an auditor",
            hint="add --role observer; for a member, make the request without --observer-of",
        )
    logs = (
        tuple(MemberLog(lane, 0, (LogKey(request.keys[lane]),)) for lane in Lane)
        if publishes
        else ()
    )
    # Who holds nothing to cosign with vouches for nobody: a company's further machines are no
    # further opinions.
    cosigns = publishes or MemberRole.WITNESS in roles
    return Member(
        name=request.member,
        roles=roles,
        status=MemberStatus.ACTIVE,
        successor=None,
        urls=request.urls,
        logs=logs,
        witness_keys=(request.keys[Cosigner.WITNESS],) if cosigns else (),
        mirror_keys=(request.keys[Cosigner.MIRROR],) if publishes else (),
        tls_identities=(request.tls_identity,),
        mldsa44_keys=request.mldsa44_keys if publishes else (),
    )


# --- signing and finishing ------------------------------------------------------------------------


def parse_proposal(proposal_bytes: bytes, chain: RosterChain | None) -> Proposal:
    """Read a proposal.

    Args:
        proposal_bytes: the file.
        chain: what it follows; None for a founding, or on a machine that does not have it. Then
            only what the file says by itself is judged, and :meth:`Proposal.diff` shows all of it.

    Raises:
        ProtocolError: see :func:`parse_roster`.
        RosterUnproven: it does not follow ``chain``, or unsays what the chain said.
    """
    roster = parse_roster(proposal_bytes)
    if chain is None:
        return Proposal(proposal_bytes, roster, None)
    following = (chain.federation_id, chain.newest.version + 1)
    if (roster.federation_id, roster.version) != following:
        raise RosterUnproven(
            f"the proposal is not version {following[1]} of this federation's roster",
            hint="propose the change again, on top of the newest roster",
        )
    chain.check_continues(roster)
    return Proposal(proposal_bytes, roster, chain.newest)


def sign_proposal(
    proposal_bytes: bytes, governor: Possessor, before_bytes: bytes | None = None
) -> bytes:
    """The proposal with one more governor's signature; signing twice changes nothing.

    Args:
        proposal_bytes: the file.
        governor: the key that signs.
        before_bytes: the root of the version before; needed by a governor who leaves with this
            one, and by nobody else.

    Raises:
        ProtocolError: see :func:`parse_roster`.
        RosterUnproven: the key is no governor's.
    """
    roster = parse_proposal(proposal_bytes, None).roster
    known = set(roster.governors)
    if before_bytes is not None:
        known.update(read_governors(decode_root(before_bytes).signed)[0])
    if governor.public not in known:
        raise RosterUnproven(
            f"this key is no governor's in version {roster.version}",
            hint="a governor who leaves with this version signs beside the newest roster file",
        )
    return sign_root(proposal_bytes, governor.public, governor.sign)


def missing_signatures(proposal_bytes: bytes, chain: RosterChain | None) -> SignatureTally:
    """How many have signed, how many must, and who is still asked.

    Args:
        proposal_bytes: the file.
        chain: what it follows; None for a founding.

    Raises:
        ProtocolError, RosterUnproven: see :func:`parse_proposal`.
    """
    return _tally(parse_proposal(proposal_bytes, chain))


def _tally(proposal: Proposal) -> SignatureTally:
    before = proposal.before
    return tally_signatures(proposal.roster.metadata, None if before is None else before.metadata)


def finish(proposal_bytes: bytes, chain: RosterChain | None) -> RosterChain:
    """The chain with the proposal as its newest version, ready to be published.

    Signatures that count for nobody are left out; whoever carried the file could have added them.

    Args:
        proposal_bytes: the file.
        chain: what it follows; None for a founding.

    Raises:
        ProtocolError: see :func:`parse_roster`.
        RosterUnproven: short of signatures, or it does not follow ``chain``.
    """
    proposal = parse_proposal(proposal_bytes, chain)
    tally = _tally(proposal)
    if not tally.is_complete:
        raise RosterUnproven(
            f"the proposal is signed by {tally}",
            hint="let more governors run `federation roster sign` on it",
        )
    root_bytes = drop_signatures(proposal.roster.metadata, tally.strays)
    if chain is None:
        return RosterChain.trust(root_bytes)
    is_read = root_bytes == proposal_bytes
    return chain.follow(proposal.roster) if is_read else chain.extend(root_bytes)


# --- JSON -----------------------------------------------------------------------------------------


def _name(member: Member) -> str:
    return member.name


def write_member(member: Member) -> dict[str, Json]:
    """A member's object in the roster; ``read_member`` reads it."""
    mldsa44: dict[str, Json] = {
        purpose: format_base64(public) for purpose, public in member.mldsa44_keys
    }
    optional: dict[str, Json] = {"mldsa44_keys": mldsa44} if mldsa44 else {}
    return {
        **optional,
        "logs": [
            {
                "epoch": log.epoch,
                "keys": [
                    {"public": format_base64(key.public), "start": _write_pin(key.start)}
                    for key in log.keys
                ],
                "lane": log.lane.value,
                "pin": _write_pin(log.pin),
            }
            for log in member.logs
        ],
        "mirror_keys": [format_base64(public) for public in member.mirror_keys],
        "name": member.name,
        "roles": [role.value for role in sorted(member.roles)],
        "status": member.status.value,
        "successor": member.successor,
        "tls_identities": [format_base64(der) for der in member.tls_identities],
        "urls": list(member.urls),
        "witness_keys": [format_base64(public) for public in member.witness_keys],
    }


def _write_pin(pin: Pin | None) -> dict[str, Json] | None:
    return None if pin is None else {"root": format_base64(pin.root_hash), "size": pin.size}
