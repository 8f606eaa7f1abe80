"""What a test needs of the machine: where it is missing, the test skips and says so.

In CI it fails: a skip that nobody sees is a check that cannot fail.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(why: str) -> NoReturn:
    """End the test: something is not here."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def program(name: str, *others: str, of: str) -> str:
    """Where a program is; ``of`` says what to install for it. Ends the test where there is none."""
    for each in (name, *others):
        if (found := shutil.which(each)) is not None:
            return found
    lacking(f"no {name} here: make debian, or install {of}")
