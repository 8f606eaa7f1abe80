"""Vectors of docs/spec/headers.md: headers of this version and of later ones, and statement ids."""

from __future__ import annotations

from collections.abc import Sequence

from federation.errors import HeaderMalformed, RequestMalformed
from tests.vectors.by_hand import NIL, TRUE, array, binary, fields, integer, mapping, text
from tests.vectors.cases import Case, Json, accepted, refused

FEDERATION_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NEW_YEAR_2026_MS = 1_767_225_600_000
ENTRIES = [bytes([number]) * 32 for number in range(1, 66)]


def header_fields(**changed: bytes) -> dict[str, bytes]:
    """The fields of a valid header, encoded one by one, some of them changed."""
    return {
        "at": integer(NEW_YEAR_2026_MS),
        "fed": binary(bytes.fromhex(FEDERATION_ID)),
        "kind": text("confirm"),
        "member": text("acme.example"),
        "v": integer(1),
        **changed,
    }


def header(**changed: bytes) -> bytes:
    """A valid header with some fields changed or added."""
    return fields(**header_fields(**changed))


def without(name: str) -> bytes:
    """A header that lacks one field."""
    kept = header_fields()
    del kept[name]
    return fields(**kept)


def references(entries: Sequence[bytes]) -> bytes:
    """The value of ``refs``."""
    return array([binary(entry) for entry in entries])


def _reads(desc: str, encoded: bytes, **changed: Json) -> Case:
    gives: dict[str, Json] = {
        "federation_id": FEDERATION_ID,
        "member": "acme.example",
        "kind": "confirm",
        "references_hex": [],
        "claimed_at_ms": NEW_YEAR_2026_MS,
        "version": 1,
        **changed,
    }
    return accepted("header", desc, gives, encoded_hex=encoded.hex())


def _refused(desc: str, encoded: bytes) -> Case:
    return refused("header", desc, HeaderMalformed, encoded_hex=encoded.hex())


def _accepted() -> list[Case]:
    kind_longest, member_longest = "k" * 32, "a" * 49 + "." + "b" * 50
    two, most = ENTRIES[1::-1], ENTRIES[:64]
    return [
        _reads("the example of the page", header()),
        _reads(
            "a withdraw of two statements, in the order given",
            header(kind=text("withdraw"), refs=references(two)),
            kind="withdraw",
            references_hex=[entry.hex() for entry in two],
        ),
        _reads(
            "64 references",
            header(refs=references(most)),
            references_hex=[entry.hex() for entry in most],
        ),
        _reads("a clock at 0", header(at=integer(0)), claimed_at_ms=0),
        _reads(
            "a clock at the largest integer",
            header(at=integer(2**53 - 1)),
            claimed_at_ms=2**53 - 1,
        ),
        _reads("a kind of a later release", header(kind=text("endorse")), kind="endorse"),
        _reads("a kind of 32 characters", header(kind=text(kind_longest)), kind=kind_longest),
        _reads(
            "a member of 100 characters", header(member=text(member_longest)), member=member_longest
        ),
        _reads("a later version", header(v=integer(2)), version=2),
        _reads(
            "a later version with a field of its own",
            header(v=integer(2), zone=fields(x=array([TRUE]))),
            version=2,
        ),
        accepted("statement_id", "a statement id", "01" * 32, text="st_" + "01" * 32),
    ]


def _refused_fields() -> list[Case]:
    wrong = {
        "a field of its own in version 1": {"zone": TRUE},
        "version 0": {"v": integer(0)},
        "a version that is a boolean": {"v": TRUE},
        "a version that is text": {"v": text("1")},
        "a clock that is a boolean": {"at": TRUE},
        "a clock that is text": {"at": text("0")},
        "a clock over the largest integer": {"at": integer(2**53)},
        "a clock before 1970": {"at": b"\xff"},
        "a federation id of 15 bytes": {"fed": binary(bytes(15))},
        "a federation id of 32 bytes": {"fed": binary(bytes(32))},
        "a federation id as text": {"fed": text(FEDERATION_ID)},
        "an empty kind": {"kind": text("")},
        "a kind in upper case": {"kind": text("Confirm")},
        "a kind of 33 characters": {"kind": text("k" * 33)},
        "a kind that starts with a digit": {"kind": text("2nd")},
        "a kind with a line feed": {"kind": text("confirm\n")},
        "a kind in bytes": {"kind": binary(b"confirm")},
        "a member that is no name": {"member": text("Acme.example")},
        "a member of 101 characters": {"member": text("a" * 50 + "." + "b" * 50)},
        "a member with a look-alike letter": {"member": text("\u0430cme.example")},
        "a member in bytes": {"member": binary(b"acme.example")},
        "references that are empty": {"refs": array([])},
        "references that are nil": {"refs": NIL},
        "references that are no list": {"refs": binary(ENTRIES[0])},
        "65 references": {"refs": references(ENTRIES)},
        "one reference twice": {"refs": references([ENTRIES[0], ENTRIES[1], ENTRIES[0]])},
        "a reference of 31 bytes": {"refs": references([bytes(31)])},
        "a reference of 33 bytes": {"refs": references([bytes(33)])},
        "a reference as text": {"refs": array([text("st_" + "01" * 32)])},
        "a later version with a malformed member": {"v": integer(2), "member": text("")},
    }
    return [
        *[_refused(desc, header(**changed)) for desc, changed in wrong.items()],
        *[_refused(f"no {name}", without(name)) for name in header_fields()],
    ]


def _refused_forms() -> list[Case]:
    pairs = [(text(name), value) for name, value in header_fields().items()]
    over = header(v=integer(2), zone=binary(bytes(4_096)))
    return [
        _refused("no bytes at all", b""),
        _refused("an empty map", mapping([])),
        _refused("a list", array([header()])),
        _refused("keys out of order", mapping(pairs[::-1])),
        _refused("a key twice", mapping([*pairs, pairs[-1]])),
        _refused("the version in a longer form", header(v=integer(1, 1))),
        _refused("the kind in a longer form", header(kind=text("confirm", 1))),
        _refused("the federation id in a longer form", header(fed=binary(bytes(16), 2))),
        _refused("a byte left over", header() + b"\0"),
        _refused("a byte missing", header()[:-1]),
        _refused("over 4,096 bytes", over),
        *[
            refused("statement_id", f"a statement id {desc}", RequestMalformed, text=given)
            for desc, given in {
                "without its prefix": "01" * 32,
                "with another prefix": "ev_" + "01" * 32,
                "in upper case": "st_" + "AB" * 32,
                "of 63 digits": "st_" + "0" * 63,
                "of 65 digits": "st_" + "0" * 65,
                "with a line feed": "st_" + "01" * 32 + "\n",
                "of no characters": "",
            }.items()
        ],
    ]


def cases() -> list[Case]:
    """All cases."""
    return [*_accepted(), *_refused_fields(), *_refused_forms()]
