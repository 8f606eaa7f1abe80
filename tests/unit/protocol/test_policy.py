"""Quorums: a number that somebody wrote, or the word none; never an empty field that passes."""

from __future__ import annotations

import pytest

from federation.errors import RequestMalformed
from federation.protocol.limits import MEMBERS_MAX
from federation.protocol.policy import Quorum, parse_quorum


@pytest.mark.parametrize("count", [1, 2, 9, 10, 999, MEMBERS_MAX])
def test_a_quorum_is_met_by_so_many_and_by_no_fewer(count: int) -> None:
    quorum = parse_quorum(str(count))
    assert Quorum(count) == quorum
    assert str(count) == str(quorum)
    assert not quorum.is_met_by(count - 1)
    assert quorum.is_met_by(count)
    assert quorum.is_met_by(count + 1)


def test_none_is_met_by_nobody_at_all_and_is_written_out() -> None:
    quorum = parse_quorum("none")
    assert quorum.is_met_by(0)
    assert "none" == str(quorum)


@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e1", "None", "NONE", "none ",
     "any", "1,2", "1001", "9999", "99999999999999999999", "\u0661", "\uff11"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RequestMalformed) as caught:
        parse_quorum(text)
    assert caught.value.hint is not None
