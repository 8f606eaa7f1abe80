"""Every wire noun is a triple: its code, its page of the specification, and its vectors."""

from __future__ import annotations

from pathlib import Path

# A noun whose code takes several files has one page and one folder of vectors. What only those who
# write, or meet foreign keys, need stands apart (X_writing, X_foreign): a sceptic reads the rest.
SHARED_NOUNS = (
    "attestations",
    "bodies",
    "checkpoints",
    "encoding",
    "keys",
    "limits",
    "merkle",
    "messages",
    "messages",
    "notes",
    "origins",
    "roster",
    "signals",
    "statements",
)
# Pages of docs/spec that introduce the others.
INTRODUCTIONS = frozenset({"README", "index"})
# Pages on what may be believed: their code is in federation/provenance, and what they judge has
# vectors of its own.
JUDGEMENTS = frozenset({"verification", "view"})


def noun_of(stem: str) -> str:
    """The wire noun that a file of federation/protocol is about."""
    for noun in SHARED_NOUNS:
        if stem == noun or stem.startswith(noun + "_"):
            return noun
    return stem


def has_cases(folder: Path) -> bool:
    """Is there a case to accept, or one to refuse, that is more than an empty list?"""
    return any(
        path.is_file()
        and path.relative_to(folder).parts[0].startswith(("accept", "reject"))
        and path.read_bytes().strip() not in {b"", b"[]"}
        for path in folder.rglob("*")
    )


def find_broken_triples(root: Path) -> list[str]:
    """Nouns with a part missing, and pages and vectors that no code stands for."""
    nouns = {
        noun_of(path.stem)
        for path in (root / "federation" / "protocol").glob("*.py")
        if path.stem != "__init__"
    }
    pages = {path.stem for path in (root / "docs" / "spec").glob("*.md")}
    pages -= INTRODUCTIONS | JUDGEMENTS
    vectors = {path.name for path in (root / "tests" / "vectors").glob("*") if path.is_dir()} - {
        "__pycache__"
    }
    findings = [f"docs/spec/{noun}.md is missing" for noun in nouns - pages]
    findings += [
        f"tests/vectors/{noun}/ has no case"
        for noun in nouns
        if not has_cases(root / "tests" / "vectors" / noun)
    ]
    findings += [f"docs/spec/{page}.md: no federation/protocol/{page}.py" for page in pages - nouns]
    findings += [
        f"tests/vectors/{name}/: no federation/protocol/{name}.py" for name in vectors - nouns
    ]
    return sorted(findings)
