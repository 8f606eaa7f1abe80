"""Kernels compile where nothing can be cached, and the instructions do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.matching.jit import (
    differing_bits,
    fewer_differing,
    kernel,
    popcount,
    prefetch,
    smaller,
)


def test_kernel_without_a_place_to_cache_it_still_runs() -> None:
    # Numba keeps a cache per source file; this function has none, as on a read-only system.
    namespace: dict[str, object] = {}
    exec("def twice(number):\n    return 2 * number\n", namespace)  # noqa: S102
    twice = kernel(namespace["twice"])  # type: ignore[type-var]  # made by exec
    assert 42 == twice(21)  # type: ignore[operator]  # the same


PLUS_ONE = """
import resource, signal, sys
from federation.matching.jit import kernel

@kernel
def plus_one(number):
    return number + 1

if sys.argv[1:]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))  # as a full disk: no file beyond 16 bytes
assert plus_one(41) == 42
print(sum(plus_one.stats.cache_hits.values()))
"""


def run_plus_one(folder: Path, *arguments: str) -> int:
    """How often a new process found the kernel in the cache."""
    program = folder / "plus_one.py"
    if not program.exists():
        program.write_text(PLUS_ONE)
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": str(Path.cwd()),
    }
    done = subprocess.run(
        [sys.executable, str(program), *arguments], env=environment, check=True, capture_output=True
    )
    return int(done.stdout)


def test_damaged_cache_is_compiled_over_and_works_again(tmp_path: Path) -> None:
    assert [0, 1] == [run_plus_one(tmp_path) for _ in range(2)]
    for kept in (tmp_path / "cache").rglob("*.nb?"):
        kept.write_bytes(kept.read_bytes()[:10])
    assert [0, 1] == [run_plus_one(tmp_path) for _ in range(2)]


def test_full_disk_costs_a_compilation_and_no_more(tmp_path: Path) -> None:
    assert [0, 0] == [run_plus_one(tmp_path, "full") for _ in range(2)]


@kernel
def count_bits(words: NDArray[np.uint64]) -> Any:
    total = 0
    for place in range(words.shape[0]):
        prefetch(words, place + 8)  # beyond the end at last: a hint, never a fault
        total += popcount(words[place, 0])
    return total


@kernel
def compare(one: np.uint16, other: np.uint16, fewest: np.uint16) -> Any:
    return (
        differing_bits(one, other),
        np.int64(fewer_differing(fewest, one, other)),
        smaller(np.int64(-3), np.int64(2)),
    )


def test_popcount_counts_all_64_bits() -> None:
    words = np.array([[0, 9], [1, 9], [2**63, 9], [2**64 - 1, 9]], dtype=np.uint64)
    assert 0 + 1 + 1 + 64 == count_bits(words)


def test_sixteen_bit_numbers_are_compared_as_unsigned() -> None:
    one, other = np.uint16(0xFFFF), np.uint16(0x0FF0)
    assert (8, 8, -3) == compare(one, other, np.uint16(0xFFFF))
    assert (8, 5, -3) == compare(one, other, np.uint16(5))
