"""``federation-verify evidence``: did one key sign two histories of its log?"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from federation.cli.auditor_convicting import convicting
from federation.cli.auditor_telling import Told
from federation.protocol.limits_messages import EVIDENCE_BYTES_MAX
from federation.provenance.convicting import judge_evidence


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    words = "2.root.json and up; the log must stand in one of them"
    return convicting(parser, judge_evidence, EVIDENCE_BYTES_MAX, "the evidence", words)
