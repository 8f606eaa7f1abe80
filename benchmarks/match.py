"""Matching at ten million: ``python -m benchmarks.match --json [--scale 0.01]``.

Three parts, in one run on one machine:

1. **In process** (``match_index``): our index over uniform, clustered and correlated lists, one
   after the other: lookups, changes, a rebuild beside lookups, and every answer to planted
   neighbours at each distance from 0 to 31 against brute force.
2. **The peer** (``match_peer``): the PDQ index of ``threatexchange`` over the same uniform list,
   asked the same queries, one thread each. Needs ``pip install -e .[bench]``.
3. **A node** (``match_node``): ``federation serve`` as a process with as many signals, restarted
   from its index's files, asked over HTTP with the token, 1 of 100 signals a hit that is answered
   with its statements. Its docstring says what of it is real. The load comes from another process
   (``http_load``) on the other core, where there is one. With two workers the load shares both
   cores with them; ``two_workers_ratio`` compares requests of 100 signals, of which the load is a
   few percent of the work.

Progress and tables go to stderr; with ``--json`` one object stands last on stdout, with the keys in
``KEYS``. ``cold_start_s`` is from the start of the program to the first hit answered, the index's
files dropped from the page cache before. ``rss_mb`` is the serving process with all its children.
Exit code 1 when one answer of the index was not exact or one request failed. About ten minutes at
scale 1, and at most 8 GB, which are the peer's.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import match_node
from benchmarks.http_load import Answered, put_from_outside
from benchmarks.match_index import Figures, make_queries, measure, seconds, write_list
from benchmarks.pdq_sets import SHAPES
from federation.matching.index import warm_up

N_DEFAULT = 10_000_000
KEYS = (
    "n", "recall", "lookups_per_s", "peer_lookups_per_s", "ratio", "p50_ms", "peer_p50_ms",
    "p50_ratio", "add_ms", "remove_ms", "rss_mb", "cold_start_s", "http_single_per_s",
    "http_single_p99_ms", "http_batch_signals_per_s", "two_workers_ratio", "two_workers_pss_ratio",
)  # fmt: skip

CONNECTIONS = 16
"""Of a busy upload pipeline; at 4,000 requests a second each waits 4 ms at most on average."""
BATCH = 100
HTTP_SECONDS = 8.0
WARM_SECONDS = 2.0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# --- in process, and the peer -------------------------------------------------------------------


def measure_shapes(
    folder: Path, count: int, shapes: list[str]
) -> tuple[list[Figures], dict[str, Any]]:
    """Our index over every shape; the peer over the first, between two of ours."""
    measured: list[Figures] = []
    peer: dict[str, Any] = {}
    for shape in shapes:
        listed = write_list(folder, shape, count)
        say(f"{shape}: {count:,} signals")
        measured.append(measure(shape, listed))
        if not peer:
            peer = measure_peer(folder, shape, listed)
        listed.unlink()
    return measured, peer


def measure_peer(folder: Path, shape: str, listed: Path) -> dict[str, Any]:
    say("threatexchange: the same signals and queries")
    queries = make_queries(shape, np.load(listed, mmap_mode="r"))
    asked = folder / "queries.npy"
    np.save(asked, np.frombuffer(b"".join(queries), np.uint8).reshape(-1, 32))
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.match_peer", str(listed), str(asked)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


# --- a node ---------------------------------------------------------------------------------------


def measure_node(folder: Path, count: int) -> tuple[dict[str, float], list[Answered]]:
    say(f"a node with {count:,} signals")
    config, figures = match_node.make_full_node(folder / "node", count)
    token = (config.parent / "api.token").read_text().strip()
    cores = sorted(os.sched_getaffinity(0))
    its, ours = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    singles = match_node.match_bodies(20_000, 1)
    batches = match_node.match_bodies(400, BATCH)
    answered: list[Answered] = []

    def put(port: int, bodies: list[str], core: int | None, lasts: float) -> Answered:
        load = match_node.load_of(
            port, token, bodies, connections=CONNECTIONS, lasts=lasts, core=core
        )
        answered.append(put_from_outside(load))
        return answered[-1]

    port = free_port()
    match_node.set_up(config, port=port, workers=1)
    match_node.drop_from_page_cache(config.parent)
    began = time.perf_counter()
    with match_node.serving(config) as process:
        asyncio.run(match_node.first_answer(port, token))
        figures["cold_start_s"] = time.perf_counter() - began
        if its is not None:
            match_node.pin(process.pid, its)
        put(port, singles, ours, WARM_SECONDS)
        spent = match_node.cpu_seconds([process.pid])
        single = put(port, singles, ours, HTTP_SECONDS)
        spent = match_node.cpu_seconds([process.pid]) - spent
        figures["http_single_per_cpu_s"] = single.per_s * HTTP_SECONDS / spent
        spent = match_node.cpu_seconds([process.pid])
        one = put(port, batches, ours, HTTP_SECONDS)
        spent = match_node.cpu_seconds([process.pid]) - spent
        figures["http_batch_signals_per_cpu_s"] = one.per_s * BATCH * HTTP_SECONDS / spent
        family = match_node.with_children(process.pid)
        figures["rss_mb"] = match_node.memory_of(family, "Rss")
        pss_of_one = match_node.memory_of(family, "Pss")
    match_node.set_up(config, port=port, workers=2)
    with match_node.serving(config) as process:
        wait_for_workers(port, token, 2)
        put(port, singles, None, WARM_SECONDS)
        family = match_node.with_children(process.pid)
        spent = match_node.cpu_seconds(family)
        two = put(port, batches, None, HTTP_SECONDS)
        spent = match_node.cpu_seconds(family) - spent
        figures["two_workers_signals_per_cpu_s"] = two.per_s * BATCH * HTTP_SECONDS / spent
        figures["two_workers_pss_ratio"] = match_node.memory_of(family, "Pss") / pss_of_one
    figures |= {
        "http_single_per_s": single.per_s,
        "http_single_p50_ms": single.p50_ms,
        "http_single_p99_ms": single.p99_ms,
        "http_batch_signals_per_s": one.per_s * BATCH,
        "http_batch_p99_ms": one.p99_ms,
        "two_workers_signals_per_s": two.per_s * BATCH,
        "two_workers_ratio": two.per_s / one.per_s,
    }
    return figures, answered


def wait_for_workers(port: int, token: str, count: int) -> None:
    asyncio.run(match_node.first_answer(port, token))
    asyncio.run(match_node.until_workers(port, token, count))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


# --- telling --------------------------------------------------------------------------------------


def print_shapes(warm_up_s: float, measured: list[Figures]) -> None:
    say(f"\nour index, kernels ready after {warm_up_s:.2f} s\n")
    say(f"{'':24}" + "".join(f"{figures.shape:>14}" for figures in measured))
    for name in measured[0].timings:
        say(f"{name:24}" + "".join(f"{figures.timings[name]:>14,.3f}" for figures in measured))
    say(f"{'true matches':24}" + "".join(f"{figures.exact[0]:>14,}" for figures in measured))
    say(f"{'wrongly found':24}" + "".join(f"{figures.exact[2]:>14,}" for figures in measured))
    say(f"{'recall':24}" + "".join(f"{figures.recall:>14.6f}" for figures in measured))


def print_flat(title: str, figures: dict[str, float]) -> None:
    say(f"\n{title}\n")
    for name, value in figures.items():
        say(f"{name:28}{value:>14,.3f}")


def summarise(
    count: int, measured: list[Figures], peer: dict[str, Any], node: dict[str, float]
) -> dict[str, Any]:
    ours = measured[0].timings
    told = {
        "n": count,
        "recall": min(figures.recall for figures in measured),
        "peer_lookups_per_s": peer["lookups_per_s"],
        "peer_p50_ms": peer["p50_ms"],
        "ratio": ours["lookups_per_s"] / peer["lookups_per_s"],
        "p50_ratio": peer["p50_ms"] / ours["p50_ms"],
        **{name: ours[name] for name in ("lookups_per_s", "p50_ms", "add_ms", "remove_ms")},
        **node,
    }
    return {name: round(told[name], 4) for name in KEYS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object last on stdout")
    parser.add_argument("--n", type=int, default=N_DEFAULT, help="signals in the index")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies --n")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    arguments = parser.parse_args()
    if importlib.util.find_spec("threatexchange") is None:
        parser.error("the comparison needs the bench extra: pip install -e .[bench]")
    count = max(match_node.HITS, round(arguments.n * arguments.scale))
    warm_up_s = seconds(warm_up)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="federation-bench-") as folder:
        measured, peer = measure_shapes(Path(folder), count, arguments.shapes)
        print_shapes(warm_up_s, measured)
        print_flat("threatexchange", peer)
        node, answered = measure_node(Path(folder), count)
        print_flat("a node over HTTP", node)
    failed = sum(each.failed for each in answered)
    say(f"\n{failed} requests failed; the run took {time.perf_counter() - began:.0f} s")
    summary = summarise(count, measured, peer, node)
    if arguments.json:
        print(json.dumps(summary))
    is_exact = summary["recall"] == 1.0 and not any(figures.exact[2] for figures in measured)
    return 0 if is_exact and not failed and all(each.hits for each in answered) else 1


if __name__ == "__main__":
    sys.exit(main())
