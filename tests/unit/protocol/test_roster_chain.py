"""The chain: who may decide what follows, and that nothing said is ever unsaid."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]

from federation.errors import RosterMalformed, RosterUnproven
from federation.protocol import roster_walk
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import propose_add, propose_governors, propose_refresh
from federation.protocol.roster_walk import verify_chain
from federation.protocol.texts import format_base64
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    forge_root,
    format_root,
    make_governors,
    make_key,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.vectors.roster_faults import (
    PIN,
    Change,
    base64_key,
    ed25519,
    facts,
    log,
    member,
    put,
    put_status,
    version_2,
)

FOUNDED = make_roster(ACME, NOVA, governors=3)
CHAIN = FOUNDED.chain
FIRST = CHAIN.versions[0]
GOVERNORS = FOUNDED.governors
SUCCESSORS = make_governors(3, first=3)
DAY_MS = 24 * 3_600 * 1_000


def forge_next(change: Change, signers: Sequence[SigningKey] = GOVERNORS) -> bytes:
    """Version 2 as a change to version 1, signed by all who govern."""
    return forge_root(FIRST, version_2(CHAIN.federation_id, change), signers)


def forge_third(change: Change | None = None) -> bytes:
    """Version 3 as a change to version 1."""

    def apply(signed: dict[str, Any]) -> None:
        version_2(CHAIN.federation_id, change)(signed)
        signed["version"] = 3

    return forge_root(FIRST, apply, GOVERNORS)


def nothing(signed: dict[str, Any]) -> None:
    """No change."""


def hand_over(signers: Sequence[SigningKey]) -> bytes:
    """Version 2, in which other governors take over, 2 of 3 as before."""
    proposal = propose_governors(
        CHAIN, [key.public for key in SUCCESSORS], 2, now_ms=NEW_YEAR_2026_MS
    )
    return forge_root(proposal.proposal_bytes, nothing, signers)


# --- the root of trust --------------------------------------------------------------------------


def test_first_version_signed_by_its_own_threshold_is_trusted() -> None:
    chain = RosterChain.trust(FIRST)
    assert chain.versions == (FIRST,)
    assert chain.newest.version == 1
    assert chain.federation_id == chain.newest.federation_id


@pytest.mark.parametrize("signers", [0, 1])
def test_first_version_short_of_signatures_is_refused(signers: int) -> None:
    with pytest.raises(RosterUnproven, match=f"{signers} of 2"):
        RosterChain.trust(forge_root(FIRST, nothing, GOVERNORS[:signers]))


def test_later_version_is_no_root_of_trust() -> None:
    with pytest.raises(RosterUnproven):
        RosterChain.trust(forge_next(nothing))


def test_one_key_under_two_ids_is_not_two_governors() -> None:
    """python-tuf counts ids, so one thief would be a quorum."""

    def double(signed: dict[str, Any]) -> None:
        public = GOVERNORS[0].public
        signed["keys"] = {"a" * 64: ed25519(public), "b" * 64: ed25519(public)}
        for role in signed["roles"].values():
            role["keyids"] = sorted(signed["keys"])

    document = json.loads(forge_root(FIRST, double, GOVERNORS[:1]))
    signature = document["signatures"][0]["sig"]
    document["signatures"] = [{"keyid": digit * 64, "sig": signature} for digit in "ab"]
    root = format_root(document)
    metadata: Metadata[Root] = Metadata.from_bytes(root)
    metadata.signed.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    with pytest.raises(RosterMalformed, match="not the one of its key"):
        RosterChain.trust(root)


def test_changed_url_breaks_every_signature() -> None:
    document = json.loads(FIRST)
    document["signed"]["x-hash-federation"]["members"][0]["urls"] = ["https://evil.example"]
    with pytest.raises(RosterUnproven, match="0 of 2"):
        RosterChain.trust(format_root(document))


def test_signature_by_nobody_who_counts_is_refused() -> None:
    with pytest.raises(RosterUnproven, match="no governor's"):
        RosterChain.trust(forge_root(FIRST, nothing, [*GOVERNORS, make_key("stranger")]))


def test_broken_signature_beside_enough_good_ones_is_refused() -> None:
    document = json.loads(FIRST)
    document["signatures"][0]["sig"] = "00" * 64
    with pytest.raises(RosterUnproven, match="does not verify"):
        RosterChain.trust(format_root(document))


# --- what follows -------------------------------------------------------------------------------


def test_next_version_extends_and_leaves_the_shorter_chain_as_it_was() -> None:
    second = forge_next(nothing)
    longer = CHAIN.extend(second)
    assert longer.versions == (FIRST, second)
    assert longer.newest.version == 2
    assert longer.federation_id == CHAIN.federation_id
    assert CHAIN.versions == (FIRST,)


def test_replay_rollback_and_gap_are_refused() -> None:
    second = forge_next(nothing)
    longer = CHAIN.extend(second)
    with pytest.raises(RosterUnproven, match="version 2 of the roster where 3 follows"):
        longer.extend(second)
    with pytest.raises(RosterUnproven, match="version 1 of the roster where 3 follows"):
        longer.extend(FIRST)
    with pytest.raises(RosterUnproven, match="version 3 of the roster where 2 follows"):
        CHAIN.extend(forge_third())


def test_version_of_another_federation_is_refused() -> None:
    """The same three people govern both, with the same keys."""
    elsewhere = make_roster(ACME, governors=3).chain
    proposal = propose_refresh(elsewhere, now_ms=NEW_YEAR_2026_MS)
    theirs = sign_and_finish(proposal, elsewhere, GOVERNORS).versions[1]
    with pytest.raises(RosterUnproven, match="another federation's"):
        CHAIN.extend(theirs)


@pytest.mark.parametrize(
    ("old", "own", "tally"),
    [
        (1, 2, "1 of 2 old, 2 of 2 new"),
        (2, 1, "2 of 2 old, 1 of 2 new"),
        (0, 3, "0 of 2 old, 3 of 2 new"),
        (3, 0, "3 of 2 old, 0 of 2 new"),
    ],
)
def test_handing_over_needs_both_sides(old: int, own: int, tally: str) -> None:
    with pytest.raises(RosterUnproven, match=re.escape(tally)):
        CHAIN.extend(hand_over([*GOVERNORS[:old], *SUCCESSORS[:own]]))


def test_handing_over_with_both_sides_ends_the_old_ones_word() -> None:
    chain = CHAIN.extend(hand_over([*GOVERNORS[:2], *SUCCESSORS[1:]]))
    third = propose_refresh(chain, now_ms=NEW_YEAR_2026_MS).proposal_bytes
    with pytest.raises(RosterUnproven, match="0 of 2 old"):
        chain.extend(forge_root(third, nothing, GOVERNORS))
    assert chain.extend(forge_root(third, nothing, SUCCESSORS[:2])).newest.version == 3


def test_intermediate_version_may_have_expired() -> None:
    chain = make_roster(governors=2, expires_days=1).chain
    later_ms = NEW_YEAR_2026_MS + 400 * DAY_MS
    assert chain.newest.is_expired(later_ms)
    renewed = sign_and_finish(propose_refresh(chain, now_ms=later_ms), chain, make_governors(2))
    assert not renewed.newest.is_expired(later_ms)
    assert verify_chain(renewed.versions).newest == renewed.newest


def test_chain_of_ten_versions_is_walked_from_the_first() -> None:
    chain = make_roster(ACME).chain
    governors = make_governors(1)
    for version in range(2, 11):
        if version % 3 == 0:
            taking_over = make_governors(2, first=version)
            keys = [key.public for key in taking_over]
            proposal = propose_governors(chain, keys, 2, now_ms=NEW_YEAR_2026_MS)
            chain = sign_and_finish(proposal, chain, [*governors, *taking_over])
            governors = taking_over
        else:
            request = make_member(f"m{version}.example").request
            proposal = propose_add(chain, request, now_ms=NEW_YEAR_2026_MS)
            chain = sign_and_finish(proposal, chain, governors)
    assert chain.newest.version == 10
    assert verify_chain(chain.versions) == chain
    assert len(chain.newest.members) == 7
    for position in range(1, 9):
        shortened = [*chain.versions[:position], *chain.versions[position + 1 :]]
        with pytest.raises(RosterUnproven):
            verify_chain(shortened)


def test_chain_without_versions_is_refused() -> None:
    with pytest.raises(RosterMalformed):
        verify_chain([])


def test_chain_over_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster_walk, "ROSTER_VERSIONS_MAX", 1)
    with pytest.raises(RosterMalformed):
        verify_chain([FIRST, forge_next(nothing)])


def test_repr_shows_no_file() -> None:
    assert repr(CHAIN) == f"RosterChain(newest={CHAIN.newest!r})"


# --- nothing is unsaid --------------------------------------------------------------------------


def remove_member(signed: dict[str, Any]) -> None:
    signed["x-hash-federation"]["members"].pop(0)


def remove_rotated_key(fields: dict[str, Any]) -> None:
    fields["keys"][0] = {"public": base64_key("another"), "start": None}


def turn_into_observer(fields: dict[str, Any]) -> None:
    fields.update(roles=["observer"], logs=[])


def govern_alone(signed: dict[str, Any]) -> None:
    key_id = min(signed["keys"])
    signed["keys"] = {key_id: signed["keys"][key_id]}
    for role in signed["roles"].values():
        role.update(keyids=[key_id], threshold=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_member, "acme.example would disappear"),
        (log(remove_rotated_key), "crisis log of acme.example would lose its history"),
        (member(turn_into_observer), "crisis log of acme.example would lose its history"),
        (facts(lambda target: target["limits"].update(epochs=15)), "limit epochs would shrink"),
        (facts(lambda target: target["limits"].update(log_size=9)), "limit log_size would"),
        (facts(lambda target: target["limits"].update(body_bytes=9)), "limit body_bytes would"),
        (govern_alone, "one governor alone"),
    ],
)
def test_unsaying_is_refused_whoever_signs(change: Change, message: str) -> None:
    with pytest.raises(RosterUnproven, match=re.escape(message)):
        CHAIN.extend(forge_next(change))


@pytest.mark.parametrize("decision", ["withdrawn", "erased"])
def test_governance_decision_cannot_be_unsaid(decision: str) -> None:
    statement_id = f"st_{'a' * 64}"
    chain = CHAIN.extend(forge_next(facts(put(**{decision: [statement_id]}))))
    with pytest.raises(RosterUnproven, match="would come back"):
        chain.extend(forge_third())


def test_key_that_was_somebody_elses_in_an_earlier_version_is_refused() -> None:
    rotate = member(put(mirror_keys=[base64_key("acme mirror, rotated")]))
    take_over = member(put(mirror_keys=[base64_key("acme.example/mirror")]), NOVA)
    with pytest.raises(RosterUnproven, match=r"acme\.example/mirror would become .* nova"):
        CHAIN.extend(forge_next(rotate)).extend(
            forge_third(lambda each: (rotate(each), take_over(each)))
        )


def test_suspension_is_lifted_again() -> None:
    suspended = CHAIN.extend(forge_next(member(put_status("suspended"))))
    live = LogId(ACME, CHAIN.federation_id, Lane.LIVE)
    assert suspended.newest.log(live).pin is not None
    lifted = suspended.extend(forge_third())
    assert lifted.newest.log(live).is_open
    assert lifted.newest.member(ACME).publishes


def test_log_key_is_rotated_at_a_pin_and_keeps_its_past() -> None:
    key = {"public": base64_key("acme crisis, rotated"), "start": PIN}
    chain = CHAIN.extend(forge_next(log(lambda each: each["keys"].append(key))))
    crisis = LogId(ACME, CHAIN.federation_id, Lane.CRISIS)
    publics = [each.public for each in chain.newest.log(crisis).keys]
    assert publics == [
        make_key("acme.example/crisis").public,
        make_key("acme crisis, rotated").public,
    ]
    assert chain.newest.log(crisis).keys[1].start is not None
    assert format_base64(chain.newest.log_vkey(crisis).public) == key["public"]
