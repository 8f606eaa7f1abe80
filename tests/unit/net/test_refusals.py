"""One table from errors to statuses, and what of a refusal is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import errors
from federation.local_errors.askers import LogNotFound, PeerNotAMember, RangeNotHeld, TooBusy
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.disk import StoreCorrupt, StoreFull
from federation.local_errors.peers import PeerTimeout
from federation.local_errors.proofs import MessageMalformed, RootMismatch
from federation.net.limits import RETRY_AFTER_SECONDS_MAX
from federation.net.refusals import (
    decode_refusal,
    decode_retry_after,
    encode_refusal,
    status_of,
    wait_seconds,
)
from federation.protocol.encoding import decode_map
from federation.protocol.encoding_writing import encode


def every_leaf() -> list[type[errors.FederationError]]:
    found, branches = [], [errors.FederationError]
    while branches:
        branch = branches.pop()
        found.append(branch)
        branches.extend(branch.__subclasses__())
    return found


def make(leaf: type[errors.FederationError]) -> errors.FederationError:
    error = leaf.__new__(leaf)
    errors.FederationError.__init__(error, "what happened")
    return error


@pytest.mark.parametrize("leaf", every_leaf(), ids=lambda leaf: leaf.__name__)
def test_every_error_has_a_status_and_a_code_that_arrives(
    leaf: type[errors.FederationError],
) -> None:
    error = make(leaf)
    assert 400 <= status_of(error) < 600
    assert decode_refusal(encode_refusal(error)) == leaf.code


@pytest.mark.parametrize(
    ("leaf", "status"),
    [
        (MessageMalformed, 400),
        (PeerNotAMember, 403),
        (LogNotFound, 404),
        (PeerTimeout, 408),
        (RangeNotHeld, 409),
        (errors.TooLarge, 413),
        (RootMismatch, 422),
        (TooBusy, 429),
        (ConfigInvalid, 500),
        (StoreCorrupt, 503),
        (StoreFull, 507),
    ],
)
def test_a_leaf_has_its_nearest_branchs_status(
    leaf: type[errors.FederationError], status: int
) -> None:
    assert status_of(make(leaf)) == status


def test_our_own_troubles_are_not_described_to_peers() -> None:
    told = decode_map(encode_refusal(StoreFull("/srv/acme is full")), bytes_max=4096)
    assert told == {"code": "store-full", "message": "this node cannot answer at the moment"}
    told = decode_map(encode_refusal(RangeNotHeld("have 0 to 7")), bytes_max=4096)
    assert told == {"code": "range-not-held", "message": "have 0 to 7"}


@pytest.mark.parametrize(
    "code", ["", "UPPER", "a b", "\x1b[2J", "-a", "a" * 65, "caf\u00e9", 7, ["a"], "a\n"]
)
def test_a_code_that_could_play_tricks_is_not_shown(code: str | int | list[str]) -> None:
    assert decode_refusal(encode({"code": code, "message": "m"})) is None


@given(st.binary())
def test_any_bytes_are_a_refusal_with_or_without_a_code(body: bytes) -> None:
    code = decode_refusal(body)
    assert code is None or (code.isascii() and len(code) <= 64)


@given(st.binary())
def test_any_bytes_ask_for_a_pause_or_for_none(body: bytes) -> None:
    seconds = decode_retry_after(body)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_SECONDS_MAX


@pytest.mark.parametrize(
    ("told", "seconds"), [(0, 0.0), (7, 7.0), (10**9, 300.0), ("7", None), (True, None)]
)
def test_a_pause_in_a_refusal_is_a_small_whole_number(
    told: int | str, seconds: float | None
) -> None:
    assert seconds == decode_retry_after(encode({"code": "too-busy", "retry_after": told}))


def test_only_where_waiting_helps_is_a_pause_asked_for() -> None:
    assert None is wait_seconds(RangeNotHeld("have 0 to 7"), 1)
    assert 1 == wait_seconds(TooBusy("now"), 1)
    assert 3 == wait_seconds(TooBusy("now", retry_after_seconds=2.1), 1)
