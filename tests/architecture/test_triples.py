"""protocol/X.py, docs/spec/X.md and tests/vectors/X/ stand or fall together."""

from __future__ import annotations

from pathlib import Path

from tests.architecture.planted import plant
from tests.architecture.sources import TREE
from tests.architecture.triples import find_broken_triples

WHOLE = {
    "federation/protocol/merkle.py": "",
    "docs/spec/merkle.md": "# Merkle\n",
    "docs/spec/README.md": "# The pages\n",
    "tests/vectors/merkle/accept/empty.json": "{}",
    "federation/protocol/roster.py": "",
    "federation/protocol/roster_chain.py": "",
    "docs/spec/roster.md": "# Roster\n",
    "tests/vectors/roster/reject.json": "{}",
}


def test_every_wire_noun_is_a_triple() -> None:
    assert [] == find_broken_triples(TREE)


def test_a_whole_triple_is_whole(tmp_path: Path) -> None:
    assert [] == find_broken_triples(plant(tmp_path, WHOLE))


def test_a_planted_noun_without_page_and_cases_is_caught(tmp_path: Path) -> None:
    plant(
        tmp_path,
        WHOLE
        | {
            "federation/protocol/tiles.py": "",
            "tests/vectors/tiles/accept.json": "[]\n",
            "federation/protocol/keys.py": "",
            "docs/spec/keys.md": "# Keys\n",
            "tests/vectors/keys/generate.py": "",
        },
    )
    assert [
        "docs/spec/tiles.md is missing",
        "tests/vectors/keys/ has no case",
        "tests/vectors/tiles/ has no case",
    ] == find_broken_triples(tmp_path)


def test_planted_leftovers_are_caught(tmp_path: Path) -> None:
    plant(
        tmp_path,
        WHOLE | {"docs/spec/blobs.md": "", "tests/vectors/blobs/accept/one.json": "{}"},
    )
    assert [
        "docs/spec/blobs.md: no federation/protocol/blobs.py",
        "tests/vectors/blobs/: no federation/protocol/blobs.py",
    ] == find_broken_triples(tmp_path)
