"""Compile the kernels once, or load them from the cache, before any example runs."""

from __future__ import annotations

import pytest

from federation.matching.index import warm_up


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    warm_up()
