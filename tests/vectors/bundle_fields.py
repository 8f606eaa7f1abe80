"""One field of a bundle's checkpoint or root of trust in another form: what each reader refuses."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, TypeAlias

from federation.errors import (
    CheckpointMalformed,
    FederationError,
    KeyMalformed,
    KeyWeak,
    NoteMalformed,
    RosterMalformed,
    SignatureInvalid,
)
from federation.protocol.texts import format_base64
from tests.builders import ACME, Founded, forge_root, make_key

Changed: TypeAlias = tuple[str, type[FederationError], str]


def checkpoint_fields(note: str) -> Iterator[Changed]:
    """A checkpoint note of size 7 with one line, changed in one place."""
    name, _, signed = note.removesuffix("\n").rpartition(" ")
    line_start = name[name.rindex("\n") + 1 :]
    root_of, raw = note.split("\n")[2], b64decode(signed)
    other_id = format_base64(bytes([raw[0] ^ 1]) + raw[1:])
    short = format_base64(bytes(31))
    yield from (
        ("a size with a leading zero", CheckpointMalformed, note.replace("\n7\n", "\n07\n")),
        ("a size with a sign", CheckpointMalformed, note.replace("\n7\n", "\n+7\n")),
        ("a size of 2^63", CheckpointMalformed, note.replace("\n7\n", f"\n{2**63}\n")),
        ("size 0 with another root", CheckpointMalformed, note.replace("\n7\n", "\n0\n")),
        ("size 1 that nobody signed", SignatureInvalid, note.replace("\n7\n", "\n1\n")),
        ("a root of 31 bytes", CheckpointMalformed, note.replace(root_of, short)),
        ("a root without padding", CheckpointMalformed, note.replace(root_of, root_of[:-1])),
        ("spare bits in the root", CheckpointMalformed, note.replace(root_of, f"{'A' * 42}B=")),
        ("no last line feed", NoteMalformed, note[:-1]),
        ("its line twice", NoteMalformed, f"{note}{line_start} {signed}\n"),
        ("another key id", SignatureInvalid, f"{name} {other_id}\n"),
        ("a signature of 63 bytes", SignatureInvalid, f"{name} {format_base64(raw[:-1])}\n"),
        ("a signature without padding", NoteMalformed, f"{name} {signed.rstrip('=')}\n"),
        ("a hyphen for the dash", NoteMalformed, note.replace("\u2014", "-")),
        ("a bell in its name", NoteMalformed, note.replace("\u2014 a", "\u2014 \x07a")),
    )


def weak_roots(founded: Founded) -> Iterator[tuple[str, type[FederationError], bytes]]:
    """Roots of trust with a key that binds nobody, or one key for two."""

    def mirror(key: bytes) -> bytes:
        def change(signed: dict[str, Any]) -> None:
            signed["x-hash-federation"]["members"][1]["mirror_keys"] = [format_base64(key)]

        return forge_root(founded.chain.versions[0], change, founded.governors)

    acmes = make_key(f"{ACME}/mirror").public
    yield "a mirror key of low order", KeyWeak, mirror(bytes(32))
    yield "a mirror key that is not reduced", KeyWeak, mirror(b"\xee" + b"\xff" * 30 + b"\x7f")
    yield "a mirror key of 31 bytes", KeyMalformed, mirror(bytes(range(31)))
    yield "one key as two members' mirrors", RosterMalformed, mirror(acmes)
