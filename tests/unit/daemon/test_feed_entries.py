"""What consumers are told: every kind documented, and no kind for nothing."""

from __future__ import annotations

import re
from typing import get_args

from federation.daemon.changes import Change
from federation.daemon.feed_entries import KINDS, SIGNAL
from federation.store.feed_store import ERASED
from federation.web.feed_api import SNAPSHOT_END
from tests.architecture.sources import TREE

GUIDE = TREE / "docs" / "guides" / "feed_and_webhooks.md"


def test_every_change_has_a_kind_of_its_own() -> None:
    assert set(get_args(Change)) == set(KINDS)
    assert len(set(KINDS.values())) == len(KINDS)


def test_the_guide_has_a_row_for_every_kind_and_no_other() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    assert {*KINDS.values(), SIGNAL, SNAPSHOT_END, ERASED} == documented
