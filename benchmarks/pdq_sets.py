"""Made-up PDQ values for benchmarks and tests, and the slow, obvious search they are judged by.

Real lists are not for us to have. Three shapes stand for what they may look like: uniform (bits
independent), clustered (near-duplicate families of very unequal size), correlated (bits that move
together, neighbouring ones most). Nothing here shares code with the index under test.

Values are rows of 32 bytes (uint8 arrays).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint8]

VALUE_BYTES = 32
VALUE_BITS = 256
# Rows made at a time: the correlated shape needs 1 KiB of floats for each.
ROWS_AT_ONCE = 100_000
# The largest family of near-duplicates: what a meme's copies may come to on one list.
FAMILY_MAX = 1_000


def make_uniform(rng: np.random.Generator, count: int) -> Values:
    return rng.integers(0, 256, (count, VALUE_BYTES), dtype=np.uint8)


def make_clustered(rng: np.random.Generator, count: int) -> Values:
    """30 % of the values are variations, 0 to 20 bits away, of few; family sizes are Pareto."""
    varied = count * 3 // 10
    originals = make_uniform(rng, count - varied)
    sizes = np.minimum(rng.pareto(1.2, varied) + 1, FAMILY_MAX).astype(np.int64)
    families = np.repeat(np.arange(varied), sizes)[:varied]
    variations = originals[families].copy()
    for begin in range(0, varied, ROWS_AT_ONCE):
        some = variations[begin : begin + ROWS_AT_ONCE]
        some ^= make_flips(rng, rng.integers(0, 21, len(some)))
    return np.concatenate([originals, variations])


def make_correlated(rng: np.random.Generator, count: int) -> Values:
    """Each bit is the sign of a mix of 16 hidden factors, smooth over the bits, and of noise."""
    bits = np.arange(VALUE_BITS)
    waves = [np.cos(2 * np.pi * (k * bits / VALUE_BITS + k * 0.618)) for k in range(1, 17)]
    loadings = np.array(waves, dtype=np.float32) * np.float32(0.35)
    parts = []
    for begin in range(0, count, ROWS_AT_ONCE):
        some = min(ROWS_AT_ONCE, count - begin)
        factors = rng.standard_normal((some, len(loadings)), dtype=np.float32)
        noise = rng.standard_normal((some, VALUE_BITS), dtype=np.float32)
        parts.append(np.packbits(factors @ loadings + noise > 0, axis=1))
    return np.concatenate(parts) if parts else make_uniform(rng, 0)


SHAPES: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "uniform": make_uniform,
    "clustered": make_clustered,
    "correlated": make_correlated,
}


def make_flips(rng: np.random.Generator, distances: NDArray[np.int64]) -> Values:
    """For each distance, 32 bytes with so many random bits set."""
    ranks = rng.random((len(distances), VALUE_BITS), dtype=np.float32).argsort(axis=1)
    order = ranks.argsort(axis=1)
    return np.packbits(order < distances[:, None], axis=1)


def plant(
    rng: np.random.Generator, values: Values, each: int, distance_max: int = 31
) -> tuple[Values, NDArray[np.int64]]:
    """Queries exactly 0, 1, .. distance_max bits from some value, ``each`` of every distance."""
    distances = np.repeat(np.arange(distance_max + 1), each)
    near = values[rng.integers(0, len(values), len(distances))]
    return near ^ make_flips(rng, distances), distances


class BruteForce:
    """Compares a query with every value: all 256 bits of those near it in the first 128."""

    def __init__(self, values: Values) -> None:
        words = np.ascontiguousarray(values).view(np.uint64).reshape(-1, 4)
        self._columns = [np.ascontiguousarray(words[:, word]) for word in range(4)]

    def search(self, query: bytes, distance_max: int) -> list[tuple[int, bytes]]:
        """All (distance, value) within distance_max, ascending; each value once."""
        wanted = np.frombuffer(query, dtype=np.uint64)
        some = self._differing(0, wanted, None) + self._differing(1, wanted, None)
        near = np.flatnonzero(some <= distance_max)
        rest = self._differing(2, wanted, near) + self._differing(3, wanted, near)
        distances = some[near] + rest
        hits = near[distances <= distance_max]
        values = np.stack([column[hits] for column in self._columns], axis=1)
        found = zip(distances[distances <= distance_max].tolist(), values, strict=True)
        return sorted({(distance, value.tobytes()) for distance, value in found})

    def _differing(
        self, word: int, wanted: NDArray[np.uint64], rows: NDArray[np.int64] | None
    ) -> NDArray[np.uint16]:
        column = self._columns[word] if rows is None else self._columns[word][rows]
        differing: NDArray[np.uint8] = np.bitwise_count(column ^ wanted[word])
        return differing.astype(np.uint16)


def to_values(rows: Values) -> list[bytes]:
    return [row.tobytes() for row in rows]
