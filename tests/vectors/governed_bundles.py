"""Vectors of docs/spec/bundles.md, step 2, where governors were replaced.

Version 2 puts three governors in the place of one. The one who was replaced could still sign
another version 2, and a third on top, which only the auditor's own version 2 excludes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from federation.errors import RosterUnproven
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import propose_governors, propose_refresh
from tests.builders import NEW_YEAR_2026_MS, make_governors, sign_and_finish
from tests.vectors.bundle_parts import FOUNDED, GOOD, fails, verified
from tests.vectors.cases import Case

NEXT = make_governors(3, first=1)
REPLACED = sign_and_finish(
    propose_governors(FOUNDED.chain, [key.public for key in NEXT], 2, now_ms=NEW_YEAR_2026_MS + 1),
    FOUNDED.chain,
    (*FOUNDED.governors, *NEXT),
)


def _refreshed(chain: RosterChain, *governors: int) -> RosterChain:
    """One version more, signed by these of the new governors, or by the one who was replaced."""
    signers = [NEXT[number] for number in governors] or FOUNDED.governors
    now_ms = NEW_YEAR_2026_MS + len(chain.versions) + 1
    return sign_and_finish(propose_refresh(chain, now_ms=now_ms), chain, signers)


def cases() -> Iterator[Case]:
    """Accepted and refused."""
    third, same = _refreshed(REPLACED, 0, 1), _refreshed(REPLACED, 1, 2)
    first, second = REPLACED.versions
    under = replace(GOOD, chain=third)
    yield verified(
        "version 3 that it carries after version 2 at hand", under, roots=(first, second)
    )
    # The same decision, other signatures: both files are version 3.
    yield verified("version 3 at hand with other signatures", under, roots=same.versions)
    forged_second = _refreshed(FOUNDED.chain)
    forged = replace(GOOD, chain=_refreshed(forged_second))
    desc = "2, versions that a replaced governor signed beside version 2 at hand"
    yield fails(2, desc, RosterUnproven, forged, roots=(first, second))
    at_hand = third.versions
    yield fails(2, f"{desc} and 3", RosterUnproven, forged, roots=at_hand)
    # Version 3 follows, and was signed by those who govern; version 2 of the file is another.
    mixed = RosterChain((first, forged_second.versions[1], third.versions[2]), third.newest, {})
    desc = "2, another version 2 than the one at hand under a version 3 that follows"
    yield fails(2, desc, RosterUnproven, replace(GOOD, chain=mixed), roots=(first, second))
