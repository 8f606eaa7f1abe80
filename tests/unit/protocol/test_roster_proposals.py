"""Proposals: what governors see is what they sign, and nothing short of enough gets out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.errors import (
    KeyWeak,
    MemberUnknown,
    RequestMalformed,
    RosterMalformed,
    RosterUnproven,
)
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster import RosterLimits, parse_roster
from federation.protocol.roster_amendments import propose_remove
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_changes import describe_changes, describe_roster
from federation.protocol.roster_directory import active_logs
from federation.protocol.roster_members import EMPTY_PIN, MemberRole, MemberStatus, Pin
from federation.protocol.roster_proposals import (
    EXPIRES_DAYS_MAX,
    finish,
    missing_signatures,
    parse_proposal,
    propose_add,
    propose_founding,
    propose_governors,
    propose_refresh,
    sign_proposal,
)
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    forge_root,
    make_governors,
    make_key,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.vectors.roster_faults import PIN, Change, base64_key, facts, log, member, put, version_2

NOW_MS = NEW_YEAR_2026_MS
DAY_MS = 24 * 3_600 * 1_000
FOUNDED = make_roster(ACME, NOVA, governors=3)
CHAIN = FOUNDED.chain
GOVERNORS = FOUNDED.governors
REQUEST = make_member(UMBRA).request


def pins_of(name: str, pin: Pin = EMPTY_PIN) -> dict[LogId, Pin]:
    return {LogId(name, CHAIN.federation_id, lane): pin for lane in Lane}


# --- proposing ----------------------------------------------------------------------------------


def test_founding_puts_every_request_into_version_one() -> None:
    requests = [make_member(name).request for name in (NOVA, ACME)]
    limits = RosterLimits(log_size=1_000, epochs=3, body_bytes=BODY_BYTES_MAX)
    proposal = propose_founding(
        requests,
        [key.public for key in GOVERNORS],
        2,
        now_ms=NOW_MS,
        expires_days=30,
        limits=limits,
        public_delay_seconds=60,
    )
    roster = sign_and_finish(proposal, None, GOVERNORS[:2]).newest
    assert list(roster.members) == [ACME, NOVA]
    assert roster.limits == limits
    assert roster.public_delay_seconds == 60
    assert roster.expires_at_ms == NOW_MS + 30 * DAY_MS
    for request in requests:
        founder = roster.member(request.member)
        assert founder.urls == request.urls
        assert founder.tls_identities == (request.tls_identity,)
        assert [each.public for each in founder.logs] == [request.keys[lane] for lane in Lane]
        assert founder.witness_keys == (request.keys["witness"],)
        assert founder.mirror_keys == (request.keys["mirror"],)


def test_same_founding_has_the_same_bytes() -> None:
    assert make_roster(ACME, NOVA, governors=3).chain.versions == CHAIN.versions


@pytest.mark.parametrize(("governors", "threshold"), [(2, 1), (1, 2), (3, 4), (0, 0), (2, 0)])
def test_threshold_that_cannot_be_is_refused(governors: int, threshold: int) -> None:
    with pytest.raises(RosterMalformed, match=f"{threshold} of {governors}"):
        make_roster(ACME, governors=governors, threshold=threshold)


def test_one_governor_twice_is_refused() -> None:
    twice = [GOVERNORS[0].public] * 2
    with pytest.raises(RosterMalformed):
        propose_founding([REQUEST], twice, 2, now_ms=NOW_MS)


def test_weak_governor_is_refused() -> None:
    with pytest.raises(KeyWeak):
        propose_founding([REQUEST], [b"\1" + bytes(31)], 1, now_ms=NOW_MS)


def test_two_requests_under_one_name_are_refused() -> None:
    with pytest.raises(RosterMalformed):
        make_roster(ACME, ACME)


def test_add_gives_the_new_member_its_logs_and_cosigners() -> None:
    proposal = propose_add(CHAIN, REQUEST, now_ms=NOW_MS + DAY_MS)
    chain = sign_and_finish(proposal, CHAIN, GOVERNORS[1:])
    assert list(chain.newest.members) == [ACME, NOVA, UMBRA]
    umbra = LogId(UMBRA, CHAIN.federation_id, Lane.LIVE)
    assert chain.newest.log_vkey(umbra).public == REQUEST.keys["live"]
    assert chain.newest.expires_at_ms == NOW_MS + 91 * DAY_MS


def test_observer_is_added_without_logs() -> None:
    roles = frozenset({MemberRole.OBSERVER, MemberRole.AUDITOR})
    proposal = propose_add(CHAIN, REQUEST, now_ms=NOW_MS, roles=roles)
    assert proposal.roster.member(UMBRA).roles == roles
    assert proposal.roster.member(UMBRA).logs == ()


def test_name_already_in_the_roster_is_refused() -> None:
    with pytest.raises(RosterMalformed, match="already in the roster"):
        propose_add(CHAIN, make_member(NOVA).request, now_ms=NOW_MS)


def test_request_with_the_identity_of_another_member_is_refused() -> None:
    request = make_member(UMBRA, tls_identity=b"identity of acme.example").request
    with pytest.raises(RosterMalformed, match="one key stands for both"):
        propose_add(CHAIN, request, now_ms=NOW_MS)


def test_request_with_a_key_that_was_once_anothers_is_refused() -> None:
    rotated = forge_root(
        CHAIN.versions[0],
        version_2(CHAIN.federation_id, member(put(tls_identities=["bmV4dA=="]))),
        GOVERNORS,
    )
    request = make_member(UMBRA, tls_identity=b"identity of acme.example").request
    with pytest.raises(RosterUnproven, match=r"acme\.example/tls"):
        propose_add(CHAIN.extend(rotated), request, now_ms=NOW_MS)


def test_removed_member_departs_and_keeps_what_it_said() -> None:
    pins = pins_of(NOVA, Pin(12, b"\7" * 32))
    proposal = propose_remove(CHAIN, NOVA, pins, now_ms=NOW_MS, successor=ACME)
    roster = sign_and_finish(proposal, CHAIN, GOVERNORS).newest
    nova = roster.member(NOVA)
    assert nova.status is MemberStatus.DEPARTED
    assert nova.successor == ACME
    assert {roster.log(each).pin for each in pins} == {Pin(12, b"\7" * 32)}
    assert set(pins).isdisjoint(active_logs(roster))
    assert set(pins) <= set(roster.logs)


def test_removal_without_saying_where_a_log_ends_is_refused() -> None:
    pins = pins_of(NOVA)
    pins.popitem()
    with pytest.raises(RequestMalformed, match="bulk"):
        propose_remove(CHAIN, NOVA, pins, now_ms=NOW_MS)


def test_removal_of_nobody_is_refused() -> None:
    with pytest.raises(MemberUnknown):
        propose_remove(CHAIN, UMBRA, {}, now_ms=NOW_MS)


def test_refresh_changes_nothing_but_version_and_expiry() -> None:
    proposal = propose_refresh(CHAIN, now_ms=NOW_MS + DAY_MS, expires_days=10)
    assert proposal.diff() == [
        "- version 1",
        "- expires 2026-04-01T00:00:00Z",
        f"+ federation {CHAIN.federation_id}",
        "+ version 2",
        "+ expires 2026-01-12T00:00:00Z",
    ]


@pytest.mark.parametrize("days", [0, -1, EXPIRES_DAYS_MAX + 1])
def test_expiry_out_of_range_is_refused(days: int) -> None:
    with pytest.raises(RequestMalformed):
        propose_refresh(CHAIN, now_ms=NOW_MS, expires_days=days)


def test_extension_fields_go_from_version_to_version() -> None:
    def extend(signed: dict[str, Any]) -> None:
        put(**{"x-outside": 1})(signed)
        facts(put(**{"x-inside": [2]}))(signed)
        member(put(**{"x-note": "three"}))(signed)

    chain = CHAIN.extend(
        forge_root(CHAIN.versions[0], version_2(CHAIN.federation_id, extend), GOVERNORS)
    )
    signed = json.loads(propose_add(chain, REQUEST, now_ms=NOW_MS).proposal_bytes)["signed"]
    assert signed["x-outside"] == 1
    assert signed["x-hash-federation"]["x-inside"] == [2]
    assert signed["x-hash-federation"]["members"][0]["x-note"] == "three"


# --- what governors see -------------------------------------------------------------------------


def test_diff_of_an_addition_shows_the_member_and_each_of_its_keys() -> None:
    lines = propose_add(CHAIN, REQUEST, now_ms=NOW_MS).diff()
    assert "+ member umbra.example  https://umbra.example:7001" in lines
    assert "+ member umbra.example is member, active" in lines
    for purpose in ("crisis", "live", "bulk", "witness", "mirror"):
        public = make_key(f"{UMBRA}/{purpose}").public.hex()
        assert f"+ member umbra.example {purpose} key 1 {public}" in lines
    assert not [line for line in lines if ACME in line or NOVA in line]


def test_diff_of_a_removal_shows_where_each_log_ends() -> None:
    pins = pins_of(NOVA, Pin(12, b"\7" * 32))
    lines = propose_remove(CHAIN, NOVA, pins, now_ms=NOW_MS, successor=ACME).diff()
    assert "- member nova.example is member, active" in lines
    assert "+ member nova.example is member, departed" in lines
    assert "+ member nova.example is succeeded by acme.example" in lines
    assert f"+ member nova.example crisis ends at size 12 root {'07' * 32}" in lines


def test_diff_of_a_founding_shows_everything() -> None:
    proposal = propose_founding([REQUEST], [GOVERNORS[0].public], 1, now_ms=NOW_MS)
    assert proposal.diff() == [f"+ {line}" for line in describe_roster(proposal.roster)]
    assert any("one person alone decides" in line for line in proposal.diff())


def test_proposal_read_without_its_chain_shows_everything() -> None:
    raw = propose_add(CHAIN, REQUEST, now_ms=NOW_MS).proposal_bytes
    alone = parse_proposal(raw, None)
    assert alone.diff() == describe_changes(None, alone.roster)
    assert alone.roster.federation_id == CHAIN.federation_id


STATEMENT_ID = f"st_{'a' * 64}"
ROTATED_HEX = make_key("rotated").public.hex()
ROTATED = {"public": base64_key("rotated"), "start": PIN}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (put(spec_version="1.1.0"), "+ TUF specification 1.1.0"),
        (put(**{"x-note": 1}), "+ x-note 1"),
        (facts(put(**{"x-note": 1})), "+ x-hash-federation x-note 1"),
        (member(put(**{"x-note": "a"})), '+ x-hash-federation members acme.example x-note "a"'),
        (facts(put(public_delay_seconds=1)), "+ public delay 1 s"),
        (facts(put(withdrawn=[STATEMENT_ID])), f"+ withdrawn {STATEMENT_ID}"),
        (facts(put(erased=[STATEMENT_ID])), f"+ erased {STATEMENT_ID}"),
        (member(put(urls=[])), "+ member acme.example  calls others only"),
        (
            log(lambda each: each["keys"].append(ROTATED)),
            f"+ member acme.example crisis key 2 {ROTATED_HEX} from size 7 root {'00' * 32}",
        ),
    ],
)
def test_every_change_has_a_line(change: Change, line: str) -> None:
    after = parse_roster(forge_root(CHAIN.versions[0], change, GOVERNORS))
    assert line in describe_changes(CHAIN.newest, after)


def test_other_order_of_keys_has_a_line() -> None:
    """The last key is the one in use, so the order says something."""
    keys = [base64_key("acme.example/mirror"), base64_key("next")]
    one, other = (
        parse_roster(forge_root(CHAIN.versions[0], member(put(mirror_keys=order)), GOVERNORS))
        for order in (keys, keys[::-1])
    )
    assert len(describe_changes(one, other)) == 4


# --- signing and finishing ----------------------------------------------------------------------


def test_signatures_are_counted_on_both_sides() -> None:
    taking_over = make_governors(2, first=2)
    proposal = propose_governors(CHAIN, [key.public for key in taking_over], 2, now_ms=NOW_MS)
    before = CHAIN.newest.root_bytes
    raw = proposal.proposal_bytes
    assert str(missing_signatures(raw, CHAIN)) == "0 of 2 old, 0 of 2 new"
    raw = sign_proposal(raw, GOVERNORS[0], before)
    raw = sign_proposal(raw, taking_over[1])
    tally = missing_signatures(raw, CHAIN)
    assert str(tally) == "1 of 2 old, 1 of 2 new"
    assert set(tally.waiting) == {GOVERNORS[1].public, GOVERNORS[2].public}
    with pytest.raises(RosterUnproven, match="1 of 2 old, 1 of 2 new"):
        finish(raw, CHAIN)
    # Governor 2 governs before and after, so one signature counts twice.
    raw = sign_proposal(raw, GOVERNORS[2])
    assert missing_signatures(raw, CHAIN).is_complete
    assert finish(raw, CHAIN).newest.version == 2


def test_founding_is_counted_once() -> None:
    proposal = propose_founding([REQUEST], [key.public for key in GOVERNORS], 3, now_ms=NOW_MS)
    raw = sign_proposal(proposal.proposal_bytes, GOVERNORS[0])
    assert str(missing_signatures(raw, None)) == "1 of 3"
    with pytest.raises(RosterUnproven, match="1 of 3"):
        finish(raw, None)


def test_signing_twice_or_in_another_order_changes_nothing() -> None:
    raw = propose_refresh(CHAIN, now_ms=NOW_MS).proposal_bytes
    one = sign_proposal(sign_proposal(raw, GOVERNORS[0]), GOVERNORS[1])
    other = sign_proposal(sign_proposal(raw, GOVERNORS[1]), GOVERNORS[0])
    assert one == other == sign_proposal(one, GOVERNORS[0])


def test_key_of_no_governor_signs_nothing() -> None:
    raw = propose_refresh(CHAIN, now_ms=NOW_MS).proposal_bytes
    for key in (make_key("acme.example/live"), make_key("stranger")):
        with pytest.raises(RosterUnproven, match="no governor's"):
            sign_proposal(raw, key)
        with pytest.raises(RosterUnproven, match="no governor's"):
            sign_proposal(raw, key, CHAIN.newest.root_bytes)


def test_leaving_governor_signs_beside_the_root_before() -> None:
    keys = [key.public for key in make_governors(2, first=5)]
    raw = propose_governors(CHAIN, keys, 2, now_ms=NOW_MS).proposal_bytes
    with pytest.raises(RosterUnproven):
        sign_proposal(raw, GOVERNORS[0])
    signed = sign_proposal(raw, GOVERNORS[0], CHAIN.newest.root_bytes)
    assert str(missing_signatures(signed, CHAIN)) == "1 of 2 old, 0 of 2 new"


def test_signature_that_somebody_added_is_left_out_of_the_finished_root() -> None:
    raw = propose_refresh(CHAIN, now_ms=NOW_MS).proposal_bytes
    clean = sign_proposal(sign_proposal(raw, GOVERNORS[0]), GOVERNORS[1])
    added = forge_root(raw, lambda signed: None, [*GOVERNORS[:2], make_key("stranger")])
    assert added != clean
    assert finish(added, CHAIN).versions[1] == clean


def test_changed_proposal_loses_its_signatures() -> None:
    raw = sign_proposal(
        sign_proposal(propose_refresh(CHAIN, now_ms=NOW_MS).proposal_bytes, GOVERNORS[0]),
        GOVERNORS[1],
    )
    changed = raw.replace(b"https://acme.example:7001", b"https://evil.example:7001")
    assert changed != raw
    with pytest.raises(RosterUnproven, match="0 of 2 old"):
        finish(changed, CHAIN)


def test_proposal_on_an_older_version_is_refused() -> None:
    proposal = propose_refresh(CHAIN, now_ms=NOW_MS)
    longer = sign_and_finish(propose_add(CHAIN, REQUEST, now_ms=NOW_MS), CHAIN, GOVERNORS)
    with pytest.raises(RosterUnproven, match="not version 3"):
        missing_signatures(proposal.proposal_bytes, longer)


def test_proposal_of_another_federation_is_refused() -> None:
    elsewhere = make_roster(UMBRA, governors=3).chain
    proposal = propose_refresh(elsewhere, now_ms=NOW_MS)
    with pytest.raises(RosterUnproven):
        parse_proposal(proposal.proposal_bytes, CHAIN)


def test_several_governors_never_become_one() -> None:
    with pytest.raises(RosterUnproven, match="one governor alone"):
        propose_governors(CHAIN, [GOVERNORS[0].public], 1, now_ms=NOW_MS)


def test_one_governor_becomes_several() -> None:
    laptop = make_roster(ACME).chain
    governors = make_governors(3)
    proposal = propose_governors(laptop, [key.public for key in governors], 2, now_ms=NOW_MS)
    chain = sign_and_finish(proposal, laptop, governors[:2])
    assert not chain.newest.is_laptop_federation


def test_key_of_a_member_does_not_become_a_governors() -> None:
    with pytest.raises(RosterMalformed, match="one key stands for both governor"):
        propose_governors(
            CHAIN,
            [make_key("acme.example/live").public, GOVERNORS[0].public],
            2,
            now_ms=NOW_MS,
        )


def test_finished_chain_is_the_one_everybody_else_walks() -> None:
    chain = sign_and_finish(propose_add(CHAIN, REQUEST, now_ms=NOW_MS), CHAIN, GOVERNORS)
    walked = RosterChain.trust(chain.versions[0]).extend(chain.versions[1])
    assert walked == chain
