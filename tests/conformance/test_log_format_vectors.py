"""Our own vectors of the log formats: what must be accepted, and what refused with which code."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from federation.errors import FederationError, NoteMalformed, SignatureInvalid
from federation.protocol.checkpoints import (
    open_cosignature,
    open_mldsa_cosignature,
    parse_checkpoint,
    subtree_message,
)
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.keys import check_ed25519, check_mldsa44, check_public_key
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.keys_signing import SigningKey, format_seed_text, parse_seed_text
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.merkle_growth import CompactRange, verify_consistency
from federation.protocol.notes import (
    format_note,
    format_signature_line,
    parse_note,
    parse_signature_line,
)
from federation.protocol.proofs import format_tlog_proof, parse_tlog_proof
from federation.protocol.texts import check_characters, format_base64, parse_base64, parse_decimal
from federation.protocol.tiles import (
    decode_entries,
    encode_entries,
    parse_tile_path,
    split_tile,
    tile_levels,
)
from tests.vectors.cases import (
    Case,
    Json,
    bytes_of,
    digests_of,
    from_input,
    number_of,
    text_of,
)
from tests.vectors.generate import FOLDER
from tests.vectors.make_checkpoints import checkpoint_gives
from tests.vectors.make_keys import vkey_gives
from tests.vectors.make_notes import line_gives

NOUNS = ("texts", "keys", "merkle", "notes", "checkpoints", "tiles", "proofs")


def read_base64(case: Case) -> Json:
    raw = parse_base64(text_of(case, "text"), NoteMalformed, "it")
    assert format_base64(raw) == text_of(case, "text")
    return raw.hex()


def read_decimal(case: Case) -> Json:
    return str(parse_decimal(text_of(case, "text"), NoteMalformed, "it"))


def judge_characters(case: Case) -> Json:
    check_characters(text_of(case, "text"), NoteMalformed, "it")
    return None


def read_vkey(case: Case) -> Json:
    vkey = parse_vkey(text_of(case, "text"))
    assert vkey.format() == text_of(case, "text")
    return vkey_gives(vkey)


def judge_public_key(case: Case) -> Json:
    check_public_key(bytes_of(case, "public"))
    return None


def judge_ed25519(case: Case) -> Json:
    if not check_ed25519(
        bytes_of(case, "public"), bytes_of(case, "message"), bytes_of(case, "signature")
    ):
        raise SignatureInvalid("the check says no")
    return None


def read_seed(case: Case) -> Json:
    seed = parse_seed_text(text_of(case, "text"))
    assert format_seed_text(seed) == text_of(case, "text")
    return SigningKey.from_seed(seed).public.hex()


def hash_leaf(case: Case) -> Json:
    return leaf_hash(bytes_of(case, "entry")).hex()


def compute_root(case: Case) -> Json:
    return CompactRange().extend(digests_of(case, "leaves")).root().hex()


def judge_inclusion(case: Case) -> Json:
    verify_inclusion(
        number_of(case, "index"),
        number_of(case, "size"),
        bytes_of(case, "leaf"),
        digests_of(case, "proof"),
        bytes_of(case, "root"),
    )
    return None


def judge_consistency(case: Case) -> Json:
    verify_consistency(
        number_of(case, "size1"),
        number_of(case, "size2"),
        bytes_of(case, "root1"),
        bytes_of(case, "root2"),
        digests_of(case, "proof"),
    )
    return None


def read_note(case: Case) -> Json:
    raw = from_input("note", case)
    note = parse_note(raw)
    assert format_note(note) == raw
    return {"text": note.text, "signatures": [line_gives(line) for line in note.signatures]}


def read_signature_line(case: Case) -> Json:
    line = parse_signature_line(text_of(case, "text"))
    assert format_signature_line(line) == text_of(case, "text")
    return line_gives(line)


def read_checkpoint(case: Case) -> Json:
    checkpoint = parse_checkpoint(text_of(case, "text"))
    assert checkpoint.text == text_of(case, "text")
    return checkpoint_gives(checkpoint)


def judge_checkpoint(case: Case) -> Json:
    vkey = parse_vkey(text_of(case, "vkey"))
    return checkpoint_gives(open_checkpoint(from_input("note", case), vkey, check_ed25519))


def judge_cosignature(case: Case) -> Json:
    line, vkey = parse_signature_line(text_of(case, "line")), parse_vkey(text_of(case, "vkey"))
    return str(open_cosignature(text_of(case, "text"), line, vkey, check_ed25519))


def judge_mldsa_cosignature(case: Case) -> Json:
    checkpoint = parse_checkpoint(text_of(case, "text"))
    line, vkey = parse_signature_line(text_of(case, "line")), parse_vkey(text_of(case, "vkey"))
    at_seconds = open_mldsa_cosignature(checkpoint, line, vkey, check_mldsa44)
    return None if at_seconds is None else str(at_seconds)


def compose_subtree_message(case: Case) -> Json:
    checkpoint = parse_checkpoint(text_of(case, "text"))
    message = subtree_message(checkpoint, text_of(case, "name"), number_of(case, "at_seconds"))
    return message.hex()


def read_tile_path(case: Case) -> Json:
    tile = parse_tile_path(text_of(case, "text"))
    assert tile.format() == text_of(case, "text")
    level = None if tile.level is None else str(tile.level)
    return {"level": level, "index": str(tile.index), "width": str(tile.width)}


def list_tile_levels(case: Case) -> Json:
    return [
        {"level": str(row.level), "full": str(row.full), "partial": str(row.partial)}
        for row in tile_levels(number_of(case, "size"))
    ]


def read_entries(case: Case) -> Json:
    entries = decode_entries(bytes_of(case, "bundle"))
    assert encode_entries(entries) == bytes_of(case, "bundle")
    return [entry.hex() for entry in entries]


def read_tile(case: Case) -> Json:
    return [digest.hex() for digest in split_tile(bytes_of(case, "joined"))]


def read_tlog_proof(case: Case) -> Json:
    raw = from_input("proof", case)
    proof = parse_tlog_proof(raw)
    assert format_tlog_proof(proof) == raw
    return {
        "index": str(proof.index),
        "proof_hex": [digest.hex() for digest in proof.hashes],
        "extra_hex": None if proof.extra is None else proof.extra.hex(),
        "note_hex": proof.checkpoint_note.hex(),
    }


ANSWERS: dict[str, Callable[[Case], Json]] = {
    "base64": read_base64,
    "decimal": read_decimal,
    "characters": judge_characters,
    "vkey": read_vkey,
    "public_key": judge_public_key,
    "ed25519": judge_ed25519,
    "seed": read_seed,
    "leaf": hash_leaf,
    "root": compute_root,
    "inclusion": judge_inclusion,
    "consistency": judge_consistency,
    "note": read_note,
    "signature_line": read_signature_line,
    "checkpoint": read_checkpoint,
    "open_checkpoint": judge_checkpoint,
    "open_cosignature": judge_cosignature,
    "open_mldsa_cosignature": judge_mldsa_cosignature,
    "subtree_message": compose_subtree_message,
    "tile_path": read_tile_path,
    "tile_levels": list_tile_levels,
    "entries": read_entries,
    "tile": read_tile,
    "tlog_proof": read_tlog_proof,
}


def held_cases(name: str) -> list[Case]:
    return [
        case
        for noun in NOUNS
        for case in json.loads((FOLDER / noun / f"{name}.json").read_text("ascii"))
    ]


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_case_is_accepted_with_its_answer(case: Case) -> None:
    assert case["gives"] == ANSWERS[text_of(case, "op")](case)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_case_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(FederationError) as caught:
        ANSWERS[text_of(case, "op")](case)
    assert case["error"] == caught.value.code


def test_every_question_has_a_case_of_both_kinds_or_cannot_be_refused() -> None:
    asked = {name: {case["op"] for case in held_cases(name)} for name in ("accept", "reject")}
    assert set(ANSWERS) == asked["accept"]
    assert {"leaf", "subtree_message", "tile_levels"} == set(ANSWERS) - asked["reject"]
