"""What stands in tests/vectors is what its makers write: nobody edits a vector by hand."""

from __future__ import annotations

import pytest

from tests.vectors.generate import FOLDER, files_of, nouns


@pytest.mark.parametrize("noun", nouns())
def test_vector_files_are_what_their_maker_writes(noun: str) -> None:
    held = {path.name: path.read_text("ascii") for path in (FOLDER / noun).glob("*.json")}
    assert files_of(noun) == held, "run `make vectors`"
