"""Hostile members by the name that a scenario calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.simulation.forking_members import Equivocator, Forger
from tests.simulation.hostile import Stripper, Tamperer, TwoFaced
from tests.simulation.hostile_relays import (
    Accomplice,
    Dripper,
    Flooder,
    Pretender,
    Replayer,
    SlowReader,
    TreeOnly,
    VersionLiar,
    Withholder,
)
from tests.simulation.world import Node

HOSTILE: Final[Mapping[str, type[Node]]] = {
    "accomplice": Accomplice,
    "dripper": Dripper,
    "equivocator": Equivocator,
    "flooder": Flooder,
    "forger": Forger,
    "pretender": Pretender,
    "replayer": Replayer,
    "slow-reader": SlowReader,
    "stripper": Stripper,
    "tamperer": Tamperer,
    "tree-only": TreeOnly,
    "two-faced": TwoFaced,
    "version-liar": VersionLiar,
    "withholder": Withholder,
}

HARM: Final[Mapping[str, str]] = {
    "accomplice": "covered up",
    "dripper": "dripped",
    "equivocator": "fork",
    "flooder": "flooded",
    "forger": "evidence forged",
    "pretender": "pretended",
    "replayer": "replayed",
    "slow-reader": "answered slowly",
    "stripper": "stripped",
    "tamperer": "altered",
    "tree-only": "tree served alone",
    "two-faced": "lied",
    "version-liar": "roster invented",
    "withholder": "withheld",
}
"""The same names -> what of ``World.seen`` says that such a member did its harm."""
