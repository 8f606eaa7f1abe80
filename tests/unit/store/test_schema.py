"""Migrations as text: how a script falls apart into statements."""

from __future__ import annotations

import sqlite3

from federation.store.schema import migrations, split_statements


def test_script_falls_apart_into_whole_statements() -> None:
    script = "-- a; comment\nCREATE TABLE a (\n  b TEXT DEFAULT ';'\n);\n\nDROP TABLE a;\n-- end\n"
    first, second, *rest = split_statements(script)
    assert first.endswith("b TEXT DEFAULT ';'\n);")
    assert second == "DROP TABLE a;"
    assert rest == ["-- end"]


def test_every_migration_runs_statement_by_statement_on_an_empty_database() -> None:
    database = sqlite3.connect(":memory:")
    for script in migrations():
        for statement in split_statements(script):
            database.execute(statement)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
    database.close()
    assert {"meta", "branches", "statements", "statement_ids"} <= tables


def test_all_tables_are_strict() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript("".join(migrations()))
    loose = database.execute(
        "SELECT name FROM pragma_table_list WHERE NOT strict AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    database.close()
    assert loose == []
