"""Checkpoints and cosignatures: who may speak for a log, and about what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import CheckpointMalformed, KeyMalformed, SignatureInvalid
from federation.protocol.checkpoints import (
    Checkpoint,
    open_cosignature,
    parse_checkpoint,
    subtree_message,
)
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.notes import parse_note
from federation.protocol.notes_writing import add_signatures

ORIGIN = "acme.example/0123456789abcdef0123456789abcdef/live"
KEY = SigningKey.from_seed(b"k" * 32)
VKEY = VerifierKey(ORIGIN, KeyType.ED25519, KEY.public)
WITNESS_KEY = SigningKey.from_seed(b"w" * 32)
WITNESS = VerifierKey("borealis.example/w", KeyType.COSIGNATURE_ED25519, WITNESS_KEY.public)
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(32)))
SECONDS = st.integers(min_value=0, max_value=2**63 - 1)

CHECKPOINTS = st.builds(
    Checkpoint,
    origin=st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1).filter(
        lambda origin: len(origin.encode()) <= 255
    ),
    size=st.integers(min_value=1, max_value=2**63 - 1),
    root_hash=st.binary(min_size=32, max_size=32),
)


@given(CHECKPOINTS)
def test_checkpoint_comes_back(checkpoint: Checkpoint) -> None:
    assert checkpoint == parse_checkpoint(checkpoint.text)


@given(st.integers(min_value=1, max_value=2**63 - 1), st.binary(min_size=32, max_size=32))
def test_signed_checkpoint_opens_with_its_logs_key(size: int, root_hash: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root_hash)
    assert checkpoint == open_checkpoint(sign_checkpoint(checkpoint, KEY), VKEY, check_ed25519)


def test_signing_twice_gives_the_same_bytes() -> None:
    assert sign_checkpoint(CHECKPOINT, KEY) == sign_checkpoint(CHECKPOINT, KEY)


def test_check_is_asked_about_the_text_and_the_logs_key_only() -> None:
    asked: list[tuple[bytes, bytes, bytes]] = []

    def agree(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append((public, message, signature))
        return True

    line = cosign(CHECKPOINT.text, WITNESS.name, WITNESS_KEY, 1)
    note = add_signatures(sign_checkpoint(CHECKPOINT, KEY), [line])
    open_checkpoint(note, VKEY, agree)
    text = CHECKPOINT.text.encode()
    assert [(KEY.public, text, KEY.sign(text))] == asked


def test_key_of_one_log_cannot_speak_for_another() -> None:
    foreign = Checkpoint(ORIGIN.replace("acme", "dorado"), 7, CHECKPOINT.root_hash)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(sign_checkpoint(foreign, KEY), VKEY, check_ed25519)


def test_origin_that_is_no_key_name_is_not_signed() -> None:
    with pytest.raises(KeyMalformed):
        sign_checkpoint(Checkpoint("go.sum database tree", 7, bytes(32)), KEY)


def test_size_zero_goes_with_the_empty_root_only() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert empty == open_checkpoint(sign_checkpoint(empty, KEY), VKEY, check_ed25519)
    with pytest.raises(CheckpointMalformed):
        Checkpoint(ORIGIN, 0, bytes(32))


@pytest.mark.parametrize(
    ("origin", "size", "root_hash"),
    [
        ("", 7, bytes(32)),
        ("a\nb", 7, bytes(32)),
        ("a\tb", 7, bytes(32)),
        ("\ud800", 7, bytes(32)),
        ("\u00e9" * 128, 7, bytes(32)),
        (ORIGIN, -1, bytes(32)),
        (ORIGIN, 2**63, bytes(32)),
        (ORIGIN, 7, bytes(31)),
        (ORIGIN, 7, bytes(33)),
    ],
)
def test_checkpoint_that_no_note_carries_is_not_made(
    origin: str, size: int, root_hash: bytes
) -> None:
    with pytest.raises(CheckpointMalformed):
        Checkpoint(origin, size, root_hash)


@given(SECONDS)
def test_cosignature_says_when(at_seconds: int) -> None:
    line = cosign(CHECKPOINT.text, WITNESS.name, WITNESS_KEY, at_seconds)
    assert at_seconds == open_cosignature(CHECKPOINT.text, line, WITNESS, check_ed25519)


@given(SECONDS, SECONDS)
def test_cosignature_cannot_be_moved_in_time(signed_at: int, told: int) -> None:
    line = cosign(CHECKPOINT.text, WITNESS.name, WITNESS_KEY, signed_at)
    moved = type(line)(*line.signer, told.to_bytes(8, "big") + line.signature[8:])
    if signed_at != told:
        with pytest.raises(SignatureInvalid):
            open_cosignature(CHECKPOINT.text, moved, WITNESS, check_ed25519)


@pytest.mark.parametrize("at_seconds", [-1, 2**63])
def test_time_out_of_range_is_not_signed(at_seconds: int) -> None:
    with pytest.raises(CheckpointMalformed):
        cosign(CHECKPOINT.text, WITNESS.name, WITNESS_KEY, at_seconds)


def test_cosignature_is_no_checkpoint_signature_and_the_other_way_round() -> None:
    """One key under one name in both roles: the two messages never coincide."""
    as_cosigner = VerifierKey(ORIGIN, KeyType.COSIGNATURE_ED25519, KEY.public)
    note = parse_note(sign_checkpoint(CHECKPOINT, KEY))
    with pytest.raises(SignatureInvalid):
        open_cosignature(note.text, note.signatures[0], as_cosigner, check_ed25519)
    stamped = bytes(8) + note.signatures[0].signature
    line = type(note.signatures[0])(ORIGIN, as_cosigner.key_id, stamped)
    with pytest.raises(SignatureInvalid):
        open_cosignature(note.text, line, as_cosigner, check_ed25519)


def test_cosigned_names_cannot_run_into_each_other() -> None:
    """Both names of a type 06 message carry their length."""
    one = subtree_message(Checkpoint("bc", 7, bytes(32)), "a", 0)
    two = subtree_message(Checkpoint("c", 7, bytes(32)), "ab", 0)
    assert one != two
