"""Hostile members by the name that a scenario calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.simulation.forking_members import Equivocator, Forger
from tests.simulation.hostile import Stripper, Tamperer, TwoFaced
from tests.simulation.hostile_relays import (
    Accomplice,
    Flooder,
    Pretender,
    Replayer,
    SlowReader,
    Withholder,
)
from tests.simulation.world import Node

HOSTILE: Final[Mapping[str, type[Node]]] = {
    "accomplice": Accomplice,
    "equivocator": Equivocator,
    "flooder": Flooder,
    "forger": Forger,
    "pretender": Pretender,
    "replayer": Replayer,
    "slow-reader": SlowReader,
    "stripper": Stripper,
    "tamperer": Tamperer,
    "two-faced": TwoFaced,
    "withholder": Withholder,
}
