"""Governance in a simulated federation: new versions of the roster, and the keys that they name.

The governors are always of one mind and never asleep; what is simulated is that members hear of it
one after the other, from each other. Versions are really signed and really judged.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Final

from federation.protocol.join_requests import make_join_request
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import Pins, lifted, propose_members, rekeyed, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, Member, MemberStatus, Pin
from federation.protocol.roster_proposals import Proposal, propose_add, propose_refresh
from federation.provenance.log_view import LogView
from tests.builders import NEW_YEAR_2026_MS, Company, Founded, make_key, sign_and_finish

CHANGES: Final = ("suspend", "lift", "rekey", "refresh")

DECIDED_MAX: Final = 2_048
_DECIDED: dict[Hashable, RosterChain] = {}
"""What was decided, in whatever world: a decision is a pure function of what it follows."""

_FRESH: dict[bytes, SigningKey] = {}
"""Public key -> key, of all that took another one's place."""


class Governance:
    """What the governors decided so far.

    Args:
        founded: the federation.

    Attributes:
        chain: with the newest version.
    """

    def __init__(self, founded: Founded) -> None:
        self.chain = founded.chain
        self._founded = founded
        self._chains = {len(founded.chain.versions): founded.chain}
        self._companies = dict(founded.companies)
        self._keys: dict[tuple[str, str], SigningKey] = {}
        for company in founded.companies.values():
            self._meet(company)

    def _meet(self, company: Company) -> None:
        self._companies[company.name] = company
        self._keys |= {(company.name, purpose): key for purpose, key in company.keys.items()}

    def admit(self, company: Company) -> None:
        """A new member, whose logs are empty."""
        self._meet(company)
        decision = self.chain.versions, "admit", company.name, company.request.urls
        self._decide(
            decision,
            lambda: propose_add(self.chain, company.request, now_ms=NEW_YEAR_2026_MS),
        )

    def _decide(self, decision: Hashable, propose: Callable[[], Proposal]) -> None:
        chain = _DECIDED.get(decision)
        if chain is None:
            if len(_DECIDED) > DECIDED_MAX:
                _DECIDED.clear()
            chain = _DECIDED[decision] = sign_and_finish(
                propose(), self.chain, self._founded.governors
            )
        self.chain = self._chains[len(chain.versions)] = chain

    def decide(self, change: str, member: str, held: Mapping[LogId, LogView]) -> bool:
        """Decide something about a member.

        Args:
            change: one of ``CHANGES``.
            member: whom it concerns.
            held: what its node holds, for the sizes at which its logs end or change keys.

        Returns:
            Whether it could be decided: nobody is suspended twice, or lifted who was not.
        """
        found = self.chain.newest.members[member]
        is_active = found.status is MemberStatus.ACTIVE
        pins = _pins(found, held) if change in ("suspend", "rekey") else {}
        if change != "refresh" and is_active == (change == "lift"):
            return False
        whom = "" if change == "refresh" else member
        decision = self.chain.versions, change, whom, tuple(sorted(pins.items()))
        self._decide(decision, lambda: self._proposed(change, found, pins))
        return True

    def _proposed(self, change: str, member: Member, pins: Pins) -> Proposal:
        if change == "refresh":
            return propose_refresh(self.chain, now_ms=NEW_YEAR_2026_MS)
        changed = self._changed(change, member, pins)
        return propose_members(self.chain, [changed], now_ms=NEW_YEAR_2026_MS)

    def _changed(self, change: str, member: Member, pins: Pins) -> Member:
        if change == "suspend":
            return suspended(member, pins)
        if change == "lift":
            return lifted(member)
        version = self.chain.newest.version + 1
        fresh = {
            str(lane): make_key(f"{member.name}/{lane} from version {version}") for lane in Lane
        }
        own = {purpose: key for (name, purpose), key in self._keys.items() if name == member.name}
        request = make_join_request(
            member.name,
            urls=member.urls,
            keys=own | fresh,
            tls_identity=self._companies[member.name].request.tls_identity,
        )
        for key in fresh.values():
            _FRESH[key.public] = key
        return rekeyed(member, request, pins)

    def extended(self, chain: RosterChain, root_bytes: bytes) -> RosterChain:
        """A chain with one more version; what was judged once is not judged again.

        Raises:
            ProtocolError, VerificationError: it does not follow.
        """
        known = self._chains.get(len(chain.versions) + 1)
        if known is not None and known.versions == (*chain.versions, root_bytes):
            return known
        return chain.extend(root_bytes)

    def key_of(self, member: str, purpose: str, public: bytes | None = None) -> SigningKey:
        """A member's key: the one of that public key, or the first one it had."""
        fresh = None if public is None else _FRESH.get(public)
        return self._keys[member, purpose] if fresh is None else fresh


def _pins(member: Member, held: Mapping[LogId, LogView]) -> Pins:
    """Where its logs stand at its own node."""
    pins = dict.fromkeys(Lane, EMPTY_PIN)
    for log, view in held.items():
        if log.member == member.name and view.size:
            pins[log.lane] = Pin(view.size, view.held.root())
    return pins
