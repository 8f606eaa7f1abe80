"""Which error ends in which exit code: the one table, for the operator's program."""

from __future__ import annotations

from typing import Final

from federation import errors
from federation.cli.exits import ExitCode
from federation.local_errors.askers import (
    NotAllowed,
    NotFound,
    ProofNotAvailable,
    RangeNotHeld,
    TokenWrong,
    TooBusy,
)
from federation.local_errors.config import ConfigError
from federation.local_errors.disk import StoreError
from federation.local_errors.peers import PeerError

EXIT_CODES: Final[dict[type[errors.FederationError], ExitCode]] = {
    errors.FederationError: ExitCode.UNKNOWN,
    ConfigError: ExitCode.MISUSE,
    errors.ProtocolError: ExitCode.MISUSE,
    errors.VerificationError: ExitCode.NO,
    PeerError: ExitCode.UNKNOWN,
    StoreError: ExitCode.UNKNOWN,
    NotFound: ExitCode.NO,
    ProofNotAvailable: ExitCode.UNKNOWN,
    RangeNotHeld: ExitCode.UNKNOWN,
    NotAllowed: ExitCode.NO,
    TokenWrong: ExitCode.MISUSE,
    TooBusy: ExitCode.UNKNOWN,
}
"""The nearest class above an error decides; a leaf stands here where it differs from its branch."""


def exit_code_of(error: errors.FederationError) -> ExitCode:
    """The exit code that an error ends in."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)
