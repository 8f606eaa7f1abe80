"""TLS contexts that follow the roster: handshakes in memory, without a socket."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.errors import KeyMalformed
from federation.local_errors.askers import PeerNotAMember
from federation.local_errors.config import KeyFileInvalid
from federation.local_errors.disk import StoreError
from federation.local_errors.peers import PeerIdentityWrong
from federation.net import peering
from federation.net.identities import PemPair, identity_der, make_identity, mint_leaf
from federation.net.own_leaf import LEAF_FILE
from federation.net.peering import PeerIdentities, certificate_of, utc_now

MADE_AT = datetime.now(tz=UTC) - timedelta(days=30)
ALICE = make_identity("alice.example", not_before=MADE_AT)
BOB = make_identity("bob.example", not_before=MADE_AT)
ALICE_DER = identity_der(ALICE.certificate)
BOB_DER = identity_der(BOB.certificate)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """A whole TLS handshake in memory; the server's end of the connection."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return answering


@pytest.fixture
def alice(tmp_path: Path) -> PeerIdentities:
    return PeerIdentities("alice.example", ALICE, tmp_path / "alice")


@pytest.fixture
def bob(tmp_path: Path) -> PeerIdentities:
    return PeerIdentities("bob.example", BOB, tmp_path / "bob")


def test_two_members_shake_hands_and_know_each_other(
    alice: PeerIdentities, bob: PeerIdentities
) -> None:
    for each in (alice, bob):
        each.replace({"alice.example": (ALICE_DER,), "bob.example": (BOB_DER,)})
    connection = shake_hands(alice.client_context("bob.example"), bob.server_context, "bob.example")
    assert connection.version() == "TLSv1.3"
    assert bob.member_of(certificate_of(connection)) == "alice.example"


def test_while_an_identity_is_rotated_a_member_is_known_under_either(
    alice: PeerIdentities, bob: PeerIdentities, tmp_path: Path
) -> None:
    renewed = make_identity("alice.example", not_before=MADE_AT)
    roster = {
        "alice.example": (ALICE_DER, identity_der(renewed.certificate)),
        "bob.example": (BOB_DER,),
    }
    restarted = PeerIdentities("alice.example", renewed, tmp_path / "restarted")
    for each in (alice, bob, restarted):
        assert each.replace(roster) == {}
    for each in (alice, restarted):
        asking = shake_hands(each.client_context("bob.example"), bob.server_context, "bob.example")
        assert bob.member_of(certificate_of(asking)) == "alice.example"
        answering = shake_hands(
            bob.client_context("alice.example"), each.server_context, "alice.example"
        )
        assert each.member_of(certificate_of(answering)) == "bob.example"
    bob.replace({**roster, "alice.example": roster["alice.example"][1:]})
    with pytest.raises(ssl.SSLError):
        shake_hands(alice.client_context("bob.example"), bob.server_context, "bob.example")
    shake_hands(restarted.client_context("bob.example"), bob.server_context, "bob.example")


def test_one_unusable_identity_of_a_member_leaves_it_the_other(bob: PeerIdentities) -> None:
    assert set(bob.replace({"alice.example": (b"\0", ALICE_DER)})) == {"alice.example"}
    assert bob.members == {"alice.example"}


def test_the_server_context_stays_and_follows_every_roster(
    alice: PeerIdentities, bob: PeerIdentities
) -> None:
    alice.replace({"bob.example": (BOB_DER,)})
    context = bob.server_context
    for roster, is_admitted in (
        ({}, False),
        ({"alice.example": (ALICE_DER,)}, True),
        ({"bob.example": (BOB_DER,)}, False),
        ({"bob.example": (BOB_DER,), "alice.example": (ALICE_DER,)}, True),
    ):
        bob.replace(roster)
        assert bob.server_context is context
        assert bob.members == frozenset(roster)
        if is_admitted:
            shake_hands(alice.client_context("bob.example"), context, "bob.example")
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                shake_hands(alice.client_context("bob.example"), context, "bob.example")


def test_a_client_context_trusts_one_member_only(
    alice: PeerIdentities, bob: PeerIdentities
) -> None:
    carol = make_identity("carol.example", not_before=MADE_AT)
    roster = {
        "alice.example": (ALICE_DER,),
        "bob.example": (BOB_DER,),
        "carol.example": (identity_der(carol.certificate),),
    }
    for each in (alice, bob):
        each.replace(roster)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(alice.client_context("carol.example"), bob.server_context, "carol.example")
    with pytest.raises(PeerIdentityWrong):
        alice.client_context("mallory.example")


def test_a_client_context_is_kept_until_identity_or_leaf_change(alice: PeerIdentities) -> None:
    alice.replace({"bob.example": (BOB_DER,)})
    first = alice.client_context("bob.example")
    alice.replace({"bob.example": (BOB_DER,), "alice.example": (ALICE_DER,)})
    assert alice.client_context("bob.example") is first
    renewed = identity_der(make_identity("bob.example", not_before=MADE_AT).certificate)
    alice.replace({"bob.example": (renewed,)})
    second = alice.client_context("bob.example")
    assert second is not first
    assert alice.renew_if_due(utc_now() + timedelta(hours=17))
    assert alice.client_context("bob.example") is not second
    alice.replace({})
    with pytest.raises(PeerIdentityWrong):
        alice.client_context("bob.example")


def test_one_unusable_identity_in_a_roster_keeps_nobody_else_out(bob: PeerIdentities) -> None:
    left_out = bob.replace(
        {
            "alice.example": (ALICE_DER,),
            "carol.example": (BOB_DER,),
            "dave.example": (b"\0",),
            "E": (b"",),
        }
    )
    assert set(left_out) == {"carol.example", "dave.example", "E"}
    assert bob.members == {"alice.example"}


def test_an_identity_that_only_one_library_can_read_keeps_nobody_else_out(
    bob: PeerIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peering, "check_identity_certificate", lambda _der, _member: None)
    assert set(bob.replace({"carol.example": (b"\x30\x00",), "alice.example": (ALICE_DER,)})) == {
        "carol.example"
    }
    assert bob.members == {"alice.example"}


def test_the_memory_of_certificates_is_bounded_and_emptied_by_a_roster(
    bob: PeerIdentities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peering, "CERTIFICATES_REMEMBERED_MAX", 2)
    bob.replace({"alice.example": (ALICE_DER,)})
    leaves = [
        identity_der(
            mint_leaf(
                ALICE.certificate, ALICE.private_key, "alice.example", utc_now(), 24
            ).certificate
        )
        for _ in range(5)
    ]
    for leaf in leaves * 2:
        assert bob.member_of(leaf) == "alice.example"
        assert len(bob._bound) <= 2
    bob.replace({})
    for stranger in [*leaves, None, b"", b"\0" * 100]:
        with pytest.raises(PeerNotAMember):
            bob.member_of(stranger)


def test_those_who_registered_hear_of_every_roster_until_they_leave(bob: PeerIdentities) -> None:
    heard: list[frozenset[str]] = []
    leave = bob.on_replaced(lambda: heard.append(bob.members))
    bob.replace({"alice.example": (ALICE_DER,)})
    bob.replace({})
    leave()
    bob.replace({"alice.example": (ALICE_DER,)})
    assert heard == [frozenset({"alice.example"}), frozenset()]


# --- the own leaf ---------------------------------------------------------------------------------


def test_the_leafs_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "tls"
    identities = PeerIdentities("alice.example", ALICE, directory)
    (directory / LEAF_FILE).with_suffix(".new").touch(0o644)  # left by a crash
    identities.renew_if_due(utc_now() + timedelta(hours=17))
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in directory.iterdir()] == [LEAF_FILE]
    assert (directory / LEAF_FILE).stat().st_mode & 0o777 == 0o600


def test_a_leaf_is_renewed_when_two_thirds_of_its_life_are_over(tmp_path: Path) -> None:
    start = utc_now()
    identities = PeerIdentities("alice.example", ALICE, tmp_path, clock=lambda: start)
    whole = start.replace(microsecond=0)
    assert identities.leaf_valid_until == whole + timedelta(hours=24)
    assert not identities.renew_if_due(start + timedelta(hours=15, minutes=59))
    assert identities.leaf_valid_until == whole + timedelta(hours=24)
    assert identities.renew_if_due(start + timedelta(hours=16))
    assert identities.leaf_valid_until == whole + timedelta(hours=40)


def test_a_clock_that_was_set_back_brings_a_leaf_that_peers_take(tmp_path: Path) -> None:
    identities = PeerIdentities("alice.example", ALICE, tmp_path)
    before = utc_now() - timedelta(hours=2)
    assert identities.renew_if_due(before)
    assert identities.leaf_valid_until < before + timedelta(hours=24, seconds=1)


def test_a_leaf_file_that_was_tidied_up_is_written_again(
    alice: PeerIdentities, tmp_path: Path
) -> None:
    (tmp_path / "alice" / LEAF_FILE).unlink()
    alice.replace({"bob.example": (BOB_DER,)})
    assert (tmp_path / "alice" / LEAF_FILE).stat().st_mode & 0o777 == 0o600


def test_a_removal_is_in_force_even_when_the_own_leaf_cannot_be_loaded(
    alice: PeerIdentities, bob: PeerIdentities, tmp_path: Path
) -> None:
    alice.replace({"bob.example": (BOB_DER,)})
    bob.replace({"alice.example": (ALICE_DER,)})
    client = alice.client_context("bob.example")
    heard: list[str] = []
    bob.on_replaced(lambda: heard.append("replaced"))
    (tmp_path / "bob" / LEAF_FILE).write_bytes(b"not a key")
    with pytest.raises(StoreError):
        bob.replace({})
    assert heard == ["replaced"]
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, bob.server_context, "bob.example")


def test_a_leaf_that_cannot_be_written_leaves_the_present_one_in_use(tmp_path: Path) -> None:
    directory = tmp_path / "tls"
    identities = PeerIdentities("alice.example", ALICE, directory)
    until = identities.leaf_valid_until
    (directory / LEAF_FILE).with_suffix(".new").mkdir()
    with pytest.raises(StoreError):
        identities.renew_if_due(utc_now() + timedelta(hours=17))
    assert identities.leaf_valid_until == until


def test_a_node_without_its_own_identity_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(KeyFileInvalid):
        PeerIdentities("alice.example", PemPair(ALICE.certificate, BOB.private_key), tmp_path)
    with pytest.raises(KeyMalformed):
        PeerIdentities("alice.example", BOB, tmp_path)
    assert list(tmp_path.iterdir()) == []
