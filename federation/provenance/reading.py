"""What a proven statement says, which its proof does not depend on.

The judge asks for proof, header and size only, so that statements this release cannot read are
stored, relayed and receipted like any other. Reading one is a second step, and never fails.

Source: docs/spec/bodies.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from federation.protocol.bodies import Body, Kind, read_body
from federation.protocol.bodies_plain import Mark, read_plain_signals
from federation.protocol.headers import Header
from federation.protocol.limits import FORMAT_VERSION
from federation.provenance.verifier import VerifiedStatement

READINGS_KEPT_MAX: Final = 1_024
"""A publish batch is stored, then indexed: the second reading is for nothing."""

KEPT_BYTES_MAX: Final = 1_024
"""Ten times a confirm of one picture; with the limit above, at most a megabyte of bodies."""

_PLAIN: Final = "_plain_signals"


def body_of(statement: VerifiedStatement) -> Body | None:
    """The reading of a statement's body; ``Inert`` where there is none, None where erased."""
    opening = statement.statement.opening
    if opening is None:
        return None
    if len(opening.body) > KEPT_BYTES_MAX:
        return read_body(statement.header, opening.body)
    return _read(statement.header, opening.body)


def plain_signals(statement: VerifiedStatement) -> tuple[Mark, ...] | None:
    """The signals of a confirm that has nothing else to look at, at a tenth of the cost.

    The statement keeps them beside its body: it is stored, then indexed, then told.

    Returns:
        Type and value of each signal; None where the whole reading is needed, or nothing is there.
    """
    known: tuple[Mark, ...] | None
    if _PLAIN in statement.__dict__:
        known = statement.__dict__[_PLAIN]
    else:
        opening = statement.statement.opening
        known = None if opening is None else plain_signals_of(statement.header, opening.body)
        statement.__dict__[_PLAIN] = known
    return known


def plain_signals_of(header: Header, body: bytes) -> tuple[Mark, ...] | None:
    """As :func:`plain_signals`, of a judged statement's header and body."""
    if header.kind != Kind.CONFIRM or header.version != FORMAT_VERSION or header.references:
        return None
    return read_plain_signals(body)


def forget_readings() -> None:
    """Keep no reading: one of them may be of a body that was erased."""
    _read.cache_clear()


@lru_cache(maxsize=READINGS_KEPT_MAX)
def _read(header: Header, body: bytes) -> Body:
    return read_body(header, body)
