"""Heavy work in the background leaves the machine to whoever has something urgent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from threading import get_ident

import pytest

from federation.daemon.background import NICENESS_MAX, Background


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


@pytest.mark.skipif(sys.platform != "linux", reason="no niceness for each thread")
async def test_it_steps_back_behind_the_loop_which_stays_where_it_was(
    background: Background,
) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    of_thread = await background.run(os.getpriority, os.PRIO_PROCESS, 0)
    assert before < of_thread or before == of_thread == NICENESS_MAX
    assert before == os.getpriority(os.PRIO_PROCESS, 0)


async def test_what_it_makes_is_returned_and_what_fails_is_raised(background: Background) -> None:
    assert 255 == await background.run(int, "ff", base=16)
    assert get_ident() != await background.run(get_ident)
    with pytest.raises(ValueError, match="invalid literal"):
        await background.run(int, "no number")
