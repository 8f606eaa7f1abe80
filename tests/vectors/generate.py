"""Write the test vectors again: ``python -m tests.vectors``, also ``make vectors``.

Every ``make_<noun>.py`` beside this file gives its cases; they land in ``<noun>/accept.json`` and
``<noun>/reject.json``. The output depends on the makers alone, so ``git diff`` must be empty.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def nouns() -> list[str]:
    """The wire nouns that have a maker."""
    return sorted(path.stem.removeprefix("make_") for path in FOLDER.glob("make_*.py"))


def files_of(noun: str) -> dict[str, str]:
    """The vector files of a noun, by name, as their makers want them now."""
    maker = importlib.import_module(f"tests.vectors.make_{noun}")
    cases: list[Mapping[str, object]] = list(maker.cases())
    wordings = [case["desc"] for case in cases]
    twice = sorted({str(desc) for desc in wordings if wordings.count(desc) > 1})
    if twice:
        raise ValueError(f"{noun}: two cases of one description: {twice}")
    kept = {
        "accept.json": [case for case in cases if case["accept"]],
        "reject.json": [case for case in cases if not case["accept"]],
    }
    return {
        name: json.dumps(chosen, indent=1, sort_keys=True) + "\n" for name, chosen in kept.items()
    }


def main() -> None:
    """Write every file of every noun."""
    for noun in nouns():
        (FOLDER / noun).mkdir(exist_ok=True)
        for name, text in files_of(noun).items():
            (FOLDER / noun / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
