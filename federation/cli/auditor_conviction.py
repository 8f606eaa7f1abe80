"""``federation-verify conviction``: did a member attest what it knew to be untrue?"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from federation.cli.auditor_convicting import convicting
from federation.cli.auditor_telling import Told
from federation.protocol.limits_messages import CONVICTION_BYTES_MAX
from federation.provenance.attestation_convicting import judge_conviction


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    words = "2.root.json and up, to the version that the attestation names"
    return convicting(parser, judge_conviction, CONVICTION_BYTES_MAX, "the conviction", words)
