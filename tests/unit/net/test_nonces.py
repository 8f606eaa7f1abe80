"""A request is taken once; what is remembered is bounded, and nobody makes another be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.local_errors.askers import ClockSkew, RequestReplayed, TooBusy
from federation.net import nonces as room
from federation.net.nonces import REMEMBERED_SECONDS, NonceTable
from federation.protocol.http_signatures import AGE_SECONDS_MAX, AHEAD_SECONDS_MAX, check_age

START = 1_000.0


def test_a_nonce_is_taken_once_by_each_member() -> None:
    table = NonceTable(START)
    table.take("a", "n", 1_001, 1_001.0)
    table.take("b", "n", 1_001, 1_001.0)
    with pytest.raises(RequestReplayed):
        table.take("a", "n", 1_001, 1_002.0)


@pytest.mark.parametrize("created", [0, 999, 1_000])
def test_what_was_signed_before_the_start_is_not_taken(created: int) -> None:
    with pytest.raises(RequestReplayed, match="before this node started"):
        NonceTable(START + 0.9).take("a", "n", created, 1_001.0)


@given(
    ahead=st.integers(-AGE_SECONDS_MAX, AHEAD_SECONDS_MAX),
    later=st.floats(0, 2 * REMEMBERED_SECONDS),
)
def test_no_request_is_taken_twice_however_late_it_comes_again(ahead: int, later: float) -> None:
    """Once the nonce is forgotten, the request is too old by itself."""
    now = START + 500.0
    created = int(now) + ahead
    table = NonceTable(START)
    table.take("a", "n", created, now)
    again = now + later
    with pytest.raises((ClockSkew, RequestReplayed)):  # whichever of the two it is
        table.take("a", "n", check_age(created, again), again)


def test_a_full_table_refuses_and_empties_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NONCES_PER_MEMBER_MAX", 2)
    monkeypatch.setattr(room, "NONCES_MAX", 3)
    table = NonceTable(START)
    for member, nonce in (("a", "1"), ("a", "2"), ("b", "1")):
        table.take(member, nonce, 1_001, 1_001.0)
    with pytest.raises(TooBusy, match="a sent 2"):
        table.take("a", "3", 1_001, 1_001.0)
    with pytest.raises(TooBusy, match="this node"):
        table.take("c", "1", 1_001, 1_001.0)
    with pytest.raises(RequestReplayed):  # and nothing was forgotten for it
        table.take("a", "1", 1_001, 1_001.0)
    later = 1_001.0 + REMEMBERED_SECONDS
    table.take("c", "1", 1_091, later)
    assert 1 == len(table)
