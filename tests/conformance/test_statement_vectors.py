"""Our own vectors of what is said: what every node must read alike, and what it must refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256

import pytest

from federation.errors import BodyMalformed, FederationError
from federation.protocol import limits, limits_content, limits_messages
from federation.protocol.bodies import About, ActsUnder, Confirm, Inert, is_label, read_body
from federation.protocol.bodies_incident import Incident
from federation.protocol.encoding import Decoded, decode, decode_map
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.headers import decode_header, parse_statement_id
from federation.protocol.labels import check_labels
from federation.protocol.origins import (
    Cosigner,
    check_member_name,
    cosigner_name,
    federation_id_of,
    parse_origin,
)
from federation.protocol.signals import Signal
from federation.protocol.signals_local import check_publishable, format_signal, parse_signal
from federation.protocol.statements import Statement, erased_statement, opened_statement
from federation.protocol.statements_writing import encode_body, encode_header, kind_of
from tests.vectors.cases import Case, Json, bytes_of, text_of
from tests.vectors.generate import FOLDER

NOUNS = ("limits", "encoding", "origins", "signals", "headers", "bodies", "statements", "labels")


def integer_of(case: Case, name: str) -> int:
    value = case[name]
    assert isinstance(value, int), name
    return value


def quality_of(case: Case) -> int | None:
    return None if case["quality"] is None else integer_of(case, "quality")


def as_json(value: Decoded) -> Json:
    """A decoded value as the vectors write it: bytes are ``{"bytes": hex}``."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    return value


def from_json(value: Json) -> Value:
    """The inverse of ``as_json``."""
    assert value is not None
    if isinstance(value, list):
        return [from_json(part) for part in value]
    if isinstance(value, dict):
        if value.keys() == {"bytes"}:
            return bytes.fromhex(text_of(value, "bytes"))
        return {key: from_json(part) for key, part in value.items()}
    return value


def show_limit(case: Case) -> Json:
    every = {**vars(limits), **vars(limits_content), **vars(limits_messages)}
    value = every[text_of(case, "name")]
    assert isinstance(value, int | bytes)
    return value.hex() if isinstance(value, bytes) else value


def read_value(case: Case) -> Json:
    encoded = bytes_of(case, "encoded")
    value = as_json(decode(encoded, bytes_max=integer_of(case, "bytes_max")))
    assert encoded == encode(from_json(value))
    return value


def read_map(case: Case) -> Json:
    return as_json(decode_map(bytes_of(case, "encoded"), bytes_max=integer_of(case, "bytes_max")))


def read_origin(case: Case) -> Json:
    log = parse_origin(text_of(case, "origin"))
    assert log.origin == text_of(case, "origin")
    return {
        "member": log.member,
        "federation_id": log.federation_id,
        "lane": str(log.lane),
        "epoch": log.epoch,
        "sha256_hex": log.sha256.hex(),
    }


def judge_member_name(case: Case) -> Json:
    check_member_name(text_of(case, "member"))
    return None


def name_cosigner(case: Case) -> Json:
    cosigner = Cosigner(text_of(case, "cosigner"))
    return cosigner_name(text_of(case, "member"), text_of(case, "federation_id"), cosigner)


def name_federation(case: Case) -> Json:
    return federation_id_of(bytes_of(case, "first_root"))


def signal_gives(signal: Signal) -> Json:
    return {
        "type": str(signal.type),
        "value_hex": signal.value.hex(),
        "quality": signal.quality,
    }


def read_signal(case: Case) -> Json:
    signal = parse_signal(text_of(case, "text"), quality_of(case))
    assert text_of(case, "text") == format_signal(signal)
    return signal_gives(signal)


def judge_publishable(case: Case) -> Json:
    check_publishable(parse_signal(text_of(case, "text"), quality_of(case)))
    return None


def read_header(case: Case) -> Json:
    encoded = bytes_of(case, "encoded")
    header = decode_header(encoded)
    if header.version == limits.FORMAT_VERSION:
        assert encoded == encode_header(header)
    return {
        "federation_id": header.federation_id,
        "member": header.member,
        "kind": header.kind,
        "references_hex": [reference.entry.hex() for reference in header.references],
        "claimed_at_ms": header.claimed_at_ms,
        "version": header.version,
    }


def read_statement_id(case: Case) -> Json:
    statement_id = parse_statement_id(text_of(case, "text"))
    assert text_of(case, "text") == str(statement_id)
    return statement_id.entry.hex()


def read_any_body(case: Case) -> Json:
    """A malformed body reads as inert; whether it was meant to, the vectors say with a code."""
    header, encoded = decode_header(bytes_of(case, "header")), bytes_of(case, "body")
    reading = read_body(header, encoded)
    if isinstance(reading, Inert):
        if not case["accept"]:
            raise BodyMalformed(reading.why)
        return {"kind": "inert"}
    if isinstance(reading, ActsUnder):
        assert encoded == encode_body(reading)
        return {
            "kind": "roster",
            "version": reading.version,
            "decision_hex": reading.decision.hex(),
        }
    if isinstance(reading, About):
        assert encoded == encode_body(reading)
        return {"kind": kind_of(reading).value, "reason": reading.reason}
    if isinstance(reading, Incident):
        assert encoded == encode_body(reading)
        return {
            "kind": "incident",
            "level": reading.level,
            "at_ms": reading.at_ms,
            "title": reading.title,
            "closed": reading.is_closed,
        }
    if not reading.signals_unknown:
        assert encoded == encode_body(reading)
    return confirm_gives(reading)


def confirm_gives(reading: Confirm) -> Json:
    return {
        "kind": "confirm",
        "item": reading.item,
        "signals": [signal_gives(signal) for signal in reading.signals],
        "labels": list(reading.labels),
        "source": reading.source,
        "confirmer": reading.confirmer,
        "educational": reading.educational,
        "incident_hex": None if reading.incident is None else reading.incident.entry.hex(),
        "expires_at_ms": reading.expires_at_ms,
        "signals_unknown": reading.signals_unknown,
    }


def statement_gives(statement: Statement) -> Json:
    return {
        "commitment_hex": statement.commitment.hex(),
        "statement_id": str(statement.id),
        "leaf_hash_hex": sha256(b"\0" + statement.id.entry).hexdigest(),
    }


def open_statement(case: Case) -> Json:
    zeros = "body_zeros" in case
    body = bytes(integer_of(case, "body_zeros")) if zeros else bytes_of(case, "body")
    return statement_gives(opened_statement(bytes_of(case, "header"), bytes_of(case, "salt"), body))


def hold_erased(case: Case) -> Json:
    return statement_gives(erased_statement(bytes_of(case, "header"), bytes_of(case, "commitment")))


def judge_label_form(case: Case) -> Json:
    return is_label(text_of(case, "label"))


def judge_labels(case: Case) -> Json:
    typed = case["labels"]
    assert isinstance(typed, list)
    return list(check_labels([label for label in typed if isinstance(label, str)]))


ANSWERS: dict[str, Callable[[Case], Json]] = {
    "limit": show_limit,
    "decode": read_value,
    "decode_map": read_map,
    "origin": read_origin,
    "member_name": judge_member_name,
    "cosigner_name": name_cosigner,
    "federation_id": name_federation,
    "signal": read_signal,
    "publishable": judge_publishable,
    "header": read_header,
    "statement_id": read_statement_id,
    "body": read_any_body,
    "opened": open_statement,
    "erased": hold_erased,
    "label_form": judge_label_form,
    "labels": judge_labels,
}
NEVER_REFUSED = {"limit", "federation_id", "label_form"}


def held_cases(name: str) -> list[Case]:
    return [
        case
        for noun in NOUNS
        for case in json.loads((FOLDER / noun / f"{name}.json").read_text("ascii"))
    ]


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_case_is_accepted_with_its_answer(case: Case) -> None:
    assert case["gives"] == ANSWERS[text_of(case, "op")](case)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_case_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(FederationError) as caught:
        ANSWERS[text_of(case, "op")](case)
    assert case["error"] == caught.value.code


def test_every_question_has_a_case_of_both_kinds_or_cannot_be_refused() -> None:
    asked = {name: {case["op"] for case in held_cases(name)} for name in ("accept", "reject")}
    assert set(ANSWERS) == asked["accept"]
    assert NEVER_REFUSED == set(ANSWERS) - asked["reject"]
