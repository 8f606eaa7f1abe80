"""When a live stream is raised: not for one frame, never late, and not for longer than it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.matching.decisions import Decision
from federation.matching.live_windows import LiveHit, LiveWindow
from federation.matching.policy_terms import Action
from federation.protocol.signals import SignalType


def hit(action: Action = Action.REVIEW) -> LiveHit:
    return LiveHit(Decision(action, str(action), "because"), (SignalType.PDQ, bytes(32)), 3, ())


def test_one_frame_is_raised_by_nobody_and_two_are_at_once() -> None:
    window = LiveWindow(60, 2)
    assert not window.add(1_000, hit())
    assert not window.add(2_000, None)
    assert Action.ALLOW is window.standing.action
    assert window.add(3_000, hit())
    standing = window.standing
    assert (Action.REVIEW, 1_000, 67) == (
        standing.action,
        standing.began_at_ms,
        standing.share_percent,
    )


def test_it_is_over_once_no_frame_in_the_window_matches() -> None:
    window = LiveWindow(3, 2)
    changes = [window.add(at, hit() if at in {1, 2} else None) for at in range(1, 7)]
    assert [False, True, False, False, True, False] == changes
    assert window.standing.hit is None
    assert window.standing.began_at_ms is None


def test_a_stronger_action_needs_as_many_frames_of_its_own() -> None:
    window = LiveWindow(60, 2)
    window.add(1, hit())
    window.add(2, hit())
    assert not window.add(3, hit(Action.DENY_LIVE))
    assert Action.REVIEW is window.standing.action
    assert window.add(4, hit(Action.DENY_LIVE))
    assert (Action.DENY_LIVE, 1) == (window.standing.action, window.standing.began_at_ms)


def test_the_action_raised_is_one_that_enough_frames_ask_for() -> None:
    window = LiveWindow(60, 2)
    window.add(1, hit(Action.DENY_LIVE))
    assert window.add(2, hit(Action.REVIEW))
    assert Action.REVIEW.strength <= window.standing.action.strength


@given(
    st.lists(st.sampled_from([None, Action.LABEL, Action.REVIEW, Action.DENY_LIVE]), max_size=80),
    st.integers(2, 10),
    st.integers(1, 4),
)
def test_the_counts_are_those_of_the_window_whatever_came(
    actions: list[Action | None], frames_max: int, frames_min: int
) -> None:
    window = LiveWindow(frames_max, frames_min)
    for at_ms, action in enumerate(actions):
        window.add(at_ms, None if action is None else hit(action))
        standing = window.standing
        last = actions[: at_ms + 1][-frames_max:]
        assert (at_ms + 1, len(last)) == (standing.frames, standing.window)
        assert sum(each is not None for each in last) == standing.matched
        assert 0 <= standing.share_percent <= 100
        assert (standing.hit is None) == (standing.began_at_ms is None)
        if standing.hit is not None:
            assert standing.matched


@pytest.mark.parametrize("frames_min", [1, 2, 3])
def test_enough_matching_frames_in_a_row_are_always_raised(frames_min: int) -> None:
    window = LiveWindow(10, frames_min)
    for at_ms in range(frames_min):
        window.add(at_ms, hit())
    assert window.standing.hit is not None
