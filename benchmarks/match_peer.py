"""The field's own PDQ index, of the package ``threatexchange``, over the same list, in a process.

``python -m benchmarks.match_peer LIST.npy QUERIES.npy`` prints one line of JSON. One thread (Faiss
is told so), as on our side; its batch interface and its single one are tried, the better counts,
and the median of as many rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.match_index import ROUNDS, memory_mb

ADDED_AT_ONCE = 1_000_000
"""More take gigabytes of Python objects on the way in; fewer rebuild its map more often."""
ASKED_MAX = 500
"""Of the queries that ours are asked: it takes 8 ms for one at ten million."""
BATCH = 100
ADDS = 3


def measure(list_path: str, queries_path: str) -> dict[str, float]:
    import faiss  # noqa: PLC0415 - of the bench extra: told below when it is not there
    from threatexchange.signal_type.pdq.pdq_index import PDQIndex  # noqa: PLC0415

    faiss.omp_set_num_threads(1)
    rows = np.load(list_path, mmap_mode="r")
    index: Any = PDQIndex()
    began = time.process_time()
    for begin in range(0, len(rows), ADDED_AT_ONCE):
        listed = rows[begin : begin + ADDED_AT_ONCE]
        index.add_all([(row.tobytes().hex(), None) for row in listed])
    built = time.process_time() - began
    queries = [row.tobytes().hex() for row in np.load(queries_path)]
    asked = queries[:ASKED_MAX]
    medians, rates = [], []
    for _ in range(ROUNDS):
        began = time.thread_time()
        waits = [seconds(lambda one=one: index.query(one)) for one in asked]  # type: ignore[misc]
        singly = len(asked) / (time.thread_time() - began)
        medians.append(statistics.median(waits))
        began = time.thread_time()
        for at in range(0, len(asked), BATCH):
            index.index.search_with_distance_in_result(asked[at : at + BATCH], 31)
        rates.append(max(singly, len(asked) / (time.thread_time() - began)))
    fresh = np.random.default_rng(7).integers(0, 256, (ADDS, 32), dtype=np.uint8)
    adds = [seconds(lambda row=row: index.add(row.tobytes().hex(), None)) for row in fresh]  # type: ignore[misc]
    return {
        "build_cpu_s": built,
        "lookups_per_s": statistics.median(rates),
        "p50_ms": statistics.median(medians) * 1e3,
        "add_ms": statistics.median(adds) * 1e3,
        "rss_mb": memory_mb()[0],
    }


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(measure(*sys.argv[1:])))
