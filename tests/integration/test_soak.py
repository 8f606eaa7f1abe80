"""The soak in short: adds, removes and lookups side by side, and every answer right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import soak
from federation.matching import value_set


async def test_what_comes_and_goes_under_way_is_answered_rightly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``python -m benchmarks.soak`` goes on for ten minutes and looks at memory, too."""
    monkeypatch.setattr(value_set, "DELTA_MIN", 512)
    done = await soak.run(tmp_path / "node", seconds=2.0, every=0.5, held=768)
    assert 0 == done.wrong
    assert done.added > done.removed > 0 < done.looked_up
    assert 0 < done.rebuilds
