"""The matching index in process: speed, changes, rebuild, memory, and every answer judged.

Per shape of list (see ``pdq_sets``) the index is loaded and timed; then its answers are judged by
brute force, so that the judge's memory is not counted as the index's.

``lookups_per_s`` is of one thread, in batches of 100, 1 of 100 queries a hit, per second of the
core's time that the thread got, which on a machine shared with others is less than a second by
the clock. All else is by the clock, but for ``build_cpu_s``.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pdq_sets import SHAPES, BruteForce, plant, to_values
from federation.matching.pdq_index import PdqIndex
from federation.matching.value_set import Rebuilt

SEED = 20_260_801
QUERIES = 4_000
BATCH = 100
PLANTED_PER_DISTANCE = 30
CHANGES = 1_000
ROWS_AT_ONCE = 1_000_000
# A shared machine is now and then slow for a while: the median of so many rounds, as of the peer's.
ROUNDS = 5


@dataclass
class Figures:
    """What one shape of list gave; ``exact`` holds (true matches, of them found, wrongly found)."""

    shape: str
    timings: dict[str, float] = field(default_factory=dict)
    exact: tuple[int, int, int] = (0, 0, 0)

    @property
    def recall(self) -> float:
        true, found, _ = self.exact
        if not true:
            raise AssertionError("nothing was planted that could be found")
        return found / true


def memory_mb() -> tuple[float, float]:
    """Resident memory of this process now, and the most it has been, in MiB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def forget_peak() -> None:
    """Give freed memory back to the system, and begin to watch for the peak anew (Linux)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


def write_list(folder: Path, shape: str, count: int) -> Path:
    """A list of values in a file: making it again would cost more than all that is measured."""
    path = folder / f"{shape}.npy"
    np.save(path, SHAPES[shape](np.random.default_rng(SEED), count))
    return path


def make_queries(shape: str, rows: Any) -> list[bytes]:
    """Fresh values of the same shape, one in a hundred of them a planted neighbour."""
    rng = np.random.default_rng(SEED + 1)
    queries = SHAPES[shape](rng, QUERIES)
    near, _ = plant(rng, rows, 1 + QUERIES // 100 // 32)
    queries[::100] = near[rng.permutation(len(near))][: len(queries[::100])]
    return to_values(queries)


def load(index: PdqIndex, listed: Path) -> dict[str, float]:
    rows = np.load(listed)
    took = 0.0
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        joined = rows[begin : begin + ROWS_AT_ONCE].tobytes()
        took += seconds(lambda joined=joined: index.add_joined(joined))  # type: ignore[misc]
    del rows, joined
    forget_peak()
    began = time.process_time()
    return {
        "load_s": took,
        "build_s": seconds(index.rebuild),
        "build_cpu_s": time.process_time() - began,
        "build_peak_rss_mb": memory_mb()[1],
    }


def time_lookups(index: PdqIndex, queries: list[bytes]) -> dict[str, float]:
    batches = [queries[begin : begin + BATCH] for begin in range(0, len(queries), BATCH)]
    batched, singly = [], []
    for _ in range(ROUNDS):
        batched.append(
            seconds(lambda: [index.search_many(batch) for batch in batches], time.thread_time)
        )
        singles = [seconds(lambda query=query: index.search(query)) for query in queries]  # type: ignore[misc]
        singly.append((statistics.median(singles), statistics.quantiles(singles, n=100)[98]))
    return {
        "lookups_per_s": len(queries) / statistics.median(batched),
        "p50_ms": statistics.median(p50 for p50, _ in singly) * 1e3,
        "p99_ms": statistics.median(p99 for _, p99 in singly) * 1e3,
    }


def time_changes(index: PdqIndex, shape: str) -> dict[str, float]:
    """From the call that adds or removes one signal until a search has answered accordingly."""
    changed = to_values(SHAPES[shape](np.random.default_rng(SEED + 2), CHANGES))
    changed = [value for value in changed if value not in index]

    def add(value: bytes) -> None:
        index.add((value,))
        if value not in {found.value for found in index.search(value, 0)}:
            raise AssertionError("added, and not found")

    def remove(value: bytes) -> None:
        index.remove((value,))
        if value in {found.value for found in index.search(value, 0)}:
            raise AssertionError("removed, and found")

    added = [seconds(lambda value=value: add(value)) for value in changed]  # type: ignore[misc]
    removed = [seconds(lambda value=value: remove(value)) for value in changed]  # type: ignore[misc]
    return {
        "add_ms": statistics.median(added) * 1e3,
        "add_max_ms": max(added) * 1e3,
        "remove_ms": statistics.median(removed) * 1e3,
        "remove_max_ms": max(removed) * 1e3,
    }


def time_rebuild(index: PdqIndex, queries: list[bytes]) -> dict[str, float]:
    """A rebuild in another thread while this one goes on searching."""
    job = index.prepare_rebuild()
    done: list[Rebuilt[Any]] = []
    thread = threading.Thread(target=lambda: done.append(job.run()))
    waits: list[float] = []
    forget_peak()
    began = time.perf_counter()
    thread.start()
    while thread.is_alive():
        query = queries[len(waits) % len(queries)]
        waits.append(seconds(lambda query=query: index.search(query)))  # type: ignore[misc]
    thread.join()
    figures = {
        "rebuild_s": time.perf_counter() - began,
        "rebuild_search_p50_ms": statistics.median(waits) * 1e3,
        "rebuild_search_max_ms": max(waits) * 1e3,
        "rebuild_peak_rss_mb": memory_mb()[1],
    }
    figures["adopt_ms"] = seconds(lambda: index.adopt(done[0])) * 1e3
    return figures


def judge(index: PdqIndex, listed: Path) -> tuple[int, int, int]:
    """Compare all answers to planted queries at every distance with brute force."""
    rows = np.load(listed)
    planted, _ = plant(np.random.default_rng(SEED + 3), rows, PLANTED_PER_DISTANCE)
    asked = to_values(planted)
    brute = BruteForce(rows)
    del rows
    true = found = wrong = 0
    for query, answer in zip(asked, index.search_many(asked, matches_max=None), strict=True):
        expected = brute.search(query, 31)
        actual = [(match.distance, match.value) for match in answer]
        true += len(expected)
        found += len(set(expected) & set(actual))
        wrong += len(actual) - len(set(expected) & set(actual))
    return true, found, wrong


def measure(shape: str, listed: Path) -> Figures:
    figures = Figures(shape)
    index = PdqIndex()
    figures.timings |= load(index, listed)
    queries = make_queries(shape, np.load(listed, mmap_mode="r"))
    forget_peak()
    figures.timings |= time_lookups(index, queries)
    figures.timings["index_rss_mb"], _ = memory_mb()
    figures.timings["bytes_per_signal"] = index.memory_bytes() / len(index)
    figures.timings |= time_changes(index, shape)
    figures.timings |= time_rebuild(index, queries)
    figures.exact = judge(index, listed)
    return figures
