"""Making statements: the only encoding of a header and a body, and the commitment to them.

What a local door lets through must be readable by every node, so whatever is encoded here is read
back before it is given out.

Source: docs/spec/statements.md, headers.md and bodies.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from federation.errors import BodyMalformed, EncodingMalformed, HeaderMalformed, OriginMalformed
from federation.protocol.bodies import (
    About,
    ActsUnder,
    Confirm,
    Dispute,
    Endorse,
    Erase,
    Kind,
    Readable,
    Withdraw,
    check_body,
)
from federation.protocol.bodies_incident import Incident, incident_fields
from federation.protocol.bodies_plain import read_plain_signals
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.headers import Header, decode_header
from federation.protocol.limits import BODY_BYTES_MAX, FORMAT_VERSION
from federation.protocol.origins import check_federation_id
from federation.protocol.signals import Signal
from federation.protocol.statements import Opening, Statement, check_opening_sizes, commitment_of

_KINDS: Final[dict[type[Readable], Kind]] = {
    Confirm: Kind.CONFIRM,
    Withdraw: Kind.WITHDRAW,
    Endorse: Kind.ENDORSE,
    Dispute: Kind.DISPUTE,
    Erase: Kind.ERASE,
    ActsUnder: Kind.ROSTER,
    Incident: Kind.INCIDENT,
}


def make_statement(header: Header, body: Readable, salt: bytes) -> Statement:
    """Encode and commit a new statement.

    Args:
        header: who says what kind of thing about which statements.
        body: what it says.
        salt: ``SALT_BYTES`` random bytes, fresh for each statement.

    Raises:
        HeaderMalformed: the header breaks its grammar, or does not go with this body, so that
            every node would find the statement inert.
        BodyMalformed: the salt has the wrong length, or the body breaks its grammar or is over
            ``BODY_BYTES_MAX``.
    """
    if header.version != FORMAT_VERSION or header.kind != kind_of(body):
        raise HeaderMalformed("the header names another version or kind than the body has")
    if isinstance(body, About) and not header.references:
        raise HeaderMalformed("the header refers to none of the statements that it is about")
    if isinstance(body, Incident) and len(header.references) != body.references_count:
        raise HeaderMalformed("an incident refers to the one it changes, or to none if it opens")
    opening = Opening(salt, encode_body(body))
    check_opening_sizes(opening)
    return Statement(encode_header(header), commitment_of(opening), opening)


@lru_cache(maxsize=64)  # what is said at one time has one header
def encode_header(header: Header) -> bytes:
    """The header's only encoding.

    Raises:
        HeaderMalformed: a field breaks the grammar.
    """
    try:
        check_federation_id(header.federation_id)
        fields: dict[str, Value] = {
            "at": header.claimed_at_ms,
            "fed": bytes.fromhex(header.federation_id),
            "kind": header.kind,
            "member": header.member,
            "v": header.version,
        }
        if header.references:
            fields["refs"] = [reference.entry for reference in header.references]
        encoded = encode(fields)
    except (EncodingMalformed, OriginMalformed) as error:
        raise HeaderMalformed(error.message) from None
    decode_header(encoded)
    return encoded


def kind_of(body: Readable) -> Kind:
    """The kind whose header goes with that body."""
    return _KINDS[type(body)]


def encode_body(body: Readable) -> bytes:
    """The body's only encoding; optional fields that say nothing are left out.

    Raises:
        BodyMalformed: a field breaks the grammar, so that no node could read it; the body is over
            ``BODY_BYTES_MAX``; or it is the incomplete reading of a later release's confirm.
    """
    if isinstance(body, Confirm) and body.signals_unknown:
        raise BodyMalformed("signals of unknown types were left out of this reading")
    try:
        encoded = encode(_fields_of(body))
    except EncodingMalformed as error:
        raise BodyMalformed(error.message) from None
    if len(encoded) > BODY_BYTES_MAX:
        raise BodyMalformed(
            f"the statement's body has {len(encoded)} bytes; at most {BODY_BYTES_MAX} travel",
            hint="split the signals over several statements",
        )
    if not isinstance(body, Confirm) or read_plain_signals(encoded) is None:
        check_body(kind_of(body), encoded)
    return encoded


def _fields_of(body: Readable) -> dict[str, Value]:
    if isinstance(body, ActsUnder):
        return {"decision": body.decision, "version": body.version}
    if isinstance(body, Incident):
        return incident_fields(body)
    return _confirm_fields(body) if isinstance(body, Confirm) else {"why": body.reason}


def _confirm_fields(body: Confirm) -> dict[str, Value]:
    fields: dict[str, Value] = {
        "by": body.confirmer,
        "item": body.item,
        "signals": [_signal_fields(signal) for signal in body.signals],
        "src": body.source,
    }
    if body.labels:
        fields["labels"] = list(body.labels)
    if body.educational:
        fields["edu"] = True
    if body.incident is not None:
        fields["inc"] = body.incident.entry
    if body.expires_at_ms is not None:
        fields["exp"] = body.expires_at_ms
    return fields


def _signal_fields(signal: Signal) -> dict[str, Value]:
    fields: dict[str, Value] = {"t": signal.type, "v": signal.value}
    if signal.quality is not None:
        fields["q"] = signal.quality
    return fields
