"""Tiles: paths, the shape of trees, and that roots and proofs come out of them again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import TooLarge
from federation.local_errors.proofs import TileMalformed, TilePathMalformed
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.merkle_growth import CompactRange, NodeRun, verify_consistency
from federation.protocol.merkle_proofs import consistency_proof, inclusion_proof, root_from
from federation.protocol.tiles import (
    TilePath,
    decode_entries,
    encode_entries,
    entries_path,
    lay_tiles,
    nodes_from,
    parse_tile_path,
    split_tile,
    tile_levels,
    tile_path,
    tile_paths,
    tile_width,
)

LEAVES = [leaf_hash(nth.to_bytes(4, "big")) for nth in range(70_000)]
PATHS = st.builds(
    TilePath,
    level=st.none() | st.integers(min_value=0, max_value=63),
    index=st.integers(min_value=0, max_value=2000) | st.integers(min_value=0, max_value=2**63 - 1),
    width=st.integers(min_value=1, max_value=256),
)
TILE_KEY = tuple[int, int]


class TileShelf:
    """Tiles kept as a store keeps them: one row each, widened by every batch."""

    def __init__(self) -> None:
        self.edge = CompactRange()
        self.held: dict[TILE_KEY, bytes] = {}

    def append(self, leaves: list[bytes]) -> None:
        self.edge, runs = self.edge.extend_with_runs(leaves)
        for run in runs:
            last = self.held.get((run.tile_level, run.start // 256), b"")
            for tile in lay_tiles(run, last):
                self.held[tile.level, tile.index] = tile.joined

    def read(self, level: int, index: int) -> bytes:
        return self.held[level, index]


@given(PATHS)
def test_path_comes_back(tile: TilePath) -> None:
    assert tile == parse_tile_path(tile.format())


@given(st.from_regex(r"tile/(entries|[0-9]{1,3})/(x?[0-9]{1,4}/)*[0-9]{2,4}(\.p/[0-9]{0,4})?"))
def test_path_has_one_form(text: str) -> None:
    try:
        tile = parse_tile_path(text)
    except TilePathMalformed:
        return
    assert text == tile.format()


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)],
)
def test_path_of_no_tile_is_not_made(level: int, index: int, width: int) -> None:
    with pytest.raises(TilePathMalformed):
        tile_path(level, index, width)


def test_paths_of_hashes_and_entries() -> None:
    assert "tile/0/x001/x234/067" == tile_path(0, 1_234_067)
    assert "tile/2/000.p/1" == tile_path(2, 0, 1)
    assert "tile/entries/x001/000.p/9" == entries_path(1000, 9)


@given(st.integers(min_value=0, max_value=70_000))
def test_tree_has_the_tiles_that_its_levels_say(size: int) -> None:
    paths = list(tile_paths(size))
    assert len(paths) == len(set(paths))
    for row in tile_levels(size):
        widths = [tile.width for tile in paths if tile.level == row.level]
        assert [256] * row.full + [row.partial] * (row.partial > 0) == widths
        assert size >> 8 * row.level == sum(widths)
    entries = [tile.width for tile in paths if tile.level is None]
    assert [tile.width for tile in paths if tile.level == 0] == entries
    assert [tile.width for tile in paths] == [
        tile_width(tile.level or 0, tile.index, size) for tile in paths
    ]


def test_tile_beyond_the_tree_has_no_width() -> None:
    assert 0 == tile_width(0, 1, 256)
    assert 0 == tile_width(1, 0, 255)
    assert 1 == tile_width(1, 0, 256)
    assert 0 == tile_width(7, 0, 70_000)
    assert 0 == tile_width(63, 0, 70_000)


@pytest.fixture(scope="module")
def shelf() -> TileShelf:
    """A log of 70,000, the size the specification explains tiles with, in uneven batches."""
    shelf = TileShelf()
    begin = 0
    for batch in (1, 255, 1, 300, 511, 1, 0, 20_000, 45_000, 3_931):
        shelf.append(LEAVES[begin : begin + batch])
        begin += batch
    assert 70_000 == begin == shelf.edge.size
    return shelf


def test_batches_fill_exactly_the_tiles_of_the_tree(shelf: TileShelf) -> None:
    expected = {
        (tile.level, tile.index): tile.width
        for tile in tile_paths(70_000)
        if tile.level is not None
    }
    assert expected == {key: len(joined) // 32 for key, joined in shelf.held.items()}
    assert LEAVES == [leaf for index in range(274) for leaf in split_tile(shelf.read(0, index))]


def test_root_comes_out_of_the_tiles(shelf: TileShelf) -> None:
    assert CompactRange().extend(LEAVES).root() == root_from(70_000, nodes_from(shelf.read))


@given(
    st.integers(min_value=0, max_value=69_999),
    st.integers(min_value=1, max_value=70_000),
    st.integers(min_value=1, max_value=70_000),
)
def test_proofs_come_out_of_the_tiles(shelf: TileShelf, index: int, one: int, two: int) -> None:
    """Tiles of the newest size serve every earlier one."""
    nodes = nodes_from(shelf.read)
    size1, size2 = sorted((one, two))
    root1, root2 = root_from(size1, nodes), root_from(size2, nodes)
    proof = consistency_proof(size1, size2, nodes)
    verify_consistency(size1, size2, root1, root2, proof)
    verify_inclusion(
        index % size2,
        size2,
        LEAVES[index % size2],
        inclusion_proof(index % size2, size2, nodes),
        root2,
    )


def test_tile_that_is_too_narrow_is_refused(shelf: TileShelf) -> None:
    nodes = nodes_from(lambda level, index: shelf.read(level, index)[:-32])
    with pytest.raises(TileMalformed):
        nodes(0, 255)
    with pytest.raises(TileMalformed):
        nodes(7, 1)


def test_run_goes_on_only_where_its_tile_ends() -> None:
    run = NodeRun(0, 3, (LEAVES[3],))
    for edge in (b"", b"".join(LEAVES[:2]), b"".join(LEAVES[:4]), b"".join(LEAVES[:3])[:-1]):
        with pytest.raises(TileMalformed):
            lay_tiles(run, edge)
    (tile,) = lay_tiles(run, b"".join(LEAVES[:3]))
    assert (0, 0, 4, b"".join(LEAVES[:4])) == (tile.level, tile.index, tile.width, tile.joined)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_entries_come_back(entries: list[bytes]) -> None:
    assert tuple(entries) == decode_entries(encode_entries(entries))


def test_entry_bundle_of_the_wrong_size_is_not_made() -> None:
    for entries in ([], [b""] * 257):
        with pytest.raises(TileMalformed):
            encode_entries(entries)
    with pytest.raises(TooLarge):
        encode_entries([bytes(65_536)])
    assert 2 + 65_535 == len(encode_entries([bytes(65_535)]))
