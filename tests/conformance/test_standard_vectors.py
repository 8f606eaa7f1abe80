"""The log formats against the standard vectors, which nobody here wrote.

Where we are stricter than a vector's source, the test says so and asserts the strictness.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from federation.errors import (
    CheckpointMalformed,
    FederationError,
    KeyMalformed,
    NoteMalformed,
    ProofMalformed,
    ProtocolError,
    SignatureInvalid,
    VerificationError,
)
from federation.protocol.checkpoints import (
    open_cosignature,
    open_mldsa_cosignature,
    parse_checkpoint,
    subtree_message,
)
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519, check_mldsa44
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.merkle_growth import CompactRange, verify_consistency
from federation.protocol.merkle_proofs import consistency_proof, inclusion_proof, root_from
from federation.protocol.notes import Note, NoteSignature, format_note, parse_note
from federation.protocol.proofs import format_tlog_proof, parse_tlog_proof
from federation.protocol.tiles import (
    TileLevel,
    decode_entries,
    encode_entries,
    entries_path,
    parse_tile_path,
    tile_levels,
    tile_path,
    tile_width,
)


def read_json(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text("utf-8"))


def proof_cases(folder: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    cases = folder / "transparency-dev-merkle" / "testdata" / kind
    for path in sorted(cases.rglob("*.json")):
        yield path.relative_to(cases).as_posix(), json.loads(path.read_text("utf-8"))


def digests(texts: list[str] | None) -> list[bytes]:
    return [b64decode(text) for text in texts or []]


def test_inclusion_proofs_of_transparency_dev(standard_vectors: Path) -> None:
    verdicts = {}
    expected = {}
    for name, case in proof_cases(standard_vectors, "inclusion"):
        expected[name] = not case["wantErr"]
        try:
            verify_inclusion(
                case["leafIdx"],
                case["treeSize"],
                b64decode(case["leafHash"]),
                digests(case["proof"]),
                b64decode(case["root"]),
            )
            verdicts[name] = True
        except (ProtocolError, VerificationError):
            verdicts[name] = False
    assert 98 == len(expected)
    assert expected == verdicts


def test_consistency_proofs_of_transparency_dev(standard_vectors: Path) -> None:
    verdicts = {}
    expected = {}
    for name, case in proof_cases(standard_vectors, "consistency"):
        # Stricter: its hashes have nine and twelve bytes, and ours have 32.
        stricter = name == "additional/sizes-are-equal-one-and-proof-is-empty.json"
        expected[name] = not case["wantErr"] and not stricter
        try:
            verify_consistency(
                case["size1"],
                case["size2"],
                b64decode(case["root1"]),
                b64decode(case["root2"]),
                digests(case["proof"]),
            )
            verdicts[name] = True
        except (ProtocolError, VerificationError):
            verdicts[name] = False
    assert 98 == len(expected)
    assert expected == verdicts


def test_reference_tree_of_rfc_6962(standard_vectors: Path) -> None:
    tree = read_json(standard_vectors, "rfc6962-reference-tree.json")
    levels = [[bytes.fromhex(digest) for digest in row] for row in tree["node_hashes_hex"]]
    roots = [bytes.fromhex(digest) for digest in tree["root_hashes_by_size_hex"]]
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in tree["leaf_inputs_hex"]]
    assert levels[0] == leaves

    def nodes(level: int, index: int) -> bytes:
        return levels[level][index]

    assert roots == [CompactRange().extend(leaves[:size]).root() for size in range(9)]
    assert roots == [root_from(size, nodes) for size in range(9)]
    for size in range(9):
        for index in range(size):
            proof = inclusion_proof(index, size, nodes)
            verify_inclusion(index, size, leaves[index], proof, roots[size])
        for earlier in range(size + 1):
            proof = consistency_proof(earlier, size, nodes)
            verify_consistency(earlier, size, roots[earlier], roots[size], proof)


def test_accumulated_subtree_hashes(standard_vectors: Path) -> None:
    tree = read_json(standard_vectors, "rfc6962-reference-tree.json")
    leaves = [leaf_hash(bytes([nth])) for nth in range(130)]
    lines = sha256()
    for end in range(131):
        for start in range(end + 1):
            aligned = 1 << (end - start - 1).bit_length() if end > start else 1
            if start % aligned == 0:
                root = CompactRange().extend(leaves[start:end]).root()
                lines.update(f"[{start}, {end}) {root.hex()}\n".encode())
    assert tree["accumulated_subtree_vectors"]["sha256_subtree_hash"] == lines.hexdigest()


def test_signed_notes_of_c2sp_and_go(standard_vectors: Path) -> None:
    """Go judges notes of any text, so the signature is checked here as open_checkpoint does."""
    vectors = read_json(standard_vectors, "signed-note.json")
    for case in vectors["valid"]:
        raw = case["note"].encode()
        note = parse_note(raw)
        assert raw == format_note(note)
        for vkey in map(read_any_vkey, case["vkeys"]):
            line = note.signature_by(vkey.name, vkey.key_id) if vkey else None
            assert vkey is None or line is not None
            if vkey and line:
                assert check_ed25519(vkey.public, note.text.encode(), line.signature)
    for case in vectors["invalid"]:
        (vkey,) = map(parse_vkey, case["vkeys"])
        with pytest.raises((ProtocolError, SignatureInvalid)):
            open_note(b64decode(case["note_b64"]), vkey)
    for text in vectors["invalid_vkeys"]:
        with pytest.raises(KeyMalformed):
            parse_vkey(text)


def read_any_vkey(text: str) -> VerifierKey | None:
    """The verifier key, or None for ECDSA, which nothing here verifies."""
    try:
        return parse_vkey(text)
    except KeyMalformed:
        assert b64decode(text.split("+", 2)[2])[0] == 2
        return None


def open_note(raw: bytes, vkey: VerifierKey) -> None:
    note = parse_note(raw)
    line = note.signature_by(vkey.name, vkey.key_id)
    if line is None or not check_ed25519(vkey.public, note.text.encode(), line.signature):
        raise SignatureInvalid("no valid signature by the key")


def test_verifier_keys_of_other_implementations(standard_vectors: Path) -> None:
    vectors = read_json(standard_vectors, "vkeys.json")
    known = set(KeyType)
    for case in vectors["valid"]:
        if case["type"] in known:
            vkey = parse_vkey(case["vkey"])
            assert (case["type"], case["vkey"]) == (vkey.type, vkey.format())
        else:  # Stricter: ECDSA (02) and RFC 6962 (05) are not used by this protocol.
            with pytest.raises(KeyMalformed):
                parse_vkey(case["vkey"])
    for text in (*vectors["invalid"], *(case["vkey"] for case in vectors["key_id_mismatch"])):
        with pytest.raises(KeyMalformed):
            parse_vkey(text)


def test_timestamps_of_cosignatures(standard_vectors: Path) -> None:
    vectors = read_json(standard_vectors, "vkeys.json")
    vkey = VerifierKey(
        "w.example", KeyType.COSIGNATURE_ED25519, SigningKey.from_seed(b"s" * 32).public
    )
    seen: list[bytes] = []

    def remember(public: bytes, message: bytes, signature: bytes) -> bool:
        seen.append(message)
        return True

    for case in vectors["cosignature_v1_timestamp"]:
        line = NoteSignature(vkey.name, vkey.key_id, b64decode(case["sig_b64"])[4:])
        if "error" in case:
            with pytest.raises(SignatureInvalid):
                open_cosignature("o\n", line, vkey, remember)
        else:
            assert case["timestamp"] == open_cosignature("o\n", line, vkey, remember)
    assert [b"cosignature/v1\ntime 1727964367\no\n"] == seen


def test_checkpoint_grammar(standard_vectors: Path) -> None:
    vectors = read_json(standard_vectors, "checkpoint-parse.json")
    for text in vectors["grammar_invalid"]:
        with pytest.raises(CheckpointMalformed):
            parse_checkpoint(text)
    tree = vectors["sumdb_tree"]
    checkpoint = parse_checkpoint(tree["text"])
    assert (tree["size"], tree["text"]) == (checkpoint.size, checkpoint.text)


def test_tile_paths_of_tessera_and_the_specification(standard_vectors: Path) -> None:
    vectors = read_json(standard_vectors, "tile-paths.json")
    for index, size, path in vectors["entries_for_index"]:
        assert path == entries_path(index // 256, tile_width(0, index // 256, size))
    for level, index, partial, path in vectors["tile"]:
        assert path == tile_path(level, index, partial or 256)
        tile = parse_tile_path(path)
        assert (level, index, partial or 256) == (tile.level, tile.index, tile.width)
    examples = vectors["spec_examples"]
    assert f"tile/0/{examples['index_1234067']}" == tile_path(0, 1_234_067)
    tree = examples["size_70000"]
    assert (
        TileLevel(0, tree["full_L0"], tree["partial_L0"]),
        TileLevel(1, tree["full_L1"], tree["partial_L1"]),
        TileLevel(2, 0, tree["partial_L2"]),
    ) == tile_levels(70_000)
    tree = examples["size_256"]
    assert (
        TileLevel(0, tree["full_L0"], 0),
        TileLevel(1, 0, tree["partial_L1"]),
    ) == tile_levels(256)


def test_tlog_proof_grammar(standard_vectors: Path) -> None:
    for case in read_json(standard_vectors, "tlog-proof.json")["invalid"]:
        with pytest.raises(ProofMalformed):
            parse_tlog_proof(case["text"].encode())


def test_three_leaf_log_byte_for_byte(standard_vectors: Path) -> None:
    log = read_json(standard_vectors, "generated-3leaf.json")
    entries = [leaf.encode() for leaf in log["leaves_utf8"]]
    leaves = [leaf_hash(entry) for entry in entries]
    root = CompactRange().extend(leaves).root()
    assert log["leaf_hashes_hex"] == [leaf.hex() for leaf in leaves]
    assert log["root_hex"] == root.hex()
    assert log["entry_bundle_hex"] == encode_entries(entries).hex()
    assert entries == list(decode_entries(bytes.fromhex(log["entry_bundle_hex"])))
    proofs = {
        earlier: [b64decode(text) for text in log[f"consistency_{earlier}_to_3_b64"]]
        for earlier in (1, 2)
    }
    for earlier, proof in proofs.items():
        before = CompactRange().extend(leaves[:earlier]).root()
        verify_consistency(earlier, 3, before, root, proof)

    raw = log["checkpoint"].encode()
    log_vkey, log_key = parse_vkey(log["vkey_log"]), SigningKey.from_seed(bytes([1]) * 32)
    witness = parse_vkey(log["vkey_witness_ed25519"])
    witness_key = SigningKey.from_seed(bytes.fromhex(log["witness_ed25519_seed_hex"]))
    mldsa_witness = parse_vkey(log["vkey_witness_mldsa44"])
    assert bytes.fromhex(log["log_seed_hex"]) == bytes([1]) * 32
    checkpoint = open_checkpoint(raw, log_vkey, check_ed25519)
    assert (log["note_body"], 3, root) == (checkpoint.text, checkpoint.size, checkpoint.root_hash)

    # Ed25519 is deterministic: what we sign is, byte for byte, what others signed.
    note = parse_note(raw)
    own, cosigned, mldsa_cosigned = note.signatures
    assert format_note(Note(note.text, (own,))) == sign_checkpoint(checkpoint, log_key)
    assert cosigned == cosign(note.text, witness.name, witness_key, log["timestamp"])
    assert log["timestamp"] == open_cosignature(note.text, cosigned, witness, check_ed25519)

    message = subtree_message(checkpoint, mldsa_witness.name, log["timestamp"])
    assert log["mldsa44_cosigned_message_hex"] == message.hex()
    at_seconds = open_mldsa_cosignature(checkpoint, mldsa_cosigned, mldsa_witness, check_mldsa44)
    assert log["timestamp"] == at_seconds
    signature = mldsa_cosigned.signature[8:]
    assert log["mldsa44_deterministic_signature_sha256"] == sha256(signature).hexdigest()

    whole = parse_tlog_proof(log["tlog_proof_index2"].encode())
    assert (2, None, raw) == (whole.index, whole.extra, whole.checkpoint_note)
    verify_inclusion(2, 3, leaves[2], whole.hashes, checkpoint.root_hash)
    assert log["tlog_proof_index2"].encode() == format_tlog_proof(whole)


def test_every_bit_of_the_three_leaf_checkpoint_counts(standard_vectors: Path) -> None:
    """A flipped bit is refused, unless it only touches a cosigner's line."""
    log = read_json(standard_vectors, "generated-3leaf.json")
    raw, vkey = log["checkpoint"].encode(), parse_vkey(log["vkey_log"])
    own = raw.index(b"\n", raw.index(b"\n\n") + 2) + 1
    for place in range(own):
        for bit in range(8):
            tampered = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
            with pytest.raises(FederationError) as caught:
                open_checkpoint(tampered, vkey, check_ed25519)
            assert isinstance(caught.value, NoteMalformed | CheckpointMalformed | SignatureInvalid)
