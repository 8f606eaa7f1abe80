"""The order in which the PDQ index keeps a value's bits: by diagonals instead of rows.

A PDQ value is a matrix of 16 by 16 bits, one for each of the lowest frequencies of the picture's
cosine transform, written row by row. Neighbouring frequencies may well move together, and then a
chunk of 16 neighbouring bits has few values that are frequent: long buckets, slow searches. On a
diagonal no two bits share a row or a column. On the correlated list of ``benchmarks.pdq_sets``
this makes buckets nearly 7 times shorter; on a list without correlation it changes nothing.

Distances do not change when the bits of all values change places alike.
"""

from __future__ import annotations

import numpy as np

from federation.matching.jit import kernel
from federation.matching.row_kernels import Words


@kernel
def _transpose(lanes: Words) -> None:
    """Transpose 16 lanes of 16 bits in place (Warren, "Hacker's Delight", section 7-3)."""
    step, mask = 8, np.uint64(0x00FF)
    while step:
        for first in range(16):
            if first & step:
                continue
            second = first + step
            swap = (lanes[first] ^ (lanes[second] >> np.uint64(step))) & mask
            lanes[first] ^= swap
            lanes[second] ^= swap << np.uint64(step)
        step >>= 1
        mask ^= mask << np.uint64(step)


@kernel
def _rotate(lanes: Words, direction: int) -> None:
    """Rotate lane r by r bits: to the left (1), or back to the right (-1)."""
    for lane in range(16):
        by = np.uint64((direction * lane) & 15)
        doubled = lanes[lane] << np.uint64(16) | lanes[lane]
        lanes[lane] = (doubled >> (np.uint64(16) - by)) & np.uint64(0xFFFF)


@kernel
def _spread(rows: Words, row: int, lanes: Words) -> None:
    for lane in range(16):
        shift = np.uint64(48 - 16 * (lane & 3))
        lanes[lane] = (rows[row, lane >> 2] >> shift) & np.uint64(0xFFFF)


@kernel
def _gather(lanes: Words, rows: Words, row: int) -> None:
    for word in range(4):
        rows[row, word] = (
            lanes[4 * word] << np.uint64(48)
            | lanes[4 * word + 1] << np.uint64(32)
            | lanes[4 * word + 2] << np.uint64(16)
            | lanes[4 * word + 3]
        )


@kernel
def turn_to_diagonals(rows: Words) -> None:
    """Rearrange each value in place: its 16 diagonals one after the other."""
    lanes = np.empty(16, np.uint64)
    for row in range(rows.shape[0]):
        _spread(rows, row, lanes)
        _rotate(lanes, 1)
        _transpose(lanes)
        _gather(lanes, rows, row)


@kernel
def turn_to_rows(rows: Words) -> None:
    """Undo ``turn_to_diagonals``."""
    lanes = np.empty(16, np.uint64)
    for row in range(rows.shape[0]):
        _spread(rows, row, lanes)
        _transpose(lanes)
        _rotate(lanes, -1)
        _gather(lanes, rows, row)
