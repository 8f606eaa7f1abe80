"""The simulated world itself: who is dead does nothing, and rubbish is refused by everybody."""

from __future__ import annotations

from random import Random

import pytest

from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    decode_announcement_answer,
    encode_announcement,
)
from federation.protocol.notes import parse_note
from federation.protocol.origins import Lane
from federation.provenance.log_view import LogView
from tests.simulation.forking_members import Equivocator
from tests.simulation.hostile import JUNK_LINE, alter_note
from tests.simulation.hostile_relays import Pretender
from tests.simulation.test_schedules import log_of, make_batch, make_world
from tests.simulation.world import Node, World


def answer_of(world: World, kind: str, raw: bytes) -> bytes | None:
    """What the last member answers to a request."""
    answers: list[bytes | None] = []
    list(world.nodes.values())[-1].serve(kind, "acme", raw, answers.append)
    [answer] = answers
    return answer


@pytest.mark.parametrize("kind", ["announce", "digest"])
@pytest.mark.parametrize("last", [Node, Equivocator])
def test_a_request_that_is_no_message_is_refused(last: type[Node], kind: str) -> None:
    world = make_world(3, last=last)
    assert answer_of(world, kind, b"\xc1 rubbish") is None


def test_who_agrees_to_everything_agrees_to_what_it_can_read() -> None:
    world = make_world(3, last=Pretender)
    log = log_of(world, "acme", Lane.LIVE)
    note = world.nodes["acme"].sign(LogView(log), make_batch(world, "acme", 2)).note
    twice = note + f"{JUNK_LINE}\n{JUNK_LINE}\n".encode()
    heads = tuple(map(AnnouncedHead, (twice, note[:10], note)))
    answer = answer_of(world, "announce", encode_announcement(Announcement(heads, 1)))
    assert answer is not None
    held = decode_announcement_answer(answer).held
    assert [(log.sha256, 2)] == [(each.log_sha256, each.size) for each in held]


def test_a_tamperer_hangs_lines_under_a_note_that_can_be_read() -> None:
    world = make_world(2)
    head = world.nodes["acme"].sign(LogView(log_of(world, "acme")), make_batch(world, "acme", 1))
    altered = {alter_note(head.note, Random(seed)) for seed in range(20)}
    [longer] = [note for note in altered if note.startswith(head.note)]
    assert head.checkpoint.text == parse_note(longer).text
    assert len(parse_note(head.note).signatures) < len(parse_note(longer).signatures)


def test_a_process_that_dies_while_it_publishes_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = make_world(3)
    node = world.nodes["acme"]
    with monkeypatch.context() as patched:
        patched.setattr(node, "crash_soon", lambda _point: node.crash())
        assert node.hear_of("rekey", "acme")  # it says so in each lane, and dies of the first
    assert not node.is_up
    node.start()
    world.run(world.now + 10.0)
    assert {} == node.disk.logs
    node.publish(Lane.LIVE, make_batch(world, "acme", 1))
    world.run(world.now + 10.0)
    assert 1 == node.disk.logs[log_of(world, "acme")].view.size
