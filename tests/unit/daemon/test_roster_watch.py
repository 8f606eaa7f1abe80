"""What a member says of its roster is cheap to judge, and makes nobody fetch without end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from federation.daemon.membership import Membership
from federation.daemon.roster_watch import CLAIMS_OF_ONE_MAX, FETCHES_MAX, RosterWatch
from federation.net.asking import PeerCall, PeerCalls
from federation.protocol.bodies import ActsUnder
from federation.protocol.keys import check_ed25519
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import propose_members, readdressed
from federation.protocol.roster_chain import RosterChain
from federation.protocol.statements_writing import make_statement
from federation.provenance.verifier import VerifiedStatement, Verifier
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_header,
    make_roster,
    make_salt,
    sign_and_finish,
)

FOUNDED = make_roster()


def chain_of(versions: int) -> RosterChain:
    chain = FOUNDED.chain
    for number in range(1, versions):
        change = readdressed(chain.newest.member(UMBRA), (f"https://u{number}.example",))
        proposal = propose_members(chain, [change], now_ms=NEW_YEAR_2026_MS)
        chain = sign_and_finish(proposal, chain, FOUNDED.governors)
    return chain


CHAIN = chain_of(8)
UNREADABLE = replace(CHAIN, versions=tuple(b"" for _ in CHAIN.versions))
"""Whoever reads a version of it fails: claims are held against the decisions at hand."""

VERIFIER = Verifier(CHAIN.newest, check_ed25519)


def saying(member: str, *claims: tuple[int, bytes]) -> list[VerifiedStatement]:
    """A member's statements that it acts under these decisions of these versions."""
    federation_id = FOUNDED.roster.federation_id
    log = LogId(member, federation_id, Lane.LIVE)
    header = make_header("roster", member=member, federation_id=federation_id)
    return [
        VERIFIER.open_statement(log, index, make_statement(header, ActsUnder(*claim), make_salt()))
        for index, claim in enumerate(claims)
    ]


def lies(count: int, version: int = 1) -> Sequence[tuple[int, bytes]]:
    return [(version, number.to_bytes(32, "big")) for number in range(count)]


class Silent(PeerCalls):
    """Answers nothing; notes what it is asked."""

    asked: list[str]

    async def ask(self, call: PeerCall) -> bytes:
        self.asked.append(f"{self.member} {call.path}")
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        pass


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> RosterWatch:
    monkeypatch.setattr(Silent, "asked", [], raising=False)
    membership = cast(
        "Membership",
        SimpleNamespace(chain=UNREADABLE, roster=CHAIN.newest, rivals=(), is_applied=True),
    )
    return RosterWatch(membership, Silent, lambda: NEW_YEAR_2026_MS)


async def test_hundreds_of_claims_about_one_version_are_one_claim_and_one_fetch(
    watch: RosterWatch,
) -> None:
    watch.absorb(saying(ACME, *lies(256)))
    await asyncio.sleep(0)
    assert [f"{ACME} /roster/1.root.json"] == Silent.asked
    assert ["roster-claimed"] == [code for code, _ in watch.alarms()]
    await watch.close()


async def test_claims_about_many_versions_are_few_and_leave_room_for_others(
    watch: RosterWatch,
) -> None:
    watch.absorb(saying(ACME, *[lies(1, version)[0] for version in range(1, 9)]))
    watch.absorb(saying(NOVA, *lies(1, 3)))
    await asyncio.sleep(0)
    claims = [text.split()[0] for code, text in watch.alarms() if code == "roster-claimed"]
    assert [ACME] * CLAIMS_OF_ONE_MAX + [NOVA] == claims
    assert FETCHES_MAX == len(Silent.asked)
    await watch.close()


async def test_a_claim_is_judged_without_reading_a_roster(
    watch: RosterWatch,
) -> None:
    watch.absorb(saying(ACME, *enumerate(CHAIN.decisions, start=1)))
    assert [] == watch.alarms()
    watch.absorb(saying(ACME, *lies(2)))
    assert ["roster-claimed"] == [code for code, _ in watch.alarms()]
    await watch.close()
