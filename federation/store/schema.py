"""The shape of the database, as numbered migrations applied in order and never changed again.

The number of the last one applied is SQLite's ``user_version``, written in the same transaction as
what it did: a crash leaves a database of the old shape or of the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import aiosqlite

from federation.local_errors.config import DataDirectoryForeign
from federation.local_errors.disk import StoreNewer, StoreUnavailable
from federation.store.readings import READER_VERSION

APPLICATION_ID: Final = 0x48464E31
"""``HFN1``: which program a SQLite file belongs to."""

SQLITE_OLDEST: Final = (3, 37, 0)
"""The first with STRICT tables."""


def migrations(name: str = "migrations") -> list[str]:
    """The SQL of every migration, oldest first; the first one leads to ``user_version`` 1.

    Args:
        name: the folder: of the node's database, or of the guard's.
    """
    folder = files("federation.store") / name
    files_there = sorted(path.name for path in folder.iterdir() if path.name.endswith(".sql"))
    return [(folder / file).read_text(encoding="utf-8") for file in files_there]


async def migrate(
    writer: aiosqlite.Connection, member: str, federation_id: str, folder: str = "migrations"
) -> None:
    """Bring a node's database to the newest shape; an empty file becomes this node's.

    Args:
        writer: a connection outside of a transaction.
        member: whose node it is.
        federation_id: 32 hex digits.
        folder: which migrations.

    Raises:
        StoreUnavailable: this machine's SQLite is too old.
        DataDirectoryForeign: the file is another program's, member's or federation's.
        StoreNewer: a newer release has written it.
    """
    if sqlite3.sqlite_version_info < SQLITE_OLDEST:
        raise StoreUnavailable(
            f"SQLite {sqlite3.sqlite_version} lacks STRICT tables",
            hint="install SQLite 3.37 or newer, or a Python that brings it",
        )
    steps = migrations(folder)
    # Two programs may open one new file at once: the second waits here, and finds it done.
    await writer.execute("BEGIN IMMEDIATE")
    try:
        version = await _version(writer, newest=len(steps))
        if version:
            await _check_owner(writer, member, federation_id)
        for number, step in enumerate(steps[version:], start=version + 1):
            for statement in split_statements(step):
                await writer.execute(statement)
            await writer.execute(f"PRAGMA user_version = {number}")
        if not version:
            await writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            await writer.execute(
                "INSERT INTO meta (only_row, member, federation_id, reader_version)"
                " VALUES (1, ?, ?, ?)",
                (member, federation_id, READER_VERSION),
            )
        await writer.commit()
    except BaseException:
        await writer.rollback()
        raise


async def _version(writer: aiosqlite.Connection, *, newest: int) -> int:
    """The number of the last migration applied to this database of ours, or of nobody's."""
    [[version, application_id, tables]] = await writer.execute_fetchall(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)"
        " FROM pragma_user_version, pragma_application_id"
    )
    if application_id != APPLICATION_ID and (tables or version):
        raise DataDirectoryForeign(
            "the database file belongs to another program",
            hint="name another data directory in node.toml",
        )
    if version > newest:
        raise StoreNewer(f"the database has shape {version}; this release knows {newest} at most")
    return int(version)


async def _check_owner(writer: aiosqlite.Connection, member: str, federation_id: str) -> None:
    [[owner, owners_federation]] = await writer.execute_fetchall(
        "SELECT member, federation_id FROM meta"
    )
    if (owner, owners_federation) != (member, federation_id):
        raise DataDirectoryForeign(
            f"the database is {owner}'s, in the federation {owners_federation}",
            hint="name another data directory in node.toml",
        )


def split_statements(script: str) -> Iterator[str]:
    """The statements of a script one by one.

    SQLite's own way to run a script commits before it starts, which a migration must not.
    """
    lines = iter(script.splitlines(keepends=True))
    while statement := "".join(_through_end(lines)).strip():
        yield statement


def _through_end(lines: Iterator[str]) -> Iterator[str]:
    """Lines up to and with the one that completes a statement."""
    so_far = ""
    for line in lines:
        so_far += line
        yield line
        if sqlite3.complete_statement(so_far):
            return
