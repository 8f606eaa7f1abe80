"""Reading a policy's tables key by key; what is wrong is gathered, with its line, not raised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from federation.matching.policy_lines import Path, line_of
from federation.matching.policy_terms import (
    DISTANCES_MAX,
    NAME_CHARACTERS_MAX,
    OWN_MEMBER,
)
from federation.protocol.labels import VOCABULARY, is_own_label
from federation.protocol.signals import SignalType

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*\Z")

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True, order=True)
class Flaw:
    """Something wrong in a policy.

    Attributes:
        line: from 1.
        what: where and why, in words; no signal.
    """

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


@dataclass(slots=True)
class Flaws:
    """What was found wrong so far.

    Attributes:
        lines: the line of each place.
        found: each flaw.
    """

    lines: dict[Path, int]
    found: list[Flaw] = field(default_factory=list)

    def add(self, path: Path, what: str) -> None:
        """Say what is wrong at a place."""
        shown = "".join(
            f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path
        ).removeprefix(".")
        self.found.append(Flaw(line_of(self.lines, path), f"{shown}: {what}" if shown else what))


class Table:
    """One table of a policy. Every key read is known; :meth:`close` names those that are not.

    Args:
        fields: the table as TOML gave it.
        path: where it stands.
        flaws: where what is wrong is told.
        members: the federation's members; None where nobody knows them.
    """

    def __init__(
        self, fields: Any, path: Path, flaws: Flaws, members: frozenset[str] | None
    ) -> None:
        self.path, self.flaws, self.members = path, flaws, members
        self._fields: dict[str, Any] = fields if isinstance(fields, dict) else {}
        self._read: set[str] = set()
        if not isinstance(fields, dict):
            flaws.add(path, "it is a table")

    def has(self, key: str) -> bool:
        """Whether the key was written."""
        return key in self._fields

    def line(self) -> int:
        """Where the table begins."""
        return line_of(self.flaws.lines, self.path)

    def flaw(self, key: str, what: str) -> None:
        """Say what is wrong with a key."""
        self.flaws.add((*self.path, key), what)

    def close(self) -> None:
        """Refuse what nobody read."""
        for key in self._fields.keys() - self._read:
            known = ", ".join(sorted(self._read))
            self.flaw(key, f"unknown key; known here: {known}")

    def name(self, key: str = "name") -> str:
        """A name that has to be there."""
        value = self._take(key)
        if isinstance(value, str) and len(value) <= NAME_CHARACTERS_MAX and _NAME.match(value):
            return value
        self.flaw(key, f"a name of 1 to {NAME_CHARACTERS_MAX} lower-case letters, digits, hyphens")
        return ""

    def text(self, key: str) -> str | None:
        """A text, or None where it is absent or wrong."""
        value = self._take(key)
        if isinstance(value, str):
            return value
        if value is not None or not self.has(key):
            self.flaw(key, "it is a text, and has to be there")
        return None

    def word(self, key: str, words: type[Word], default: Word | None = None) -> Word | None:
        """One word of a vocabulary."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in set(words):
            return words(value)
        self.flaw(key, "one of: " + ", ".join(words))
        return default

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """An integer in a range."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.flaw(key, f"an integer from {least} to {most}")
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.flaw(key, "true or false")
            return default
        return value

    def words(self, key: str, words: type[Word]) -> frozenset[Word]:
        """Some words of a vocabulary, each once."""
        known = set(words)
        given = self._texts(key)
        for text in given:
            if text not in known:
                self.flaw(key, f"unknown: {_shown(text)}; one of: " + ", ".join(words))
        return frozenset(words(text) for text in given if text in known)

    def labels(self, key: str) -> frozenset[str]:
        """Some labels of docs/spec/labels.md, or members' own."""
        given = self._texts(key)
        for text in given:
            if text not in VOCABULARY and not is_own_label(text):
                self.flaw(key, f"unknown label {_shown(text)}; see docs/spec/labels.md")
        return frozenset(given)

    def member_names(self, key: str) -> frozenset[str]:
        """Some members, or ``@self``."""
        given = self._texts(key)
        for text in given:
            if self.members is not None and text not in {*self.members, OWN_MEMBER}:
                self.flaw(key, f"unknown member {_shown(text)}; {OWN_MEMBER} is this one")
        return frozenset(given)

    def distances(self, key: str) -> dict[SignalType, int]:
        """A number for PDQ, or a table by signal type."""
        value = self._take(key)
        if value is None:
            return {}
        by_type = value if isinstance(value, dict) else {SignalType.PDQ.value: value}
        found: dict[SignalType, int] = {}
        for name, number in by_type.items():
            if name not in set(SignalType):
                self.flaw(key, f"unknown signal type {_shown(name)}: " + ", ".join(SignalType))
                continue
            known = SignalType(name)
            most = DISTANCES_MAX[known]
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
                self.flaw(key, f"{known}: a distance from 0 to {most}")
                continue
            found[known] = number
        return found

    def tables(self, key: str, most: int) -> Iterable[Table]:
        """The tables of an array."""
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.flaw(key, f"written [[{key}]], once for each")
            return []
        if len(value) > most:
            self.flaw(key, f"at most {most}")
        return [
            Table(fields, (*self.path, key, at), self.flaws, self.members)
            for at, fields in enumerate(value[:most])
        ]

    def table(self, key: str) -> Table:
        """A table below this one; empty where it is absent."""
        return Table(self._take(key, {}), (*self.path, key), self.flaws, self.members)

    def _take(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return self._fields.get(key, default)

    def _texts(self, key: str) -> list[str]:
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not value or not all(isinstance(t, str) for t in value):
            self.flaw(key, "a list of texts, not empty; leave it out for all")
            return []
        for text in {text for text in value if value.count(text) > 1}:
            self.flaw(key, f"{_shown(text)} is given twice")
        return value


def _shown(text: str) -> str:
    """A word of the operator's own file, as long as a word is."""
    return repr(text[:NAME_CHARACTERS_MAX])
