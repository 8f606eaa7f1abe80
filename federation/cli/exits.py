"""What the exit codes of both programs mean; which error ends in which is told in ``exit_codes``.

Scripts act on them, so a no is only ever said by an answer or by a proof that failed; a bug, a
broken pipe or a silent node is "could not tell", never a no.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """How a command of ``federation`` or ``federation-verify`` ended."""

    YES = 0  # done; for a question, yes (``match``: something in force matches)
    NO = 1  # the answer is no: nothing matches, not found, not proven, not allowed
    MISUSE = 2  # wrong arguments, malformed input, or a config to put right
    UNKNOWN = 3  # could not tell: node or peer unreachable, store failing, or a bug of ours


INTERRUPTED: Final = 130
"""Ended by Ctrl-C, as shells have it: 128 and the number of SIGINT."""
