"""Vectors of docs/spec/statements.md: commitments, statement ids and leaf hashes."""

from __future__ import annotations

from hashlib import sha256

from federation.errors import BodyMalformed, HeaderMalformed
from tests.vectors.by_hand import binary, fields, text
from tests.vectors.cases import Case, Json, accepted, refused
from tests.vectors.make_bodies import CONFIRM, WITHDRAW, confirm
from tests.vectors.make_headers import header

LONG_BYTES = 10_000
SALT = bytes(range(16))
COMMITMENT_TAG = b"hash-federation/commitment/v1" + bytes(3)
ENTRY_TAG = b"hash-federation/entry/v1" + bytes(8)


def _hashes(head: bytes, commitment: bytes) -> dict[str, Json]:
    entry = sha256(ENTRY_TAG + commitment + head).digest()
    return {
        "commitment_hex": commitment.hex(),
        "statement_id": f"st_{entry.hex()}",
        "leaf_hash_hex": sha256(b"\0" + entry).hexdigest(),
    }


def _inputs(head: bytes, salt: bytes, body: bytes) -> dict[str, Json]:
    """The three parts; a body too long to print is zeros, and only their number is written."""
    if len(body) < LONG_BYTES:
        return {"header_hex": head.hex(), "salt_hex": salt.hex(), "body_hex": body.hex()}
    assert body == bytes(len(body))
    return {"header_hex": head.hex(), "salt_hex": salt.hex(), "body_zeros": len(body)}


def _opened(desc: str, head: bytes, body: bytes, salt: bytes = SALT) -> Case:
    commitment = sha256(COMMITMENT_TAG + salt + body).digest()
    return accepted("opened", desc, _hashes(head, commitment), **_inputs(head, salt, body))


def _erased(desc: str, head: bytes, commitment: bytes) -> Case:
    return accepted(
        "erased",
        desc,
        _hashes(head, commitment),
        header_hex=head.hex(),
        commitment_hex=commitment.hex(),
    )


def _refused_opened(
    desc: str, error: type[BodyMalformed | HeaderMalformed], head: bytes, salt: bytes, body: bytes
) -> Case:
    return refused("opened", desc, error, **_inputs(head, salt, body))


def _accepted() -> list[Case]:
    body = confirm()
    return [
        _opened("the example of the page", CONFIRM, body),
        _erased(
            "the example, erased: the same id",
            CONFIRM,
            sha256(COMMITMENT_TAG + SALT + body).digest(),
        ),
        _opened("another salt: another id", CONFIRM, body, bytes(16)),
        _opened(
            "copied under another member: another id", header(member=text("umbra.example")), body
        ),
        _opened("copied into another federation: another id", header(fed=binary(bytes(16))), body),
        _opened("a withdraw", WITHDRAW, fields(why=text("appeal-upheld"))),
        _opened("a body that is not MessagePack is a statement all the same", CONFIRM, b"\xc1"),
        _opened("a header that is not MessagePack is the judge's to refuse", b"\xc1", body),
        _opened("header and body of one byte", b"\0", b"\0"),
        _opened("header and body at their limits", b"\1" * 4_096, bytes(65_536)),
    ]


def _refused() -> list[Case]:
    body = confirm()
    return [
        _refused_opened("no header", HeaderMalformed, b"", SALT, body),
        _refused_opened("a header of 4,097 bytes", HeaderMalformed, bytes(4_097), SALT, body),
        _refused_opened("no salt", BodyMalformed, CONFIRM, b"", body),
        _refused_opened("a salt of 15 bytes", BodyMalformed, CONFIRM, SALT[:-1], body),
        _refused_opened(
            "a salt of 17 bytes, with the body's first",
            BodyMalformed,
            CONFIRM,
            SALT + body[:1],
            body[1:],
        ),
        _refused_opened("no body", BodyMalformed, CONFIRM, SALT, b""),
        _refused_opened("a body of 65,537 bytes", BodyMalformed, CONFIRM, SALT, bytes(65_537)),
        *[
            refused(
                "erased",
                f"a commitment of {size} bytes",
                BodyMalformed,
                header_hex=CONFIRM.hex(),
                commitment_hex=bytes(size).hex(),
            )
            for size in (0, 31, 33)
        ],
        refused(
            "erased",
            "erased, without a header",
            HeaderMalformed,
            header_hex="",
            commitment_hex=bytes(32).hex(),
        ),
    ]


def cases() -> list[Case]:
    """All cases; the leaf hash is RFC 6962's, over the entry."""
    return [*_accepted(), *_refused()]
