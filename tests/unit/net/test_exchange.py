"""Places for requests under way."""

from __future__ import annotations

import pytest

from federation.local_errors.askers import TooBusy
from federation.net.exchange import InFlight
from federation.net.limits import LinkLimits, ListenerLimits, Share
from federation.net.link import _retry_after


def test_places_are_counted_apart_by_member_and_kind_and_given_back() -> None:
    limits = ListenerLimits(
        control_in_flight_max=1, range_in_flight_max=2, bulk_in_flight_total_max=3
    )
    in_flight = InFlight(limits)
    with in_flight.place("a", Share.CONTROL), in_flight.place("b", Share.CONTROL):
        with pytest.raises(TooBusy), in_flight.place("a", Share.CONTROL):
            pass
        with in_flight.place("a", Share.BULK), in_flight.place("a", Share.BULK):
            with pytest.raises(TooBusy), in_flight.place("a", Share.BULK):
                pass
            with (
                in_flight.place("b", Share.BULK),
                pytest.raises(TooBusy),
                in_flight.place("b", Share.BULK),
            ):
                pass
            with pytest.raises(ValueError, match="a bug"), in_flight.place("b", Share.BULK):
                raise ValueError("a bug")
            with in_flight.place("b", Share.BULK):
                pass
    assert not any(in_flight._taken.values())


def test_a_crisis_range_has_a_place_when_all_places_for_bulk_and_live_are_taken() -> None:
    limits = ListenerLimits(bulk_in_flight_total_max=1, urgent_in_flight_total_max=1)
    in_flight = InFlight(limits)
    with in_flight.place("a", Share.BULK), in_flight.place("a", Share.URGENT):
        for share in (Share.BULK, Share.URGENT):
            with pytest.raises(TooBusy), in_flight.place("b", share):
                pass
        with in_flight.place("a", Share.CRISIS), in_flight.place("b", Share.CRISIS):
            pass


def test_an_asker_closes_an_idle_connection_before_the_listener_does() -> None:
    assert LinkLimits().keepalive_seconds < ListenerLimits().keepalive_seconds


def test_a_members_pools_fit_into_its_share_of_connections() -> None:
    pools = sum(LinkLimits().connections(share) for share in Share)
    assert 3 * pools <= ListenerLimits().connections_per_member_max


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        ("999999999", 300.0),
        ("9999999999", None),
        ("-1", None),
        ("1.5", None),
        ("\u0667", None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_pause_asked_for_by_a_peer_is_a_small_whole_number(
    field: str | None, seconds: float | None
) -> None:
    assert _retry_after(field) == seconds
