"""How one test vector is written down: what goes in, and what must come out.

A case is a JSON object. ``op`` says what is asked, the other fields are its inputs, and then either
``accept`` is true and ``gives`` is the answer, or it is false and ``error`` is the code of the
error. Bytes are lower-case hex in fields that end in ``_hex``; sizes, indexes and seconds are
decimal text, because not every JSON reader holds 64 bits.
"""

from __future__ import annotations

from typing import TypeAlias

from federation.errors import FederationError

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
Case: TypeAlias = dict[str, Json]


def accepted(op: str, desc: str, gives: Json = None, **inputs: Json) -> Case:
    """A case that every implementation must accept with the same answer."""
    return {"op": op, "desc": desc, "accept": True, "gives": gives, **inputs}


def refused(op: str, desc: str, error: type[FederationError], **inputs: Json) -> Case:
    """A case that every implementation must refuse."""
    return {"op": op, "desc": desc, "accept": False, "error": error.code, **inputs}


def as_input(name: str, raw: bytes) -> dict[str, Json]:
    """Bytes as an input: as text where they are UTF-8, else in hex under ``name_hex``."""
    try:
        return {name: raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_hex": raw.hex()}


def from_input(name: str, case: Case) -> bytes:
    """The bytes that ``as_input`` wrote."""
    text = case.get(name)
    return text.encode("utf-8") if isinstance(text, str) else bytes.fromhex(hex_of(case, name))


def text_of(case: Case, name: str) -> str:
    """An input that is text."""
    value = case[name]
    assert isinstance(value, str), name
    return value


def number_of(case: Case, name: str) -> int:
    """An input that is a number, written as decimal text."""
    return int(text_of(case, name))


def hex_of(case: Case, name: str) -> str:
    """An input that is hex, by its name without ``_hex``."""
    return text_of(case, f"{name}_hex")


def bytes_of(case: Case, name: str) -> bytes:
    """An input that is bytes, by its name without ``_hex``."""
    return bytes.fromhex(hex_of(case, name))


def digests_of(case: Case, name: str) -> list[bytes]:
    """An input that is a list of byte strings, by its name without ``_hex``."""
    value = case[f"{name}_hex"]
    assert isinstance(value, list), name
    return [bytes.fromhex(part) for part in value if isinstance(part, str)]
