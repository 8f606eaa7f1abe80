"""Auditing a whole public log: every entry, every tile and the root, computed again from nothing.

A log is a tree of files (C2SP tlog-tiles), read through a function so that this floor touches no
disk. Three hashes of each entry are looked at: its leaf hash in the tile of level 0, the root of
each full tile in the tile above, and the root that all of them lead to, which the log's key signed.
What is kept at any time is one tile and the roots of the tiles of one level.

Source: docs/guides/auditing.md, whose steps are numbered; C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from federation.errors import FederationError, ProofMalformed, SignatureInvalid, TooLarge
from federation.local_errors.proofs import FileNotAtHand, RootMismatch
from federation.protocol.checkpoints import Checkpoint, open_mldsa_cosignature
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.keys import SignatureCheck, VerifierKey, check_mldsa44
from federation.protocol.limits import NOTE_BYTES_MAX, STATEMENT_ID_BYTES, TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES, leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import Nodes
from federation.protocol.notes import parse_note
from federation.protocol.tiles import (
    ENTRY_BYTES_MAX,
    ENTRY_LENGTH_BYTES,
    TILE_BYTES_MAX,
    TilePath,
    decode_entries,
    encode_entries,
    nodes_from,
    tile_levels,
    tile_width,
)
from federation.provenance.report import Examination, Report

STEPS: Final = (
    "the log's key signed the checkpoint",
    "every entry hashes to the tile above it",
    "every tile hashes to the tile above it",
    "the tiles lead to the signed root",
)

ReadFile: TypeAlias = Callable[[str, int], bytes | None]
"""(path below the log's folder, most bytes) -> the file; None where there is none."""

CHECKPOINT_FILE: Final = "checkpoint"
_BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (ENTRY_LENGTH_BYTES + ENTRY_BYTES_MAX)
_ENTRY: Final = ENTRY_LENGTH_BYTES + STATEMENT_ID_BYTES
_LENGTH: Final = STATEMENT_ID_BYTES.to_bytes(ENTRY_LENGTH_BYTES, "big")


@dataclass(frozen=True)
class AuditedLog:
    """A log that was audited, and stood.

    Attributes:
        checkpoint: its head.
        note: the signed checkpoint, verbatim.
        nodes: the roots of its full subtrees, from its tiles.
    """

    checkpoint: Checkpoint
    note: bytes
    nodes: Nodes


def audit_log(
    read: ReadFile,
    vkey: VerifierKey,
    check: SignatureCheck,
    *,
    second: VerifierKey | None = None,
    advance: Callable[[int], None] = lambda _entries: None,
) -> tuple[Report, AuditedLog | None]:
    """Audit one log. Never raises for anything that its files hold.

    Args:
        read: gives the log's files.
        vkey: the log's key.
        check: the Ed25519 check.
        second: the key of its ML-DSA-44 line; where it is given, the line must be there.
        advance: called with entries as they are done.

    Returns:
        What was found; the log, where all of it stands.
    """
    examination = Examination(STEPS)
    try:
        note = _file(read, CHECKPOINT_FILE, NOTE_BYTES_MAX)
        checkpoint = _open(note, vkey, check, second)  # (1)
        examination.passed(f"{checkpoint.origin}, {checkpoint.size} entries")
        below, edge = _audit_entries(read, checkpoint.size, advance)  # (2)
        examination.passed(f"{checkpoint.size} entries")
        count = _audit_tiles(read, checkpoint.size, below)  # (3)
        examination.passed(f"{count} tiles above level 0")
        _check_root(edge, checkpoint)  # (4)
        examination.passed(checkpoint.root_hash.hex())
    except FederationError as error:
        return examination.failed(error), None
    log = AuditedLog(checkpoint, note, _nodes(read, checkpoint.size))
    size, origin = checkpoint.size, checkpoint.origin
    words = f"WHOLE: all {size} entries of {origin} lead to the root that its key signed."
    return examination.concluded(words), log


def _open(
    note: bytes, vkey: VerifierKey, check: SignatureCheck, second: VerifierKey | None
) -> Checkpoint:
    checkpoint = open_checkpoint(note, vkey, check)
    if second is not None:
        line = parse_note(note).signature_by(second.name, second.key_id)
        if line is None:
            raise SignatureInvalid("the log's ML-DSA-44 line is not under the checkpoint")
        open_mldsa_cosignature(checkpoint, line, second, check_mldsa44)
    return checkpoint


def _check_root(edge: CompactRange, checkpoint: Checkpoint) -> None:
    if edge.root() != checkpoint.root_hash:
        raise RootMismatch("the tiles lead to another root than the log's key signed")


def _audit_entries(
    read: ReadFile, size: int, advance: Callable[[int], None]
) -> tuple[list[bytes], CompactRange]:
    """The roots of the full tiles of level 0, and the right edge of the tree."""
    roots: list[bytes] = []
    last = CompactRange()
    for index in range(-(-size // TILE_WIDTH)):
        width = tile_width(0, index, size)
        joined = _tile(read, TilePath(0, index, width))
        path = TilePath(None, index, width)
        bundle = _bundle(read, path)
        if _leaf_hashes(bundle, width) != joined:
            raise RootMismatch(f"{path.format()} does not hash to the tile of level 0 above it")
        if width == TILE_WIDTH:
            roots.append(_root_of_full(joined))
        else:
            last = CompactRange().extend(_split(joined))
        advance(width)
    return roots, _edge(roots, last)


def _leaf_hashes(bundle: bytes, width: int) -> bytes:
    """The leaf hashes of a bundle's entries, joined: what an audit spends half of its time on."""
    lengths = {bundle[at : at + ENTRY_LENGTH_BYTES] for at in range(0, len(bundle), _ENTRY)}
    if lengths != {_LENGTH} or len(bundle) != width * _ENTRY:
        # A log of another protocol, whose entries have other lengths; or not a bundle at all.
        entries = decode_entries(bundle)
        if len(entries) != width:
            raise RootMismatch(f"{len(entries)} entries where the tree has {width}")
        return b"".join(map(leaf_hash, entries))
    return b"".join(
        [
            sha256(b"\x00" + bundle[at : at + STATEMENT_ID_BYTES]).digest()
            for at in range(ENTRY_LENGTH_BYTES, len(bundle), _ENTRY)
        ]
    )


def _root_of_full(joined: bytes) -> bytes:
    """The root of a power of two of hashes: the other half of the time."""
    while len(joined) > DIGEST_BYTES:
        joined = b"".join(
            [
                sha256(b"\x01" + joined[at : at + 2 * DIGEST_BYTES]).digest()
                for at in range(0, len(joined), 2 * DIGEST_BYTES)
            ]
        )
    return joined


def _edge(roots: list[bytes], last: CompactRange) -> CompactRange:
    """The right edge of a tree of full tiles and what stands behind them.

    The frontier of the full tiles, each of which is a subtree of 256 leaves, goes on with the one
    of the leaves behind.
    """
    tiles = CompactRange().extend(roots)
    return CompactRange(tiles.size * TILE_WIDTH + last.size, (*tiles.hashes, *last.hashes))


def _audit_tiles(read: ReadFile, size: int, below: list[bytes]) -> int:
    """Hold every level above 0 against the one below; gives how many tiles there are."""
    count = 0
    for level in tile_levels(size)[1:]:
        made: list[bytes] = []
        for index in range(level.full + bool(level.partial)):
            width = tile_width(level.level, index, size)
            path = TilePath(level.level, index, width)
            joined = _tile(read, path)
            first = index * TILE_WIDTH
            if b"".join(below[first : first + width]) != joined:
                raise RootMismatch(f"the tiles below do not hash to {path.format()}")
            if width == TILE_WIDTH:
                made.append(_root_of_full(joined))
            count += 1
        below = made
    return count


def _nodes(read: ReadFile, size: int) -> Nodes:
    def read_tile(level: int, index: int) -> bytes:
        return _tile(read, TilePath(level, index, tile_width(level, index, size)))

    return nodes_from(read_tile)


def _tile(read: ReadFile, path: TilePath) -> bytes:
    """A tile of that width; where only the full one is there, its beginning."""
    raw = read(path.format(), TILE_BYTES_MAX)
    if raw is None and path.width < TILE_WIDTH:
        raw = read(TilePath(path.level, path.index).format(), TILE_BYTES_MAX)
        raw = None if raw is None else raw[: path.width * DIGEST_BYTES]
    if raw is None:
        raise FileNotAtHand(f"{path.format()} is not there")
    if len(raw) != path.width * DIGEST_BYTES:
        raise ProofMalformed(f"{path.format()} is not {path.width} hashes of {DIGEST_BYTES} bytes")
    return raw


def _bundle(read: ReadFile, path: TilePath) -> bytes:
    """An entry bundle of that width; where only the full one is there, its beginning."""
    try:
        return _file(read, path.format(), _BUNDLE_BYTES_MAX)
    except FileNotAtHand:
        whole = read(TilePath(None, path.index).format(), _BUNDLE_BYTES_MAX)
        if whole is None:
            raise
    return encode_entries(decode_entries(whole)[: path.width])


def _file(read: ReadFile, path: str, bytes_max: int) -> bytes:
    raw = read(path, bytes_max)
    if raw is None:
        raise FileNotAtHand(f"{path} is not there")
    if len(raw) > bytes_max:
        raise TooLarge(f"{path} is over {bytes_max} bytes")
    return raw


def _split(joined: bytes) -> list[bytes]:
    return [joined[at : at + DIGEST_BYTES] for at in range(0, len(joined), DIGEST_BYTES)]
