"""Exit codes: scripts block uploads by them, so a failure must never read as a no."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation import errors, local_errors
from federation.cli.exit_codes import exit_code_of
from federation.cli.exits import ExitCode


def leaves(branch: type[errors.FederationError]) -> Iterator[type[errors.FederationError]]:
    for leaf in branch.__subclasses__():
        yield leaf
        yield from leaves(leaf)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (local_errors.ConfigMissing, ExitCode.MISUSE),
        (local_errors.PortInUse, ExitCode.MISUSE),
        (local_errors.SignalMalformed, ExitCode.MISUSE),
        (local_errors.PictureUnreadable, ExitCode.MISUSE),
        (local_errors.TokenWrong, ExitCode.MISUSE),
        (errors.RosterUnproven, ExitCode.NO),
        (local_errors.StatementNotFound, ExitCode.NO),
        (local_errors.NotYourStatement, ExitCode.NO),
        (local_errors.ProofNotAvailable, ExitCode.UNKNOWN),
        (local_errors.NodeUnreachable, ExitCode.UNKNOWN),
        (local_errors.StoreFull, ExitCode.UNKNOWN),
        (local_errors.TooBusy, ExitCode.UNKNOWN),
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
