"""Amendments: each change to a member is one function, and a proposal the chain would take."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from federation.errors import (
    MemberNameMalformed,
    RequestMalformed,
    RosterMalformed,
    RosterUnproven,
)
from federation.protocol.join_requests import REQUESTED_KEYS, JoinRequest, make_join_request
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import (
    PURPOSES,
    TLS,
    changed_keys,
    departed,
    lifted,
    propose_members,
    propose_rulings,
    readdressed,
    rekeyed,
    restored,
    settled,
    succeeded,
    suspended,
    with_roles,
)
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import (
    EMPTY_PIN,
    Member,
    MemberRole,
    MemberStatus,
    Pin,
)
from federation.protocol.roster_proposals import propose_add
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    forge_root,
    make_key,
    make_member,
    make_roster,
    make_statement,
    sign_and_finish,
)

FOUNDED = make_roster(governors=3)
CHAIN = FOUNDED.chain
MEMBER = CHAIN.newest.member(ACME)
EMPTY = dict.fromkeys(Lane, EMPTY_PIN)
STARTS = {lane: Pin(7, bytes([1]) * 32) for lane in Lane}


def decided(*members: Member, chain: RosterChain = CHAIN) -> RosterChain:
    """The chain after these changes, signed by all governors."""
    proposal = propose_members(chain, members, now_ms=NEW_YEAR_2026_MS)
    return sign_and_finish(proposal, chain, FOUNDED.governors)


def request_of(*fresh: str, name: str = ACME) -> JoinRequest:
    """A member's request with the next key for each of these purposes."""
    keys = {
        purpose: make_key(f"{name}/{purpose}" + ("/next" if purpose in fresh else ""))
        for purpose in REQUESTED_KEYS
    }
    identity = f"next identity of {name}" if TLS in fresh else f"identity of {name}"
    urls = (f"https://{name}:7001",)
    return make_join_request(name, urls=urls, keys=keys, tls_identity=identity.encode())


def test_a_suspension_is_lifted_to_the_very_member_that_was() -> None:
    chain = decided(suspended(MEMBER, EMPTY))
    held = chain.newest.member(ACME)
    assert MemberStatus.SUSPENDED is held.status
    assert all(log.pin == EMPTY_PIN for log in held.logs)
    back = decided(lifted(held), chain=chain)
    assert MEMBER == back.newest.member(ACME)


def test_what_is_not_so_cannot_be_ended_or_lifted() -> None:
    with pytest.raises(RequestMalformed):
        lifted(MEMBER)
    with pytest.raises(RequestMalformed):
        suspended(suspended(MEMBER, EMPTY), EMPTY)
    with pytest.raises(RequestMalformed):
        suspended(MEMBER, {})
    with pytest.raises(RequestMalformed):
        settled(MEMBER)
    with pytest.raises(RequestMalformed):
        restored(MEMBER, request_of(*PURPOSES))
    with pytest.raises(RosterMalformed):
        succeeded(MEMBER, NOVA)


def test_each_kind_of_key_is_renewed_and_the_others_stay() -> None:
    for purpose in PURPOSES:
        request = request_of(purpose)
        assert (purpose,) == changed_keys(MEMBER, request)
        chain = decided(rekeyed(MEMBER, request, STARTS))
        held = chain.newest.member(ACME)
        assert () == changed_keys(held, request)
        assert sum(len(log.keys) for log in held.logs) == 3 + (purpose in set(Lane))


def test_a_former_identity_stays_until_it_is_settled() -> None:
    chain = decided(rekeyed(MEMBER, request_of(TLS), STARTS))
    held = chain.newest.member(ACME)
    assert 2 == len(held.tls_identities)
    settled_chain = decided(settled(held), chain=chain)
    assert held.tls_identities[1:] == settled_chain.newest.member(ACME).tls_identities


def test_a_key_that_is_somebodys_already_is_refused() -> None:
    """Of another member, of another purpose, of a governor: now or ever before."""
    stolen = make_member(NOVA)
    keys = {purpose: make_key(f"x/{purpose}") for purpose in REQUESTED_KEYS}
    for key in (stolen.keys["live"], FOUNDED.governors[0]):
        keys["witness"] = key
        asked = make_join_request("new.example", urls=(), keys=keys, tls_identity=b"identity")
        with pytest.raises(RosterMalformed):
            propose_add(CHAIN, asked, now_ms=NEW_YEAR_2026_MS)
    rekeyed_chain = decided(rekeyed(MEMBER, request_of("mirror", TLS), STARTS))
    later = decided(settled(rekeyed_chain.newest.member(ACME)), chain=rekeyed_chain)
    asked = make_join_request(
        "new.example",
        urls=(),
        keys={purpose: make_key(f"y/{purpose}") for purpose in REQUESTED_KEYS},
        tls_identity=f"identity of {ACME}".encode(),
    )
    with pytest.raises(RosterUnproven):
        propose_add(later, asked, now_ms=NEW_YEAR_2026_MS)


@pytest.mark.parametrize(
    "name",
    ["Acme.example", "\u0430cme.example", "acme.example.", "xn--cme-8cd.example", "acme_example"],
)
def test_a_name_that_imitates_another_is_refused(name: str) -> None:
    """Upper case, Cyrillic, a final dot, punycode, an underscore."""
    keys = {purpose: make_key(f"x/{purpose}") for purpose in REQUESTED_KEYS}
    with pytest.raises((MemberNameMalformed, RosterMalformed)):
        make_join_request(name, urls=(), keys=keys, tls_identity=b"identity")


def test_nobody_renews_with_anothers_request_or_with_nothing_new() -> None:
    with pytest.raises(RequestMalformed, match=NOVA):
        rekeyed(MEMBER, request_of("live", name=NOVA), STARTS)
    with pytest.raises(RequestMalformed, match="very keys"):
        rekeyed(MEMBER, request_of(), STARTS)
    with pytest.raises(RequestMalformed, match="starts"):
        rekeyed(MEMBER, request_of("live"), {})


def test_after_a_theft_every_lane_opens_a_new_epoch_under_new_keys() -> None:
    chain = decided(suspended(MEMBER, EMPTY))
    held = chain.newest.member(ACME)
    with pytest.raises(RequestMalformed, match="mirror"):
        restored(held, request_of(*(set(PURPOSES) - {"mirror"})))
    back = decided(restored(held, request_of(*PURPOSES)), chain=chain).newest.member(ACME)
    assert back.is_active
    assert [(lane, epoch) for lane in Lane for epoch in (0, 1)] == [
        (log.lane, log.epoch) for log in back.logs
    ]
    assert [EMPTY_PIN, None] * 3 == [log.pin for log in back.logs]
    assert 1 == len(back.tls_identities)


def test_roles_end_logs_and_open_new_ones() -> None:
    observer = with_roles(MEMBER, frozenset({MemberRole.OBSERVER}), EMPTY)
    chain = decided(observer)
    held = chain.newest.member(ACME)
    assert not held.publishes
    with pytest.raises(RequestMalformed):
        with_roles(held, frozenset({MemberRole.MEMBER}), {})
    back = with_roles(held, frozenset({MemberRole.MEMBER}), {}, request_of(*PURPOSES))
    assert decided(back, chain=chain).newest.member(ACME).publishes
    auditor = with_roles(held, frozenset({MemberRole.AUDITOR}), {})
    assert (
        frozenset({MemberRole.AUDITOR}) == decided(auditor, chain=chain).newest.member(ACME).roles
    )


def test_a_departed_member_gets_and_changes_its_successor() -> None:
    chain = decided(departed(MEMBER, EMPTY, NOVA))
    assert NOVA == chain.newest.member(ACME).successor
    changed = succeeded(chain.newest.member(ACME), UMBRA)
    assert UMBRA == decided(changed, chain=chain).newest.member(ACME).successor


def test_an_address_changes_and_nothing_else_does() -> None:
    urls = ("https://elsewhere.example:7001",)
    proposal = propose_members(CHAIN, [readdressed(MEMBER, urls)], now_ms=NEW_YEAR_2026_MS)
    changed = [line for line in proposal.diff() if " member " in line]
    assert [
        "- member acme.example  https://acme.example:7001",
        "+ member acme.example  https://elsewhere.example:7001",
    ] == changed


def test_rulings_only_grow() -> None:
    ids = [make_statement(number).id for number in range(3)]
    first = propose_rulings(CHAIN, withdrawn=ids[:2], erased=ids[2:], now_ms=NEW_YEAR_2026_MS)
    chain = sign_and_finish(first, CHAIN, FOUNDED.governors)
    again = propose_rulings(chain, withdrawn=ids[2:], now_ms=NEW_YEAR_2026_MS)
    newest = sign_and_finish(again, chain, FOUNDED.governors).newest
    assert (frozenset(ids), frozenset(ids[2:])) == (newest.withdrawn, newest.erased)


def test_what_a_later_release_put_there_goes_on_untouched() -> None:
    def extend(signed: dict[str, Any]) -> None:
        member = signed["x-hash-federation"]["members"][0]
        member["x-note"] = "kept"
        member["logs"][1]["x-note"] = "kept too"

    first = forge_root(CHAIN.versions[0], extend, FOUNDED.governors)
    chain = RosterChain.trust(first)
    changed = replace(chain.newest.member(ACME), urls=())
    signed = json.loads(decided(changed, chain=chain).newest.root_bytes)["signed"]
    member = signed["x-hash-federation"]["members"][0]
    assert ("kept", "kept too", []) == (
        member["x-note"],
        member["logs"][1]["x-note"],
        member["urls"],
    )


# --- who has no keys ----------------------------------------------------------------------------

DELTA = "delta.example"
OBSERVING = frozenset({MemberRole.OBSERVER})
OBSERVED = sign_and_finish(
    propose_add(CHAIN, request_of(name=DELTA), now_ms=NEW_YEAR_2026_MS, roles=OBSERVING),
    CHAIN,
    FOUNDED.governors,
)
OBSERVER = OBSERVED.newest.member(DELTA)


def keyless(name: str = DELTA, identity: str = "next identity") -> JoinRequest:
    """The request of a node that publishes nothing."""
    url = f"https://{name}:7001"
    return make_join_request(name, urls=(url,), keys={}, tls_identity=identity.encode())


def test_an_observer_renews_its_identity_with_a_request_without_keys() -> None:
    assert (TLS,) == changed_keys(OBSERVER, keyless())
    renewed = rekeyed(OBSERVER, keyless(), {})
    assert (*OBSERVER.tls_identities, b"next identity") == renewed.tls_identities
    decided(renewed, chain=OBSERVED)


def test_no_request_makes_a_cosigner_of_an_observer() -> None:
    """Whoever may not vouch for anybody asks for the keys of a member that may."""
    full = request_of(*PURPOSES, name=DELTA)
    renewed = rekeyed(OBSERVER, full, STARTS)
    assert ((), (), ()) == (renewed.witness_keys, renewed.mirror_keys, renewed.mldsa44_keys)
    assert (TLS,) == changed_keys(OBSERVER, full)
    back = restored(suspended(OBSERVER, {}), full)
    assert ((), ()) == (back.witness_keys, back.mirror_keys)


def test_a_witness_renews_its_witness_key_and_gets_no_mirror() -> None:
    witness = replace(MEMBER, roles=frozenset({MemberRole.WITNESS}), logs=(), mirror_keys=())
    renewed = rekeyed(witness, request_of("witness", "mirror"), {})
    assert (2, 0) == (len(renewed.witness_keys), len(renewed.mirror_keys))


def test_an_observer_is_back_after_a_theft_of_its_identity() -> None:
    suspended_observer = suspended(OBSERVER, {})
    assert MemberStatus.ACTIVE is restored(suspended_observer, keyless()).status
    with pytest.raises(RequestMalformed, match="tls"):
        restored(suspended_observer, keyless(identity=f"identity of {DELTA}"))


@pytest.mark.parametrize(
    "change",
    [
        lambda: changed_keys(MEMBER, keyless(ACME)),
        lambda: rekeyed(MEMBER, keyless(ACME), STARTS),
        lambda: restored(suspended(MEMBER, EMPTY), keyless(ACME)),
        lambda: with_roles(OBSERVER, frozenset({MemberRole.MEMBER}), {}, keyless()),
    ],
    ids=["compared", "renewed", "restored", "to publish"],
)
def test_a_request_without_keys_is_refused_where_the_roles_need_them(
    change: Callable[[], object],
) -> None:
    with pytest.raises(RequestMalformed, match="asks for no keys"):
        change()


def test_nobody_publishes_with_anothers_request() -> None:
    with pytest.raises(RequestMalformed, match="not of"):
        with_roles(OBSERVER, frozenset({MemberRole.MEMBER}), {}, request_of(name="eve.example"))
