"""From a confirm as it is asked for to one that can be signed; shared by all calls that publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from federation.protocol.bodies import Confirm
from federation.protocol.headers import parse_statement_id
from federation.protocol.labels import check_labels
from federation.protocol.signals import Signal
from federation.web import schemas
from federation.web.naming import name_content
from federation.web.verdicts import read_signal


def confirm_of(
    asked: schemas.ConfirmRequest, name: Callable[[Sequence[Signal]], str] | None = None
) -> Confirm:
    """The confirm that a request describes.

    Args:
        asked: validated.
        name: names content that the request does not; by default anew each time.

    Raises:
        SignalMalformed, LabelUnknown: a signal or label that is none.
    """
    signals = tuple(read_signal(each.type, each.value, each.quality) for each in asked.signals)
    item = asked.item
    if item is None:
        item = name_content() if name is None else name(signals)
    return Confirm(
        item=item,
        signals=signals,
        labels=check_labels(asked.labels),
        source=asked.source,
        confirmer=asked.confirmer,
        educational=asked.educational,
        incident=None if asked.incident is None else parse_statement_id(asked.incident),
        expires_at_ms=asked.expires_at_ms,
    )
