"""The answer to signals that nothing known is near to: nearly every answer, so it is made once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from federation.web.match_schemas import MATCH_SIGNALS_MAX

KEPT_MAX: Final = 32
"""Sizes of requests whose answers are kept: a caller has one or two; 1,000 signals are 60 KB."""


class MissAnswer:
    """Whole answers to any number of such signals, as bytes.

    Args:
        answer: the answer to one, as JSON values; it does not depend on the signal.

    Attributes:
        answer: the same.
        result: what it says of the one signal.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        (self.result,) = answer["results"]
        self._made: dict[int, bytes] = {}

    def to(self, count: int) -> bytes:
        """The answer to so many signals, at most ``MATCH_SIGNALS_MAX``."""
        made = self._made.get(count)
        if made is None:
            made = answer_with(self.answer, [self.result] * count)
            if len(self._made) < KEPT_MAX and count <= MATCH_SIGNALS_MAX:
                self._made[count] = made
        return made


def answer_with(answer: Mapping[str, Any], results: Sequence[Any]) -> bytes:
    """An answer with other results in it."""
    return json.dumps({**answer, "results": results}, separators=(",", ":")).encode("utf-8")
