"""What a real node durably holds, read from its database by the code that judges everything."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from federation.daemon.node import DATABASE_FILE
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.keys import check_ed25519
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.notes import parse_note
from federation.protocol.origins import parse_origin
from federation.protocol.roster_walk import verify_chain
from federation.protocol.statements import erased_statement, opened_statement
from federation.provenance.pins import HeldBranch, limits_of
from federation.provenance.taking_back import rulings_of
from federation.provenance.verifier import VerifiedStatement, Verifier
from federation.provenance.view import encode_view, facts_of

PLACES_PER_STEM = 2**40


def held_by(folder: Path, member: str) -> dict[str, Any]:
    """What an observation tells of a node; see ``history.py``.

    Args:
        folder: its data directory; the node may be running.
        member: whose node it is.
    """
    path = folder / DATABASE_FILE
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        database.execute("BEGIN")  # one state for all questions
        return _read(database, member)


def _read(database: sqlite3.Connection, member: str) -> dict[str, Any]:
    roots = [root for (root,) in database.execute("SELECT root FROM rosters ORDER BY version")]
    roster = verify_chain(roots).newest
    verifier = Verifier(roster, check_ed25519)
    accused = sorted(
        origin for (origin,) in database.execute("SELECT DISTINCT origin FROM evidence")
    )
    heads: dict[str, list[Any]] = {}
    newest: dict[str, tuple[int, int]] = {}
    statements, counting = list[VerifiedStatement](), list[VerifiedStatement]()
    limits = _limits(database, accused)
    for stem, origin, size, edge, note in database.execute(
        "SELECT stem, origin, size, edge, head_note FROM branches ORDER BY stem"
    ).fetchall():
        log = parse_origin(origin)
        hashes = tuple(edge[at : at + 32] for at in range(0, len(edge), 32))
        if origin not in accused:
            heads[origin] = [size, CompactRange(size, hashes).root().hex()]
        if note is not None:
            newest[origin] = (stem, int(parse_checkpoint(parse_note(note).text).size))
        rows = database.execute(
            "SELECT place, header, salt, commitment, body FROM statements"
            " WHERE place >= ? AND place < ? ORDER BY place",
            (stem * PLACES_PER_STEM, (stem + 1) * PLACES_PER_STEM),
        )
        for place, header, salt, commitment, body in rows.fetchall():
            statement = (
                erased_statement(header, commitment)
                if salt is None
                else opened_statement(header, salt, body)
            )
            index = place % PLACES_PER_STEM
            statements.append(verifier.open_statement(log, index, statement))
            if index < limits.get(stem, PLACES_PER_STEM):
                counting.append(statements[-1])
    view = encode_view(facts_of(counting), rulings_of(roster))
    return {
        "heads": heads,
        "ids": sorted({str(each.id) for each in statements}),
        "view": sha256(view).hexdigest(),
        "accused": accused,
        "receipts": {
            origin: [
                who
                for (who,) in database.execute(
                    "SELECT member FROM cosignatures WHERE stem = ? AND size = ?"
                    " AND cosigner = 'mirror' ORDER BY member",
                    place,
                )
            ]
            for origin, place in newest.items()
            if parse_origin(origin).member == member
        },
    }


def _limits(database: sqlite3.Connection, accused: Collection[str]) -> dict[int, int]:
    """Stem -> how many of its first statements count, of the logs under evidence."""
    limits: dict[int, int] = {}
    for origin in accused:
        rows = database.execute(
            "SELECT stem, branch, size, base_stem, base_size, (SELECT max(size) FROM checkpoints"
            " WHERE stem = branches.stem AND size <= branches.size) FROM branches"
            " WHERE origin = ? ORDER BY stem",
            (origin,),
        ).fetchall()
        stems = {branch: stem for stem, branch, *_ in rows}
        branches = {stem: branch for branch, stem in stems.items()}
        held = [
            HeldBranch(branch, size, whole or 0, base and (branches[base], common))
            for _, branch, size, base, common, whole in rows
        ]
        found = limits_of(held, {}, is_accused=True)
        limits.update({stems[branch]: limit for branch, limit in found.items()})
    return limits
