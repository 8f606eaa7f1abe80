"""Vectors of docs/spec/tiles.md: paths, the tiles of a tree, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator

from federation.local_errors.proofs import TileMalformed, TilePathMalformed
from federation.protocol.tiles import TilePath, encode_entries, tile_levels
from tests.vectors.cases import Case, Json, accepted, refused

GOOD_PATHS = (
    ("tile/0/000", TilePath(0, 0)),
    ("tile/0/000.p/1", TilePath(0, 0, 1)),
    ("tile/0/000.p/255", TilePath(0, 0, 255)),
    ("tile/1/999", TilePath(1, 999)),
    ("tile/2/x001/000", TilePath(2, 1000)),
    ("tile/0/x001/x234/067", TilePath(0, 1_234_067)),
    ("tile/63/x001/x000/x000/000.p/9", TilePath(63, 1_000_000_000, 9)),
    ("tile/0/x009/x223/x372/x036/x854/x775/807", TilePath(0, (1 << 63) - 1)),
    ("tile/entries/000", TilePath(None, 0)),
    ("tile/entries/x123/x456/789.p/41", TilePath(None, 123_456_789, 41)),
)

BAD_PATHS = (
    ("nothing", ""),
    ("a checkpoint", "checkpoint"),
    ("a slash before", "/tile/0/000"),
    ("a slash behind", "tile/0/000/"),
    ("two slashes", "tile//0/000"),
    ("no index", "tile/0"),
    ("no level", "tile/000"),
    ("a level with a leading zero", "tile/00/000"),
    ("level 64", "tile/64/000"),
    ("level 100", "tile/100/000"),
    ("a negative level", "tile/-1/000"),
    ("a level that is no number", "tile/one/000"),
    ("static-ct's data", "tile/data/000"),
    ("upper case", "TILE/0/000"),
    ("an index of two digits", "tile/0/00"),
    ("an index of four digits", "tile/0/0000"),
    ("an index without the x", "tile/0/001/000"),
    ("an x on the last group", "tile/0/x000"),
    ("a group of zeros too many", "tile/0/x000/000"),
    ("an upper-case x", "tile/0/X001/000"),
    ("an index of 2^63", "tile/0/x009/x223/x372/x036/x854/x775/808"),
    ("an index of a hundred digits", "tile/0/" + "x999/" * 33 + "999"),
    ("an Arabic digit", "tile/0/00\u0663"),
    ("width 0", "tile/0/000.p/0"),
    ("width 256", "tile/0/000.p/256"),
    ("width 1000", "tile/0/000.p/1000"),
    ("a width with a leading zero", "tile/0/000.p/01"),
    ("no width", "tile/0/000.p/"),
    ("a negative width", "tile/0/000.p/-1"),
    ("a partial folder alone", "tile/0/000.p"),
    ("a newline behind", "tile/0/000\n"),
    ("a way up", "tile/0/../000"),
    ("an escape", "tile/0/00%30"),
    ("a query", "tile/0/000?x"),
)

SIZES = (0, 1, 255, 256, 257, 65_535, 65_536, 70_000, (1 << 63) - 1)


def paths() -> Iterator[Case]:
    for text, tile in GOOD_PATHS:
        level = None if tile.level is None else str(tile.level)
        gives: Json = {"level": level, "index": str(tile.index), "width": str(tile.width)}
        yield accepted("tile_path", f"path: {text}", gives, text=text)
    for desc, text in BAD_PATHS:
        yield refused("tile_path", f"path: {desc}", TilePathMalformed, text=text)


def trees() -> Iterator[Case]:
    for size in SIZES:
        gives: Json = [
            {"level": str(row.level), "full": str(row.full), "partial": str(row.partial)}
            for row in tile_levels(size)
        ]
        yield accepted("tile_levels", f"tiles of a tree of {size}", gives, size=str(size))


def entries() -> Iterator[Case]:
    chosen = (
        ("one", [b"entry"]),
        ("one that is empty", [b""]),
        ("three", [b"a", b"", b"ccc"]),
        ("256", [bytes([nth]) for nth in range(256)]),
        ("one of 300 bytes", [b"e" * 300]),
    )
    for desc, kept in chosen:
        gives: Json = [entry.hex() for entry in kept]
        wording = f"entries: {desc}"
        yield accepted("entries", wording, gives, bundle_hex=encode_entries(kept).hex())
    bad = (
        ("nothing", b""),
        ("one byte", b"\0"),
        ("a length alone", b"\0\1"),
        ("the last entry cut", b"\0\1a\0\2b"),
        ("a length cut", b"\0\1a\0"),
        ("a byte too many", b"\0\1a\0\0\0"),
        ("257", b"\0\0" * 257),
    )
    for desc, bundle in bad:
        yield refused("entries", f"entries: {desc}", TileMalformed, bundle_hex=bundle.hex())


def tiles() -> Iterator[Case]:
    for width in (1, 2, 256):
        digests = [bytes([nth]) * 32 for nth in range(width)]
        gives: Json = [digest.hex() for digest in digests]
        yield accepted("tile", f"tile of {width}", gives, joined_hex=b"".join(digests).hex())
    for length in (0, 31, 33, 257 * 32):
        desc = f"tile of {length} bytes"
        yield refused("tile", desc, TileMalformed, joined_hex=bytes(length).hex())


def cases() -> list[Case]:
    """All of them, in order."""
    return [*paths(), *trees(), *entries(), *tiles()]
