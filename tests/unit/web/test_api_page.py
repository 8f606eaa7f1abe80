"""The page of the local API is what its models validate."""

from __future__ import annotations

from tests.architecture.sources import TREE
from tests.unit.web.api_page import PAGE, render


def test_the_page_tells_of_every_call_and_field() -> None:
    """When this fails, run `make docs` and commit what it wrote."""
    assert render() == (TREE / PAGE).read_text(encoding="utf-8")
