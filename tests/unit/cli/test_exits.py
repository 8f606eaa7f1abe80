"""Exit codes: scripts block uploads by them, so a failure must never read as a no."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation import errors
from federation.cli.exit_codes import exit_code_of
from federation.cli.exits import ExitCode
from federation.local_errors.askers import (
    NotYourStatement,
    ProofNotAvailable,
    StatementNotFound,
    TokenWrong,
    TooBusy,
)
from federation.local_errors.config import ConfigMissing, PortInUse
from federation.local_errors.content import PictureUnreadable, SignalMalformed
from federation.local_errors.disk import StoreFull
from federation.local_errors.peers import NodeUnreachable


def leaves(branch: type[errors.FederationError]) -> Iterator[type[errors.FederationError]]:
    for leaf in branch.__subclasses__():
        yield leaf
        yield from leaves(leaf)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ConfigMissing, ExitCode.MISUSE),
        (PortInUse, ExitCode.MISUSE),
        (SignalMalformed, ExitCode.MISUSE),
        (PictureUnreadable, ExitCode.MISUSE),
        (TokenWrong, ExitCode.MISUSE),
        (errors.RosterUnproven, ExitCode.NO),
        (StatementNotFound, ExitCode.NO),
        (NotYourStatement, ExitCode.NO),
        (ProofNotAvailable, ExitCode.UNKNOWN),
        (NodeUnreachable, ExitCode.UNKNOWN),
        (StoreFull, ExitCode.UNKNOWN),
        (TooBusy, ExitCode.UNKNOWN),
    ],
)
def test_an_error_ends_in_the_code_of_whose_fault_it_is(
    kind: type[errors.FederationError], expected: ExitCode
) -> None:
    assert expected == exit_code_of(kind("something"))


def test_no_error_ends_in_yes() -> None:
    found = {
        kind.__name__: exit_code_of(kind.__new__(kind)) for kind in leaves(errors.FederationError)
    }
    assert found
    assert [] == [name for name, code in found.items() if code is ExitCode.YES]
