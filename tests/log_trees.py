"""Exported logs for tests: trees of files as ``federation log export`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.tiles import TILE_BYTES_MAX, TilePath, encode_entries, tile_levels

ORIGIN = "acme.example/0f1e2d3c4b5a69788796a5b4c3d2e1f0/live"
KEY = SigningKey.from_seed(sha256(b"a log's key").digest())
VKEY = VerifierKey(ORIGIN, KeyType.ED25519, KEY.public)


def entry(number: int, history: str = "") -> bytes:
    """The entry of that number; of another history it differs."""
    return sha256(f"entry {number} {history}".encode()).digest()


def write_tree(
    folder: Path,
    entries: Sequence[bytes],
    *,
    origin: str = ORIGIN,
    key: SigningKey = KEY,
) -> Path:
    """A log's folder with its vkey beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = [leaf_hash(each) for each in entries]
    root_hash = CompactRange().extend(hashes).root()
    for level in tile_levels(len(entries)):
        for index in range(level.full + bool(level.partial)):
            width = 256 if index < level.full else level.partial
            joined = b"".join(hashes[256 * index : 256 * index + width])
            _write(folder, TilePath(level.level, index, width), joined)
            if level.level == 0:
                part = entries[256 * index : 256 * index + width]
                _write(folder, TilePath(None, index, width), encode_entries(part))
        whole = b"".join(hashes)[: level.full * TILE_BYTES_MAX]
        hashes = [
            CompactRange()
            .extend([whole[at + i : at + i + 32] for i in range(0, TILE_BYTES_MAX, 32)])
            .root()
            for at in range(0, len(whole), TILE_BYTES_MAX)
        ]
    note = sign_checkpoint(Checkpoint(origin, len(entries), root_hash), key)
    (folder / "checkpoint").write_bytes(note)
    vkey = VerifierKey(origin, KeyType.ED25519, key.public)
    folder.with_name(f"{folder.name}.vkey").write_text(vkey.format() + "\n", encoding="utf-8")
    return folder


def _write(folder: Path, path: TilePath, content: bytes) -> None:
    target = folder / path.format()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
