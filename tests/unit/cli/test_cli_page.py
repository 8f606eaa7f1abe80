"""The page of commands is what the program says of itself."""

from __future__ import annotations

from tests.architecture.sources import TREE
from tests.unit.cli.cli_page import PAGE, render


def test_the_page_tells_of_every_command_and_option() -> None:
    """When this fails, run `make docs` and commit what it wrote."""
    assert render() == (TREE / PAGE).read_text(encoding="utf-8")
