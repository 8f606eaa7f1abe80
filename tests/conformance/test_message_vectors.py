"""Our own vectors of what peers send and auditors ask for: messages, and quorums."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from federation.errors import FederationError
from federation.protocol.messages import (
    AnnouncedHead,
    decode_announcement,
    decode_announcement_answer,
    decode_comparison,
    decode_comparison_answer,
    decode_range,
    encode_announcement,
    encode_announcement_answer,
    encode_comparison,
    encode_comparison_answer,
    encode_range,
)
from federation.protocol.messages_calls import decode_calls, encode_calls
from federation.protocol.messages_hashes import decode_hashes, encode_hashes
from federation.protocol.messages_prefix import decode_prefix, encode_prefix
from federation.protocol.policy import parse_quorum
from federation.protocol.statements import Statement
from tests.vectors.cases import Case, Json, bytes_of, text_of
from tests.vectors.generate import FOLDER

NOUNS = ("messages", "policy")


def show_statements(statements: Sequence[Statement]) -> list[Json]:
    shown: list[Json] = []
    for statement in statements:
        opening = statement.opening
        rest = [statement.commitment] if opening is None else [opening.salt, opening.body]
        shown.append([part.hex() for part in (statement.header_bytes, *rest)])
    return shown


def show_heads(heads: Sequence[AnnouncedHead]) -> list[Json]:
    return [
        {
            "note": head.note.hex(),
            "inline": show_statements(head.inline),
            "receipt": head.receipt,
        }
        for head in heads
    ]


def read_announcement(case: Case) -> Json:
    message = decode_announcement(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_announcement(message)
    return {
        "evidence": [each.hex() for each in message.evidence],
        "heads": show_heads(message.heads),
        "roster": message.roster_version,
    }


def read_announcement_answer(case: Case) -> Json:
    message = decode_announcement_answer(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_announcement_answer(message)
    held: list[Json] = [
        {"log": log.log_sha256.hex(), "size": str(log.size), "receipt": log.receipt}
        for log in message.held
    ]
    return {"held": held, "roster": message.roster_version}


def read_comparison(case: Case) -> Json:
    message = decode_comparison(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_comparison(message)
    return {"vector": message.vector.hex(), "roster": message.roster_version}


def read_comparison_answer(case: Case) -> Json:
    message = decode_comparison_answer(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_comparison_answer(message)
    heads = None if message.heads is None else show_heads(message.heads)
    return {
        "evidence": [each.hex() for each in message.evidence],
        "heads": heads,
        "roster": message.roster_version,
    }


def read_prefix(case: Case) -> Json:
    message = decode_prefix(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_prefix(message)
    return {"root": message.root_hash.hex(), "proof": [each.hex() for each in message.hashes]}


def read_range(case: Case) -> Json:
    message = decode_range(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_range(message)
    return {
        "from": str(message.start),
        "statements": show_statements(message.statements),
        "proof": [digest.hex() for digest in message.proof],
    }


def read_hashes(case: Case) -> Json:
    message = decode_hashes(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_hashes(message)
    return {
        "from": str(message.start),
        "bundles": [digest.hex() for digest in message.bundles],
        "leaves": [digest.hex() for digest in message.leaves],
    }


def read_calls(case: Case) -> Json:
    calls = decode_calls(bytes_of(case, "message"))
    assert bytes_of(case, "message") == encode_calls(calls)
    return [
        {
            "body": None if call.body is None else call.body.hex(),
            "number": str(call.number),
            "target": call.target,
        }
        for call in calls
    ]


def read_quorum(case: Case) -> Json:
    quorum = parse_quorum(text_of(case, "text"))
    assert text_of(case, "text") == str(quorum)
    return str(quorum) if quorum.second_lines else quorum.count


ANSWERS: dict[str, Callable[[Case], Json]] = {
    "announcement": read_announcement,
    "announcement_answer": read_announcement_answer,
    "comparison": read_comparison,
    "comparison_answer": read_comparison_answer,
    "hashes": read_hashes,
    "range": read_range,
    "prefix": read_prefix,
    "calls": read_calls,
    "quorum": read_quorum,
}


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


@pytest.mark.parametrize("name", ["accept", "reject"])
def test_every_question_has_a_case_of_both_kinds(name: str) -> None:
    assert set(ANSWERS) == {case["op"] for case in held_cases(name)}
