"""Our own vectors of the roster: who every node must believe, and whom nobody may."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from federation.errors import FederationError
from federation.protocol.join_requests import parse_join_request
from federation.protocol.roster import parse_roster
from federation.protocol.roster_walk import verify_chain
from tests.vectors.cases import Case, Json, from_input, text_of
from tests.vectors.generate import FOLDER
from tests.vectors.make_join_requests import request_gives
from tests.vectors.make_roster import roster_gives

NOUNS = ("roster", "join_requests")


def read_roster(case: Case) -> Json:
    return roster_gives(parse_roster(from_input("root", case)))


def walk_chain(case: Case) -> Json:
    roots = case["roots"]
    assert isinstance(roots, list)
    return roster_gives(verify_chain(str(root).encode("ascii") for root in roots).newest)


def read_request(case: Case) -> Json:
    return request_gives(parse_join_request(from_input("request", case)))


ANSWERS: dict[str, Callable[[Case], Json]] = {
    "roster": read_roster,
    "chain": walk_chain,
    "request": read_request,
}


def held_cases(name: str) -> list[Case]:
    cases: list[Case] = []
    for noun in NOUNS:
        cases += json.loads((FOLDER / noun / f"{name}.json").read_text("ascii"))
    return cases


@pytest.mark.parametrize("case", held_cases("accept"), ids=lambda case: str(case["desc"]))
def test_good_case_is_accepted_with_its_answer(case: Case) -> None:
    assert case["gives"] == ANSWERS[text_of(case, "op")](case)


@pytest.mark.parametrize("case", held_cases("reject"), ids=lambda case: str(case["desc"]))
def test_bad_case_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(FederationError) as caught:
        ANSWERS[text_of(case, "op")](case)
    assert case["error"] == caught.value.code


def test_every_question_has_a_case_of_both_kinds() -> None:
    for name in ("accept", "reject"):
        assert set(ANSWERS) == {case["op"] for case in held_cases(name)}
