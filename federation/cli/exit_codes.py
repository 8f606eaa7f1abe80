"""Which error ends in which exit code: the one table, for the operator's program."""

from __future__ import annotations

from typing import Final

from federation import errors, local_errors
from federation.cli.exits import ExitCode

EXIT_CODES: Final[dict[type[errors.FederationError], ExitCode]] = {
    errors.FederationError: ExitCode.UNKNOWN,
    local_errors.ConfigError: ExitCode.MISUSE,
    errors.ProtocolError: ExitCode.MISUSE,
    errors.VerificationError: ExitCode.NO,
    local_errors.PeerError: ExitCode.UNKNOWN,
    local_errors.StoreError: ExitCode.UNKNOWN,
    local_errors.NotFound: ExitCode.NO,
    local_errors.ProofNotAvailable: ExitCode.UNKNOWN,
    local_errors.RangeNotHeld: ExitCode.UNKNOWN,
    local_errors.NotAllowed: ExitCode.NO,
    local_errors.TokenWrong: ExitCode.MISUSE,
    local_errors.TooBusy: ExitCode.UNKNOWN,
}
"""The nearest class above an error decides; a leaf stands here where it differs from its branch."""


def exit_code_of(error: errors.FederationError) -> ExitCode:
    """The exit code that an error ends in."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
