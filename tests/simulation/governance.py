"""Governance in a simulated federation: new versions of the roster, and the keys that they name.

The governors are always of one mind and never asleep; what is simulated is that members hear of it
one after the other, from each other. Versions are really signed and really judged.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

from federation.protocol.join_requests import make_join_request
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import Pins, lifted, propose_members, rekeyed, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, Member, MemberStatus, Pin
from federation.protocol.roster_proposals import propose_refresh
from federation.provenance.log_view import LogView
from tests.builders import NEW_YEAR_2026_MS, Founded, make_key, sign_and_finish

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
        self._keys = {
            (name, purpose): key
            for name, company in founded.companies.items()
            for purpose, key in company.keys.items()
        }

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
        chain = _DECIDED.get(decision)
        if chain is None:
            if len(_DECIDED) > DECIDED_MAX:
                _DECIDED.clear()
            chain = _DECIDED[decision] = self._decided(change, found, pins)
        self.chain = self._chains[len(chain.versions)] = chain
        return True

    def _decided(self, change: str, member: Member, pins: Pins) -> RosterChain:
        if change == "refresh":
            proposal = propose_refresh(self.chain, now_ms=NEW_YEAR_2026_MS)
        else:
            changed = self._changed(change, member, pins)
            proposal = propose_members(self.chain, [changed], now_ms=NEW_YEAR_2026_MS)
        return sign_and_finish(proposal, self.chain, self._founded.governors)

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
            tls_identity=self._founded.companies[member.name].request.tls_identity,
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
