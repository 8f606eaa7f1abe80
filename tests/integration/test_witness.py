"""The witness by its statuses (C2SP tlog-witness), and never two histories signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from federation.daemon import witness as witness_room
from federation.daemon.witness import WitnessAnswer
from federation.gossip.fork_events import EvidenceFound
from federation.local_errors.askers import LogNotFound
from federation.local_errors.disk import StoreFull
from federation.protocol.checkpoints import Checkpoint, open_cosignature
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.evidence import decode_evidence
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519
from federation.protocol.limits import PROOF_HASHES_MAX
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.notes import parse_note, parse_signature_lines
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.witness import SIZE_MEDIA_TYPE, format_add_checkpoint
from federation.provenance.convicting import open_evidence
from tests.builders import ACME, NEW_YEAR_2026_MS, NOVA, MadeLog, make_key, make_log, make_roster
from tests.integration.conftest import until
from tests.integration.public_logs import PublicNode, open_public_node

FOUNDED = make_roster()
DELAY_MS = FOUNDED.roster.public_delay_seconds * 1_000


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[PublicNode]:
    opened = await open_public_node(tmp_path, FOUNDED, now_ms=NEW_YEAR_2026_MS)
    async with opened:
        yield opened


async def until_signed(node: PublicNode, made: MadeLog) -> None:
    async def is_signed() -> bool:
        return (await node.stores.witness.newest(made.log)).size == made.view.size

    await until(is_signed)


async def test_what_is_held_at_the_start_is_signed_once_the_peers_were_asked(
    node: PublicNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_room, "WITNESS_SECONDS", 0.0)
    node.guard.ready.clear()
    made = make_log(3, founded=FOUNDED)
    await node.hold(made)
    signing = asyncio.create_task(node.witness.run())
    node.witness.accepted(made.log)
    for _ in range(10):
        await asyncio.sleep(0)
    assert 0 == (await node.stores.witness.newest(made.log)).size
    node.guard.ready.set()
    await until_signed(node, made)
    signing.cancel()


async def test_what_was_accepted_while_signing_was_stopped_is_signed_after_it(
    node: PublicNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_room, "WITNESS_SECONDS", 0.0)
    own, made = make_log(founded=FOUNDED, member=NOVA), make_log(3, founded=FOUNDED)
    await node.guard.stop(own.log, "second-copy", "another copy is running")
    await node.hold(made)
    signing = asyncio.create_task(node.witness.run())
    node.witness.accepted(made.log)
    for _ in range(10):
        await asyncio.sleep(0)
    await node.guard.go_on({})
    await until_signed(node, made)
    signing.cancel()


async def test_a_head_that_a_full_disk_kept_from_being_signed_is_signed_later(
    node: PublicNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_room, "WITNESS_SECONDS", 0.0)
    monkeypatch.setattr(witness_room, "RETRY_SECONDS", 0.0)
    made = make_log(3, founded=FOUNDED)
    await node.hold(made)
    real, left = node.stores.witness.swap, [2]

    async def swap(*given: Any, **named: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise StoreFull("no space is left")
        await real(*given, **named)

    monkeypatch.setattr(type(node.stores.witness), "swap", staticmethod(swap))
    signing = asyncio.create_task(node.witness.run())
    node.witness.accepted(made.log)
    await until_signed(node, made)
    signing.cancel()


def log_of(count: int, first: int = 0) -> MadeLog:
    """Acme's live log with so many statements, numbered from ``first``."""
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(first, first + count))
    return made


def asked(made: MadeLog, old: int, size: int) -> bytes:
    """The request that takes the log from one size to another, rightly proven."""
    proof = consistency_proof(old, size, made.node)
    return format_add_checkpoint(old, proof, made.head(size).note)


def signed_by(answer: WitnessAnswer, made: MadeLog, size: int) -> int:
    """When nova's witness says it signed the log's head of that size."""
    assert 200 == answer.status, answer.body
    (line,) = parse_signature_lines(answer.body.decode())
    vkey = FOUNDED.roster.cosigner_vkey(NOVA, Cosigner.WITNESS)
    text = parse_note(made.head(size).note).text
    return open_cosignature(text, line, vkey, check_ed25519)


async def test_first_and_following_heads_are_signed(node: PublicNode) -> None:
    made = log_of(300)
    now = NEW_YEAR_2026_MS // 1_000
    assert now == signed_by(await node.witness.add_checkpoint(asked(made, 0, 7)), made, 7)
    answer = await node.witness.add_checkpoint(asked(made, 7, 300))
    assert now == signed_by(answer, made, 300)


async def test_the_same_head_again_is_signed_with_the_time_of_now(node: PublicNode) -> None:
    made = log_of(7)
    await node.witness.add_checkpoint(asked(made, 0, 7))
    node.now_ms += 600_000
    again = await node.witness.add_checkpoint(asked(made, 7, 7))
    assert NEW_YEAR_2026_MS // 1_000 + 600 == signed_by(again, made, 7)


async def test_malformed_requests_are_400(node: PublicNode) -> None:
    made = log_of(7)
    note = made.head(7).note
    extended = note.replace(b"\n\n", b"\nextension\n\n", 1)
    for body in (
        b"",
        note,
        b"old 0\n" + note,
        b"old 00\n\n" + note,
        b"old -1\n\n" + note,
        b"old 9223372036854775808\n\n" + note,
        b"old 0\nnot base64\n\n" + note,
        b"old 0\nAAAA\n\n" + note,
        b"old 0\r\n\n" + note,
        b"old 0\n\n" + note[:-1],
        b"old 0\n\n" + extended,
        b"old 8\n\n" + note,
        format_add_checkpoint(0, (bytes(32),) * (PROOF_HASHES_MAX + 1), note),
    ):
        assert 400 == (await node.witness.add_checkpoint(body)).status, body[:40]
    assert 0 == (await node.stores.witness.newest(made.log)).size


async def test_a_log_that_the_roster_does_not_hold_is_404(node: PublicNode) -> None:
    foreign = Checkpoint("somebody.example/log", 0, EMPTY_ROOT)
    note = sign_checkpoint(foreign, make_key("somebody"))
    assert 404 == (await node.witness.add_checkpoint(format_add_checkpoint(0, (), note))).status


async def test_another_signature_than_the_logs_own_is_403(node: PublicNode) -> None:
    made = log_of(7)
    text = made.head(7).checkpoint
    other = sign_checkpoint(text, make_key("a thief"))
    assert 403 == (await node.witness.add_checkpoint(format_add_checkpoint(0, (), other))).status
    note = bytearray(made.head(7).note)
    start = note.index("\u2014".encode())
    forged = sign_checkpoint(Checkpoint(text.origin, 8, text.root_hash), make_key("x"))
    assert 403 == (await node.witness.add_checkpoint(b"old 0\n\n" + forged)).status
    grafted = made.head(6).note.partition(b"\n\n")[0] + b"\n\n" + bytes(note[start:])
    assert 403 == (await node.witness.add_checkpoint(b"old 0\n\n" + grafted)).status


async def test_another_old_size_is_409_with_the_size_signed_last(node: PublicNode) -> None:
    made = log_of(300)
    await node.witness.add_checkpoint(asked(made, 0, 7))
    for old, size in ((0, 300), (6, 300), (8, 300), (0, 7)):
        answer = await node.witness.add_checkpoint(asked(made, old, size))
        assert (409, b"7\n", SIZE_MEDIA_TYPE) == (answer.status, answer.body, answer.media_type)


async def test_a_wrong_proof_is_422_and_moves_nothing(node: PublicNode) -> None:
    made = log_of(300)
    await node.witness.add_checkpoint(asked(made, 0, 7))
    right = consistency_proof(7, 300, made.node)
    note = made.head(300).note
    for proof in (right[:-1], (*right, bytes(32)), (bytes(32), *right[1:]), ()):
        answer = await node.witness.add_checkpoint(format_add_checkpoint(7, proof, note))
        assert 422 == answer.status
    assert 7 == (await node.stores.witness.newest(made.log)).size


async def test_a_proof_from_nothing_is_422(node: PublicNode) -> None:
    made = log_of(7)
    body = format_add_checkpoint(0, (bytes(32),), made.head(7).note)
    assert 422 == (await node.witness.add_checkpoint(body)).status


async def test_size_zero_takes_the_empty_root_only(node: PublicNode) -> None:
    made = log_of(0)
    assert 200 == (await node.witness.add_checkpoint(asked(made, 0, 0))).status
    text = f"{made.log.origin}\n0\n" + "A" * 43 + "=\n"
    key = FOUNDED.companies[ACME].keys[Lane.LIVE]
    name = VerifierKey(made.log.origin, KeyType.ED25519, key.public)
    from federation.protocol.notes import Note, NoteSignature, format_note

    line = NoteSignature(name.name, name.key_id, key.sign(text.encode()))
    wrong = format_note(Note(text, (line,)))
    assert 422 == (await node.witness.add_checkpoint(b"old 0\n\n" + wrong)).status


async def test_two_roots_of_one_size_are_422_and_evidence(node: PublicNode) -> None:
    made, forked = log_of(7), log_of(7, first=100)
    await node.witness.add_checkpoint(asked(made, 0, 7))
    body = format_add_checkpoint(7, (), forked.head(7).note)
    assert 422 == (await node.witness.add_checkpoint(body)).status
    (kept,) = await node.stores.evidence.of_log(made.log)
    evidence = decode_evidence(kept.encoded)
    vkey = FOUNDED.roster.log_vkey(made.log)
    roots = {
        open_checkpoint(note, vkey, check_ed25519).root_hash
        for note in (evidence.first.note, evidence.second.note)
    }
    assert {made.head(7).root_hash, forked.head(7).root_hash} == roots
    (told,) = node.told
    assert isinstance(told, EvidenceFound)
    assert made.log == told.conviction.log
    made.say_numbers(range(7, 9))
    after = await node.witness.add_checkpoint(asked(made, 7, 9))
    assert 403 == after.status


async def test_of_two_at_once_one_is_signed_and_one_is_409(node: PublicNode) -> None:
    """Two heads that both follow the last one: only one of them can be the next."""
    made, forked = log_of(20), log_of(7)
    forked.say_numbers(range(500, 513))
    await node.witness.add_checkpoint(asked(made, 0, 7))
    answers = await asyncio.gather(
        node.witness.add_checkpoint(asked(made, 7, 20)),
        node.witness.add_checkpoint(asked(forked, 7, 20)),
    )
    assert [200, 409] == sorted(answer.status for answer in answers)


async def test_two_processes_on_one_database_never_sign_both(node: PublicNode) -> None:
    """No lock is shared here: the transaction alone decides."""
    made, forked = log_of(20), log_of(7)
    forked.say_numbers(range(500, 513))
    await node.witness.add_checkpoint(asked(made, 0, 7))
    other = PublicNode(node.stores, node.membership, FOUNDED, NEW_YEAR_2026_MS, node.guard)
    answers = await asyncio.gather(
        node.witness.add_checkpoint(asked(made, 7, 20)),
        other.witness.add_checkpoint(asked(forked, 7, 20)),
    )
    assert [200, 409] == sorted(answer.status for answer in answers)


async def test_what_the_node_accepted_is_signed_and_binds_the_witness(node: PublicNode) -> None:
    made = log_of(20)
    made.advance()
    await node.hold(made)
    state = await node.witness.catch_up(made.log)
    assert (20, made.head(20).root_hash) == (state.size, state.root_hash)
    forked = log_of(10)
    forked.say_numbers(range(500, 530))
    answer = await node.witness.add_checkpoint(asked(forked, 10, 40))
    assert (409, b"20\n") == (answer.status, answer.body)
    proven = format_add_checkpoint(20, consistency_proof(20, 40, forked.node), forked.head(40).note)
    assert 422 == (await node.witness.add_checkpoint(proven)).status


async def test_a_request_before_the_node_caught_up_cannot_leave_its_history(
    node: PublicNode,
) -> None:
    """The node holds 20; the witness signed 7; a fork from 7 is offered before it caught up."""
    made, forked = log_of(20), log_of(7)
    forked.say_numbers(range(500, 533))
    made.advance()
    await node.witness.add_checkpoint(asked(made, 0, 7))
    await node.hold(made)
    answer = await node.witness.add_checkpoint(asked(forked, 7, 40))
    assert (409, b"20\n") == (answer.status, answer.body)


async def test_a_signed_head_that_the_statements_belie_stops_the_witness(node: PublicNode) -> None:
    """The witness signed a fork's head first; then the node's own statements tell otherwise."""
    made, forked = log_of(20), log_of(20, first=100)
    await node.witness.add_checkpoint(asked(forked, 0, 20))
    made.advance()
    await node.hold(made)
    answer = await node.witness.add_checkpoint(asked(forked, 20, 20))
    assert 403 == answer.status
    assert ["witness-conflict"] == [code for code, _ in node.alarms]
    assert 1 == len(await node.stores.evidence.of_log(made.log))


async def test_a_smaller_head_that_the_statements_belie_is_evidence_with_its_proof(
    node: PublicNode,
) -> None:
    made, forked = log_of(20), log_of(7, first=100)
    await node.witness.add_checkpoint(asked(forked, 0, 7))
    made.advance()
    await node.hold(made)
    assert 403 == (await node.witness.add_checkpoint(asked(made, 7, 20))).status
    (kept,) = await node.stores.evidence.of_log(made.log)
    evidence = decode_evidence(kept.encoded)
    assert (7, 20) == (evidence.first.checkpoint.size, evidence.second.checkpoint.size)
    assert made.log == open_evidence(kept.encoded, FOUNDED.roster, check_ed25519).log


async def test_what_the_witness_signed_does_not_go_back_with_the_database(
    node: PublicNode, tmp_path: Path
) -> None:
    """The database is lost; the guard beside it is not."""
    made = log_of(20)
    await node.witness.add_checkpoint(asked(made, 0, 20))
    (tmp_path / "restored").mkdir()
    restored = await open_public_node(
        tmp_path / "restored",
        FOUNDED,
        now_ms=NEW_YEAR_2026_MS,
        guard_folder=tmp_path / "guard",
    )
    forked = log_of(7)
    forked.say_numbers(range(500, 533))
    for old, size in ((0, 7), (0, 40), (7, 40)):
        answer = await restored.witness.add_checkpoint(asked(forked, old, size))
        assert (409, b"20\n") == (answer.status, answer.body)
    await restored.guard.close()
    await restored.stores.close()


async def test_a_stopped_node_witnesses_nothing(node: PublicNode) -> None:
    await node.guard.stop(log_of(1).log, "second-copy", "another copy is running")
    assert 403 == (await node.witness.add_checkpoint(asked(log_of(7), 0, 7))).status


async def test_monitoring_shows_heads_as_of_the_public_delay(node: PublicNode) -> None:
    made = log_of(300)
    await node.witness.add_checkpoint(asked(made, 0, 7))
    with pytest.raises(LogNotFound):
        await node.desk.witnessed(made.log.sha256)
    node.now_ms += DELAY_MS - 1_000
    await node.witness.add_checkpoint(asked(made, 7, 300))
    node.now_ms += 1_000
    note = await node.desk.witnessed(made.log.sha256)
    vkey = FOUNDED.roster.log_vkey(made.log)
    assert 7 == open_checkpoint(note, vkey, check_ed25519).size
    assert 2 == len(parse_note(note).signatures)
    node.now_ms += DELAY_MS
    later = await node.desk.witnessed(made.log.sha256)
    assert 300 == open_checkpoint(later, vkey, check_ed25519).size


async def test_heads_that_no_one_will_be_shown_again_are_forgotten(node: PublicNode) -> None:
    made = log_of(30)
    for size in range(1, 31):
        await node.witness.add_checkpoint(asked(made, size - 1, size))
        node.now_ms += DELAY_MS
    [[count]] = await node.stores.database.read("SELECT count(*) FROM witness_heads")
    assert 2 == count
