"""What the desk sees of a message before anybody judges it."""

from __future__ import annotations

import pytest

from federation.daemon.desk import Desk
from federation.errors import ProtocolError
from federation.protocol.messages import AnnouncedHead, Announcement, encode_announcement
from federation.protocol.origins import Lane
from tests.builders import make_log


def announcement(*lanes: Lane) -> bytes:
    heads = tuple(AnnouncedHead(make_log(1, lane=lane).head().note) for lane in lanes)
    return encode_announcement(Announcement(heads, 1))


def test_an_announcement_speaks_of_a_crisis_where_one_of_its_heads_is_of_that_lane() -> None:
    assert Desk.is_crisis(announcement(Lane.CRISIS))
    assert Desk.is_crisis(announcement(Lane.BULK, Lane.CRISIS))
    assert not Desk.is_crisis(announcement(Lane.LIVE, Lane.BULK))
    assert not Desk.is_crisis(announcement())


@pytest.mark.parametrize("note", [b"", b"crisis\n", b"\xff/\xff/crisis\n", b"a/b/crisis/0/0\n"])
def test_a_head_of_no_log_is_malformed(note: bytes) -> None:
    body = encode_announcement(Announcement((AnnouncedHead(note),), 1))
    with pytest.raises(ProtocolError):
        Desk.is_crisis(body)


def test_evidence_of_a_fork_goes_with_what_speaks_of_a_crisis() -> None:
    assert Desk.is_crisis(encode_announcement(Announcement((), 1, (b"evidence",))))
