"""Origins: one spelling for each log, and nothing that looks like another member."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from federation.errors import MemberNameMalformed, OriginMalformed
from federation.local_errors.proofs import LaneUnknown
from federation.protocol.limits import EPOCH_MAX
from federation.protocol.origins import (
    Cosigner,
    Lane,
    LogId,
    check_federation_id,
    check_member_name,
    cosigner_name,
    federation_id_of,
    parse_origin,
)
from federation.protocol.origins_local import parse_lane
from tests.builders import ACME, FEDERATION_ID, UMBRA

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "origins.md"


def test_examples_of_the_page() -> None:
    page = PAGE.read_text("utf-8")
    live = LogId(ACME, FEDERATION_ID, Lane.LIVE)
    assert f"\n{live.origin}  " in page
    assert f"\n{LogId(ACME, FEDERATION_ID, Lane.LIVE, 1).origin}  " in page
    assert f"\n{cosigner_name(ACME, FEDERATION_ID, Cosigner.WITNESS)}  " in page
    assert live.sha256.hex() in page


def test_log_is_named_by_the_digest_of_its_origin() -> None:
    log = LogId(ACME, FEDERATION_ID, Lane.LIVE)
    assert sha256(f"{ACME}/{FEDERATION_ID}/live".encode()).digest() == log.sha256
    assert log.origin == str(log)


def test_every_lane_and_epoch_has_its_own_origin() -> None:
    logs = [
        LogId(member, FEDERATION_ID, lane, epoch)
        for member in (ACME, UMBRA)
        for lane in Lane
        for epoch in (0, 1, EPOCH_MAX)
    ]
    assert logs == [parse_origin(log.origin) for log in logs]
    assert len(logs) == len({log.origin for log in logs})


def test_lanes_are_most_urgent_first() -> None:
    assert ["crisis", "live", "bulk"] == list(Lane)
    assert Lane.CRISIS is parse_lane("crisis")


@pytest.mark.parametrize("name", ["", "LIVE", "live ", "witness", "erase"])
def test_unknown_lane_is_refused_by_name(name: str) -> None:
    with pytest.raises(LaneUnknown) as caught:
        parse_lane(name)
    assert "crisis, live, bulk" in caught.value.message


def test_no_log_has_a_cosigners_name() -> None:
    for cosigner in Cosigner:
        with pytest.raises(OriginMalformed):
            parse_origin(cosigner_name(ACME, FEDERATION_ID, cosigner))


@pytest.mark.parametrize("lookalike", ["аcme.example", "xn--cme-5cd.example", "acme.xn--p1ai"])  # noqa: RUF001
def test_lookalike_of_a_member_is_refused(lookalike: str) -> None:
    with pytest.raises(MemberNameMalformed):
        check_member_name(lookalike)
    with pytest.raises(OriginMalformed):
        parse_origin(f"{lookalike}/{FEDERATION_ID}/live")


@pytest.mark.parametrize("smuggled", ["acme.example/x", "acme.example\n", "acme+x", "acme example"])
def test_name_cannot_smuggle_a_part_of_a_note_or_path(smuggled: str) -> None:
    with pytest.raises(MemberNameMalformed):
        LogId(smuggled, FEDERATION_ID, Lane.LIVE)
    with pytest.raises(MemberNameMalformed):
        cosigner_name(smuggled, FEDERATION_ID, Cosigner.MIRROR)


@pytest.mark.parametrize("epoch", [-1, EPOCH_MAX + 1])
def test_epoch_out_of_range_is_refused(epoch: int) -> None:
    with pytest.raises(OriginMalformed):
        LogId(ACME, FEDERATION_ID, Lane.LIVE, epoch)


def test_epoch_has_one_spelling() -> None:
    for spelling in ("0", "00", "01", "+1", "1 ", "1_0", "٢"):
        with pytest.raises(OriginMalformed):
            parse_origin(f"{ACME}/{FEDERATION_ID}/live/{spelling}")


def test_federation_is_named_by_its_first_root_byte_for_byte() -> None:
    first = federation_id_of(b'{"signed":{}}')
    assert first != federation_id_of(b'{"signed": {}}')
    check_federation_id(first)


@pytest.mark.parametrize("wrong", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 32 + "\n"])
def test_malformed_federation_id_is_refused(wrong: str) -> None:
    with pytest.raises(OriginMalformed):
        check_federation_id(wrong)
