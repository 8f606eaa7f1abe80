"""What people decide, as the terminal takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.cli import holding
from federation.errors import RequestMalformed
from federation.local_errors.config import ConfigMissing


@pytest.mark.parametrize("hours", [float("inf"), float("nan"), -1.0])
def test_an_age_that_is_none_is_refused(hours: float) -> None:
    with pytest.raises(RequestMalformed, match="older-than"):
        holding.forget(Path("nowhere.toml"), [], hours)


def test_an_age_before_all_uploads_is_asked_about_like_any_other() -> None:
    """It gets as far as the config, which is not there."""
    with pytest.raises(ConfigMissing):
        holding.forget(Path("nowhere.toml"), [], 999_999_999.0)
