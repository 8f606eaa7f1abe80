"""Vectors of docs/spec/witness.md: requests to a witness, and the size in its refusal."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from federation.errors import (
    CheckpointMalformed,
    FederationError,
    NoteMalformed,
    ProofMalformed,
    RequestMalformed,
)
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits import PROOF_HASHES_MAX
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.texts import SIZE_LIMIT, format_base64
from federation.protocol.witness import format_add_checkpoint
from tests.vectors.cases import Case, Json, accepted, as_input, refused

ORIGIN = "acme.example/0123456789abcdef0123456789abcdef/live"
KEY = SigningKey.from_seed(bytes([1]) * 32)
ROOT = sha256(b"a root").digest()
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 300, ROOT), KEY)
HASHES = tuple(sha256(bytes([number])).digest() for number in range(PROOF_HASHES_MAX + 1))


def request_gives(
    old_size: int, proof: tuple[bytes, ...], size: int, root_hash: bytes
) -> dict[str, Json]:
    """What is read out of a good request for the log of ``ORIGIN``."""
    return {
        "old_size": str(old_size),
        "proof_hex": [digest.hex() for digest in proof],
        "origin": ORIGIN,
        "size": str(size),
        "root_hex": root_hash.hex(),
    }


def good_requests() -> Iterator[Case]:
    for desc, old_size, count in (
        ("from nothing", 0, 0),
        ("from seven", 7, 5),
        ("the same head again", 300, 0),
        ("as many hashes as there may be", 1, PROOF_HASHES_MAX),
    ):
        body = format_add_checkpoint(old_size, HASHES[:count], NOTE)
        gives = request_gives(old_size, HASHES[:count], 300, ROOT)
        yield accepted("add_checkpoint", f"request: {desc}", gives, **as_input("body", body))
    empty = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), KEY)
    gives = request_gives(0, (), 0, EMPTY_ROOT)
    body = format_add_checkpoint(0, (), empty)
    yield accepted("add_checkpoint", "request: the empty log", gives, **as_input("body", body))
    # Its root is judged later, with status 422; to read it is no error.
    wrong = empty.replace(format_base64(EMPTY_ROOT).encode(), format_base64(ROOT).encode())
    gives = request_gives(0, (), 0, ROOT)
    wording = "request: the empty log with another root"
    yield accepted(
        "add_checkpoint", wording, gives, **as_input("body", format_add_checkpoint(0, (), wrong))
    )


def bad_requests() -> Iterator[Case]:
    line = format_base64(HASHES[0])
    note = NOTE.decode()
    text, _, lines = note.partition("\n\n")
    sixty_four = f"{line}\n" * 64
    chosen: tuple[tuple[str, type[FederationError], str], ...] = (
        ("nothing", RequestMalformed, ""),
        ("a checkpoint alone", RequestMalformed, note),
        ("no empty line before the checkpoint", ProofMalformed, f"old 0\n{note}"),
        ("no old size", RequestMalformed, f"\n\n{note}"),
        ("a leading zero", RequestMalformed, f"old 00\n\n{note}"),
        ("a sign", RequestMalformed, f"old +1\n\n{note}"),
        ("two spaces", RequestMalformed, f"old  1\n\n{note}"),
        ("a space behind", RequestMalformed, f"old 1 \n\n{note}"),
        ("upper case", RequestMalformed, f"OLD 1\n\n{note}"),
        ("Windows newlines", RequestMalformed, f"old 1\r\n\n{note}"),
        ("an old size of 2^63", RequestMalformed, f"old {SIZE_LIMIT}\n\n{note}"),
        ("an Arabic digit", RequestMalformed, f"old \u0661\n\n{note}"),
        ("an old size above the new one", RequestMalformed, f"old 301\n\n{note}"),
        ("a hash that is no base64", ProofMalformed, f"old 7\nnone\u0021\n\n{note}"),
        ("a hash without padding", ProofMalformed, f"old 7\n{line[:-1]}\n\n{note}"),
        ("a hash of 31 bytes", ProofMalformed, f"old 7\n{format_base64(bytes(31))}\n\n{note}"),
        ("a hash of 33 bytes", ProofMalformed, f"old 7\n{format_base64(bytes(33))}\n\n{note}"),
        ("a hash with spare bits set", ProofMalformed, f"old 7\n{line[:-2]}B=\n\n{note}"),
        ("64 hashes", ProofMalformed, f"old 7\n{sixty_four}\n{note}"),
        ("two empty lines", CheckpointMalformed, f"old 7\n\n\n{note}"),
        ("no note", NoteMalformed, "old 0\n\n"),
        ("no final newline", NoteMalformed, f"old 0\n\n{note[:-1]}"),
        ("no signature", NoteMalformed, f"old 0\n\n{text}\n\n"),
        ("one signature twice", NoteMalformed, f"old 0\n\n{text}\n\n{lines}{lines}"),
        ("an extension line", CheckpointMalformed, f"old 0\n\n{text}\nmore\n\n{lines}"),
        ("a size with a leading zero", CheckpointMalformed, f"old 0\n\n{_sized('0300')}"),
        ("a size of 2^63", CheckpointMalformed, f"old 0\n\n{_sized(str(SIZE_LIMIT))}"),
        ("a root of 31 bytes", CheckpointMalformed, f"old 0\n\n{_rooted(bytes(31))}"),
    )
    for desc, error, body in chosen:
        yield refused(
            "add_checkpoint", f"request: {desc}", error, **as_input("body", body.encode())
        )


def _sized(size: str) -> str:
    return NOTE.decode().replace("\n300\n", f"\n{size}\n", 1)


def _rooted(root_hash: bytes) -> str:
    return NOTE.decode().replace(format_base64(ROOT), format_base64(root_hash), 1)


def sizes() -> Iterator[Case]:
    for size in (0, 7, SIZE_LIMIT - 1):
        yield accepted("witness_size", f"size: {size}", str(size), text=f"{size}\n")
    for desc, text in (
        ("nothing", ""),
        ("no newline", "7"),
        ("two newlines", "7\n\n"),
        ("a leading zero", "07\n"),
        ("a sign", "-7\n"),
        ("a space", " 7\n"),
        ("2^63", f"{SIZE_LIMIT}\n"),
        ("an Arabic digit", "\u0667\n"),
    ):
        yield refused("witness_size", f"size: {desc}", RequestMalformed, text=text)


def cases() -> Iterator[Case]:
    yield from good_requests()
    yield from bad_requests()
    yield from sizes()
