"""A promise that does not hold, told apart from a simulation or an engine that fell over.

Every check raises :class:`Broken` with a name, and a planted bug says which names it must break. An
exception of any other kind is a **crash**: it fails a schedule too, and proves nothing about what
the checks can see.
"""

from __future__ import annotations

from typing import Final

CRASHED: Final = "crashed"
"""The name under which an exception that no check raised is told."""

# The promises of docs/internals/gossip.md by number; those that histories are judged by as well
# have the names that they have there (tests/scenarios/checks.py).
DURABLE_AT_ISSUER: Final = "durable-at-issuer"  # 1
DURABLE_FIRST: Final = "durable-before-it-is-told"  # 2
ONE_HISTORY: Final = "no-two-roots-signed"  # 3
CONVERGED: Final = "converged"  # 4
ACKNOWLEDGED: Final = "acknowledged-everywhere"  # 5
NOBODY_HONEST: Final = "nobody-honest-is-blamed"  # 6
RECEIPTS_ARRIVE: Final = "receipted"  # 7
EVIDENCE_STANDS: Final = "evidence-stands-alone"  # 8
RECEIPT_FOR_ALL: Final = "receipt-for-all-of-it"  # 9
ERASED_IS_GONE: Final = "erased-is-gone"  # 10
EQUALLY_ACCUSED: Final = "equally-accused"  # 11
NO_FORK_UNPROVEN: Final = "no-fork-without-evidence"  # 12
ROOT_IS_HELD: Final = "root-is-recomputed"  # 13
BOUNDED: Final = "bounded"  # 14
COSIGNED_GROWS: Final = "cosigned-sizes-grow"  # 15
NO_STORM: Final = "no-recovery-storm"  # 16
QUIESCENT: Final = "quiescent"  # 17
SHRINKS: Final = "nothing-shrinks"  # 18
LEFT_ALONE: Final = "left-alone-who-asked-for-it"  # 19
PROMPT: Final = "prompt"
STEPS_FIT: Final = "steps-fit"
"""What the store refuses: a step from another view than the durable one."""


class Broken(AssertionError):
    """A promise does not hold.

    Attributes:
        name: of the check that found it.
    """

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name}: {words}")
        self.name = name


def must(holds: object, name: str, words: str) -> None:
    """Say that something holds.

    Raises:
        Broken: it does not.
    """
    if not holds:
        raise Broken(name, words)


def name_of(sentence: str) -> str:
    """Which check a sentence of what does not hold comes from."""
    return sentence.partition(":")[0]
