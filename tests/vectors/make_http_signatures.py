"""Vectors of docs/spec/http_signatures.md: a signed request, its answer, and what is done to them.

The two messages in ``http_messages.json`` were signed once, under identities and leaves whose keys
were thrown away: ECDSA never gives the same signature twice. ``now`` is the reader's clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from federation.errors import FederationError
from federation.local_errors.askers import ClockSkew, PeerNotAMember, RequestUnproven
from tests.vectors.cases import Case, Json, accepted, refused

MADE: dict[str, Any] = json.loads((Path(__file__).parent / "http_messages.json").read_text("ascii"))
SIGNED_AT = int(MADE["request"]["now"])
NOVA, ACME = "nova.example", "acme.example"


def _request(**changes: Any) -> dict[str, Json]:
    made = MADE["request"]
    inputs: dict[str, Json] = {
        "identities": MADE["identities"],
        "method": made["method"],
        "url": made["url"],
        "fields": made["fields"],
        "body_hex": made["body"],
        "now": str(SIGNED_AT),
    }
    return {**inputs, **changes}


def _answer(**changes: Any) -> dict[str, Json]:
    made = MADE["answer"]
    inputs: dict[str, Json] = {
        "identities": MADE["identities"],
        "request": {
            "method": MADE["request"]["method"],
            "url": MADE["request"]["url"],
            "fields": MADE["request"]["fields"],
        },
        "status": made["status"],
        "fields": made["fields"],
        "body_hex": made["body"],
        "now": str(made["now"]),
    }
    return {**inputs, **changes}


def _with(made: dict[str, Any], **changes: str | None) -> dict[str, str]:
    """A message's fields, some of them changed; None leaves one out."""
    fields = dict(made["fields"])
    for name, value in changes.items():
        field = "-".join(part.capitalize() for part in name.split("_"))
        fields.pop(field)
        if value is not None:
            fields[field] = value
    return fields


def _good() -> list[Case]:
    nonce = MADE["request"]["fields"]["Signature-Input"].partition('nonce="')[2][:22]
    taken: Json = {"member": NOVA, "nonce": nonce, "created": str(SIGNED_AT)}
    given: Json = {"member": ACME, "nonce": "", "created": str(SIGNED_AT + 1)}
    return [
        accepted("request", "a signed request", taken, **_request()),
        accepted("request", "a minute old", taken, **_request(now=str(SIGNED_AT + 60))),
        accepted("request", "half a minute early", taken, **_request(now=str(SIGNED_AT - 30))),
        accepted("answer", "the answer to it", given, **_answer()),
    ]


def _broken_fields() -> dict[str, tuple[type[FederationError], dict[str, str]]]:
    made = MADE["request"]
    fields, answer = made["fields"], MADE["answer"]["fields"]
    parameters, signature = fields["Signature-Input"], fields["Signature"]
    without_nonce = parameters.replace(parameters[parameters.index(";nonce") :], "")
    return {
        "no leaf": (RequestUnproven, _with(made, federation_leaf=None)),
        "a leaf that is text": (RequestUnproven, _with(made, federation_leaf="MIIB")),
        "a leaf that is no certificate": (PeerNotAMember, _with(made, federation_leaf=":AAAA:")),
        "another member's leaf": (
            RequestUnproven,
            _with(made, federation_leaf=answer["Federation-Leaf"]),
        ),
        "no signature": (RequestUnproven, _with(made, signature=None)),
        "no signature input": (RequestUnproven, _with(made, signature_input=None)),
        "no content digest": (RequestUnproven, _with(made, content_digest=None)),
        "another content digest": (
            RequestUnproven,
            _with(made, content_digest=answer["Content-Digest"]),
        ),
        "another label": (
            RequestUnproven,
            _with(
                made,
                signature=signature.replace("peer=", "pyhms="),
                signature_input=parameters.replace("peer=", "pyhms="),
            ),
        ),
        "the tag of an answer": (
            RequestUnproven,
            _with(made, signature_input=parameters.replace("/request/", "/answer/")),
        ),
        "a component that is not covered": (
            RequestUnproven,
            _with(made, signature_input=parameters.replace(' "content-digest"', "")),
        ),
        "no nonce": (RequestUnproven, _with(made, signature_input=without_nonce)),
        "no time": (
            RequestUnproven,
            _with(made, signature_input=parameters.replace(f";created={SIGNED_AT}", "")),
        ),
        "a later time than was signed": (
            RequestUnproven,
            _with(made, signature_input=parameters.replace(f"={SIGNED_AT}", f"={SIGNED_AT + 9}")),
        ),
        "an algorithm of another kind": (
            RequestUnproven,
            _with(made, signature_input=parameters.replace("ecdsa-p256-sha256", "ed25519")),
        ),
        "a signature of 63 bytes": (
            RequestUnproven,
            _with(made, signature=f"peer=:{'A' * 84}:"),
        ),
    }


def _bad_requests() -> list[Case]:
    made = MADE["request"]
    another = {name: der for name, der in MADE["identities"].items() if name != NOVA}
    cases: dict[str, tuple[type[FederationError], dict[str, Json]]] = {
        "61 seconds old": (ClockSkew, _request(now=str(SIGNED_AT + 61))),
        "31 seconds early": (ClockSkew, _request(now=str(SIGNED_AT - 31))),
        "another method": (RequestUnproven, _request(method="PUT")),
        "another path": (RequestUnproven, _request(url=made["url"].replace("digest", "announce"))),
        "another host": (RequestUnproven, _request(url=made["url"].replace("acme", "umbra"))),
        "plain HTTP": (RequestUnproven, _request(url=made["url"].replace("https", "http"))),
        "a query that was added": (RequestUnproven, _request(url=made["url"] + "?a=1")),
        "another body": (RequestUnproven, _request(body_hex=made["body"] + "00")),
        "no body": (RequestUnproven, _request(body_hex="")),
        "a leaf of nobody in the roster": (PeerNotAMember, _request(identities=another)),
        "an expired leaf": (PeerNotAMember, _request(now=str(SIGNED_AT + 86_401))),
    }
    cases |= {
        desc: (error, _request(fields=these)) for desc, (error, these) in _broken_fields().items()
    }
    return [
        refused("request", f"request: {desc}", error, **inputs)
        for desc, (error, inputs) in cases.items()
    ]


def _bad_answers() -> list[Case]:
    made = MADE["answer"]
    other = {**_answer()["request"], "method": "PUT"}  # type: ignore[dict-item]
    unsigned = {"method": "POST", "url": MADE["request"]["url"], "fields": {}}
    cases: dict[str, dict[str, Json]] = {
        "another status": _answer(status=404),
        "another body": _answer(body_hex=made["body"] + "00"),
        "the answer to another request": _answer(request=other),
        "the answer to a request that was not signed": _answer(request=unsigned),
        "no signature": _answer(fields=_with(made, signature=None)),
        "the request's own signature": _answer(
            fields={**made["fields"], "Signature": MADE["request"]["fields"]["Signature"]}
        ),
    }
    return [refused("answer", desc, RequestUnproven, **inputs) for desc, inputs in cases.items()]


def cases() -> list[Case]:
    """All cases."""
    return [*_good(), *_bad_requests(), *_bad_answers()]
