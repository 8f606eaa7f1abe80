"""How fast a whole log is audited: every entry, every tile and the root, computed again.

The tree is an exported one in a temporary folder, made beforehand; the audit is that of
``federation-verify log``, in one process, from files that the system has cached. It is counted in
seconds of one core (``time.process_time``), and the wall time is told beside it. Run it as
``python -m benchmarks.log_audit --json``; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from federation.cli.auditor_tree import reader_of
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.tiles import TILE_BYTES_MAX, TilePath, encode_entries, tile_levels
from federation.provenance.tree_audit import audit_log

ENTRIES = 4_000_000
RUNS = 3
ORIGIN = "bench.example/0f1e2d3c4b5a69788796a5b4c3d2e1f0/live"


def write_tree(folder: Path, size: int) -> VerifierKey:
    """An exported log of that many entries; its key."""
    key = SigningKey.from_seed(sha256(b"a log's key").digest())
    edge = CompactRange()
    level = b""
    for index in range(-(-size // 256)):
        width = min(256, size - 256 * index)
        entries = [
            sha256(b"%d" % number).digest() for number in range(256 * index, 256 * index + width)
        ]
        hashes = [leaf_hash(each) for each in entries]
        _write(folder, TilePath(None, index, width), encode_entries(entries))
        _write(folder, TilePath(0, index, width), b"".join(hashes))
        edge = edge.extend(hashes)
        if width == 256:  # noqa: PLR2004 - a full tile
            level += CompactRange().extend(hashes).root()
    for row in tile_levels(size)[1:]:
        above = b""
        for index in range(row.full + bool(row.partial)):
            joined = level[index * TILE_BYTES_MAX : (index + 1) * TILE_BYTES_MAX]
            _write(folder, TilePath(row.level, index, len(joined) // 32), joined)
            if len(joined) == TILE_BYTES_MAX:
                hashes = [joined[at : at + 32] for at in range(0, TILE_BYTES_MAX, 32)]
                above += CompactRange().extend(hashes).root()
        level = above
    (folder / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(ORIGIN, size, edge.root()), key))
    return VerifierKey(ORIGIN, KeyType.ED25519, key.public)


def _write(folder: Path, path: TilePath, content: bytes) -> None:
    target = folder / path.format()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def main() -> None:
    """Measure several times and tell the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the entries, 0 to 1")
    arguments = parser.parse_args()
    size = max(1_000, int(ENTRIES * arguments.scale))
    rates, wall = [], []
    with tempfile.TemporaryDirectory() as name:
        vkey = write_tree(Path(name), size)
        for _ in range(RUNS):
            begun, began = time.process_time(), time.perf_counter()
            report, _ = audit_log(reader_of(Path(name)), vkey, check_ed25519)
            rates.append(size / (time.process_time() - begun))
            wall.append(size / (time.perf_counter() - began))
            if not report.is_verified:
                raise SystemExit(f"the log did not stand: {report.failed_step}")
    answer = {"entries_per_s": round(statistics.median(rates), 1)}
    sys.stderr.write(
        f"{size:,} entries: {answer['entries_per_s']:,.0f} entries/s of one core "
        f"(wall: {statistics.median(wall):,.0f})\n"
    )
    if arguments.json:
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
