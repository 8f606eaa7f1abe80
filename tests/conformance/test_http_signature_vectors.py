"""Our own vectors of signed HTTP messages: who signed what, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from federation.errors import FederationError
from federation.net.identities import leaf_member
from federation.net.signatures import (
    AnswerMessage,
    Proven,
    RequestMessage,
    open_answer,
    open_request,
)
from tests.vectors.cases import Case, Json, bytes_of, text_of
from tests.vectors.generate import FOLDER


def texts(value: Json) -> dict[str, str]:
    assert isinstance(value, dict)
    return {name: str(each) for name, each in value.items()}


def judge_of(case: Case) -> tuple[Callable[[bytes], str], int]:
    now = int(text_of(case, "now"))
    pinned = {name: (bytes.fromhex(der),) for name, der in texts(case["identities"]).items()}
    return lambda der: leaf_member(der, pinned, datetime.fromtimestamp(now, UTC)), now


def request_of(case: Mapping[str, Json]) -> RequestMessage:
    return RequestMessage(str(case["method"]), str(case["url"]), texts(case["fields"]))


def show(proven: Proven, case: Case) -> Json:
    proven.check_body(bytes_of(case, "body"))
    return {"member": proven.member, "nonce": proven.nonce, "created": str(proven.created)}


def read_request(case: Case) -> Json:
    member_of, now = judge_of(case)
    return show(open_request(request_of(case), member_of, now), case)


def read_answer(case: Case) -> Json:
    member_of, now = judge_of(case)
    asked, status = case["request"], case["status"]
    assert isinstance(asked, dict)
    assert isinstance(status, int)
    message = AnswerMessage(status, texts(case["fields"]), request_of(asked))
    return show(open_answer(message, member_of, now), case)


READERS: dict[str, Callable[[Case], Json]] = {"request": read_request, "answer": read_answer}


def held_cases(name: str) -> list[Case]:
    held: list[Case] = json.loads((FOLDER / "http_signatures" / f"{name}.json").read_text("ascii"))
    return held


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_message_is_proven(case: Case) -> None:
    assert case["gives"] == READERS[text_of(case, "op")](case)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_message_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(FederationError) as caught:
        READERS[text_of(case, "op")](case)
    assert case["error"] == caught.value.code
