"""Vectors of docs/spec/messages.md: what peers say to each other, written by hand.

``gives`` shows a message as JSON: bytes in hex, a statement as its parts, a field that is left out
as null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from federation.errors import FederationError
from federation.local_errors.proofs import MessageMalformed
from tests.vectors.by_hand import TRUE, array, binary, fields, integer, mapping, text
from tests.vectors.cases import Case, Json, accepted, refused
from tests.vectors.make_bodies import CONFIRM, WITHDRAW, confirm
from tests.vectors.make_checkpoints import COSIGNATURE, NOTE
from tests.vectors.make_statements import SALT

HASH = bytes(range(32))
LOG = sha256(b"a log").digest()
RECEIPT = f"\u2014 {COSIGNATURE.name} AAAAAAAA"
REASON = fields(why=text("appeal-upheld"))
OPENED = [CONFIRM, SALT, confirm()]
WITHDRAWN = [WITHDRAW, SALT, REASON]
ERASED = [CONFIRM, HASH]


def statement(parts: Sequence[bytes]) -> bytes:
    return array([binary(part) for part in parts])


def head(note: bytes = NOTE, **more: bytes) -> bytes:
    return fields(note=binary(note), **more)


def announcement(*heads: bytes, roster: bytes | None = None) -> bytes:
    return fields(heads=array(heads), roster=integer(1) if roster is None else roster)


def held(log: bytes = LOG, size: int = 3, **more: bytes) -> bytes:
    return fields(log=binary(log), size=integer(size), **more)


def answer(*logs: bytes) -> bytes:
    return fields(held=array(logs), roster=integer(1))


def comparison(vector: bytes = HASH) -> bytes:
    return fields(roster=integer(1), vector=binary(vector))


def statement_range(
    *statements: bytes, start: int = 256, proof: Sequence[bytes] = (), **more: bytes
) -> bytes:
    whole: Mapping[str, bytes] = {
        "from": integer(start),
        "proof": array([binary(digest) for digest in proof]),
        "statements": array(statements),
        **more,
    }
    return fields(**whole)


def _hex(parts: Sequence[bytes]) -> list[Json]:
    return [part.hex() for part in parts]


def _shown_head(
    inline: Sequence[Sequence[bytes]] = (), receipt: str | None = None, note: bytes = NOTE
) -> Json:
    return {
        "note": note.hex(),
        "inline": [_hex(parts) for parts in inline],
        "receipt": receipt,
    }


def _told(heads: list[Json] | None, evidence: Sequence[bytes] = (), roster: int = 1) -> Json:
    return {"evidence": _hex(evidence), "heads": heads, "roster": roster}


def evidence_of(*files: bytes) -> bytes:
    return array([binary(each) for each in files])


def prefix(root: bytes = HASH, proof: Sequence[bytes] = (), **more: bytes) -> bytes:
    return fields(proof=array([binary(each) for each in proof]), root=binary(root), **more)


def _good_evidence() -> list[Case]:
    files = evidence_of(b"one file", bytes(8_192))
    told = fields(evidence=files, heads=array([]), roster=integer(1))
    shown = _told([], [b"one file", bytes(8_192)])
    return [
        _taken("announcement", "evidence alone", shown, told),
        _taken("comparison_answer", "evidence beside heads", shown, told),
        _taken(
            "prefix",
            "a root and its proof",
            {"root": HASH.hex(), "proof": [LOG.hex()]},
            prefix(proof=[LOG]),
        ),
        _taken("prefix", "the size itself", {"root": LOG.hex(), "proof": []}, prefix(LOG)),
    ]


def _bad_evidence() -> list[Case]:
    lists = {
        "evidence that is empty": evidence_of(),
        "evidence that is text": text("a file"),
        "a file that is text": array([text("a file")]),
        "a file over its limit": evidence_of(bytes(8_193)),
        "65 files": evidence_of(*[b"file"] * 65),
    }
    prefixes = {
        "nothing": b"",
        "no root": fields(proof=array([])),
        "no proof": fields(root=binary(HASH)),
        "an unknown field": prefix(size=integer(1)),
        "a root of 31 bytes": prefix(HASH[1:]),
        "a root that is text": fields(proof=array([]), root=text("root")),
        "a hash of 31 bytes": prefix(proof=[HASH[1:]]),
        "a hash that is text": fields(proof=array([text("hash")]), root=binary(HASH)),
        "64 hashes": prefix(proof=[HASH] * 64),
        "a proof that is a map": fields(proof=fields(), root=binary(HASH)),
    }
    alone = fields(evidence=evidence_of(b"file"), roster=integer(1))
    return [
        *[
            _left(op, desc, fields(evidence=files, heads=array([]), roster=integer(1)))
            for op in ("announcement", "comparison_answer")
            for desc, files in lists.items()
        ],
        _left("comparison_answer", "evidence without heads", alone),
        *[_left("prefix", desc, raw) for desc, raw in prefixes.items()],
    ]


def call(number: int = 7, target: str = "/v1/announce", **more: bytes) -> bytes:
    return fields(number=integer(number), target=text(target), **more)


def calls(*waiting: bytes) -> bytes:
    return fields(calls=array(waiting))


def _shown_call(number: int, target: str, body: bytes | None) -> Json:
    shown = None if body is None else body.hex()
    return {"body": shown, "number": str(number), "target": target}


def _good_calls() -> list[Case]:
    asked = f"/v1/logs/{LOG.hex()}/statements?from=0&to=3&at=3"
    told = calls(call(7, body=binary(b"news")), call(2**53 - 1, asked))
    shown: list[Json] = [
        _shown_call(7, "/v1/announce", b"news"),
        _shown_call(2**53 - 1, asked, None),
    ]
    longest = "/" + "x" * 511
    return [
        _taken("calls", "one that posts and one that gets", shown, told),
        _taken("calls", "none", [], calls()),
        _taken(
            "calls",
            "an empty body",
            [_shown_call(7, "/a", b"")],
            calls(call(7, "/a", body=binary(b""))),
        ),
        _taken(
            "calls", "the longest target", [_shown_call(1, longest, None)], calls(call(1, longest))
        ),
    ]


def _bad_calls() -> list[Case]:
    bodies = {
        "nothing": b"",
        "a list": array([]),
        "no calls": fields(),
        "calls that are true": fields(calls=TRUE),
        "an unknown field": fields(calls=array([]), roster=integer(1)),
        "a call that is a list": calls(array([])),
        "a call without its number": calls(fields(target=text("/a"))),
        "a call without its target": calls(fields(number=integer(1))),
        "a call with an unknown field": calls(call(method=text("PUT"))),
        "number 0": calls(call(0)),
        "a number that is true": calls(fields(number=TRUE, target=text("/a"))),
        "a target without a slash": calls(call(1, "v1/announce")),
        "a target with a space": calls(call(1, "/a b")),
        "a target with a line feed": calls(call(1, "/a\n")),
        "a target with a letter beyond ASCII": calls(call(1, "/\u00e4")),
        "a target of 513 characters": calls(call(1, "/" + "x" * 512)),
        "a target in bytes": calls(fields(number=integer(1), target=binary(b"/a"))),
        "a body that is text": calls(call(body=text("news"))),
        "a body over its limit": calls(call(body=binary(bytes(65_537)))),
        "one number twice": calls(call(7), call(7)),
        "numbers out of order": calls(call(8), call(7)),
        "65 calls": calls(*[call(number) for number in range(1, 66)]),
    }
    return [_left("calls", desc, raw) for desc, raw in bodies.items()]


def _good_announcements() -> list[Case]:
    inline = array([statement(OPENED), statement(WITHDRAWN)])
    told = announcement(head(), head(b"", inline=inline, receipt=text(RECEIPT)))
    shown: list[Json] = [_shown_head(), _shown_head([OPENED, WITHDRAWN], RECEIPT, b"")]
    return [
        _taken("announcement", "two heads", _told(shown), told),
        _taken("announcement", "no head at all", _told([]), announcement()),
        _taken(
            "announcement",
            "an erased statement inline",
            _told([_shown_head([ERASED])], roster=1_024),
            announcement(head(inline=array([statement(ERASED)])), roster=integer(1_024)),
        ),
        _taken(
            "announcement_answer",
            "a log held, and one with a receipt",
            {
                "held": [
                    {"log": LOG.hex(), "size": "3", "receipt": None},
                    {"log": HASH.hex(), "size": str(2**40), "receipt": RECEIPT},
                ],
                "roster": 1,
            },
            answer(held(), held(HASH, 2**40, receipt=text(RECEIPT))),
        ),
        _taken("announcement_answer", "nothing held", {"held": [], "roster": 1}, answer()),
    ]


def _good_comparisons_and_ranges() -> list[Case]:
    return [
        _taken("comparison", "a vector", {"vector": HASH.hex(), "roster": 1}, comparison()),
        _taken(
            "comparison_answer",
            "vectors that are equal",
            _told(None),
            fields(roster=integer(1)),
        ),
        _taken(
            "comparison_answer",
            "a node that holds nothing yet",
            _told([]),
            announcement(),
        ),
        _taken(
            "comparison_answer",
            "a head with its receipt",
            _told([_shown_head(receipt=RECEIPT)]),
            announcement(head(receipt=text(RECEIPT))),
        ),
        _taken(
            "range",
            "statements and a proof",
            {
                "from": "256",
                "statements": [_hex(OPENED), _hex(ERASED)],
                "proof": [HASH.hex(), LOG.hex()],
            },
            statement_range(statement(OPENED), statement(ERASED), proof=(HASH, LOG)),
        ),
        _taken(
            "range",
            "the end of a log, which needs no proof",
            {"from": "0", "statements": [_hex(WITHDRAWN)], "proof": []},
            statement_range(statement(WITHDRAWN), start=0),
        ),
    ]


def hashes(
    bundles: bytes = HASH,
    leaves: bytes = b"",
    start: int = 0,
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    whole: Mapping[str, bytes] = {
        "bundles": binary(bundles),
        "from": integer(start),
        "leaves": binary(leaves),
        **(more or {}),
    }
    return mapping([(text(name), value) for name, value in sorted(whole.items())])


def _good_hashes() -> list[Case]:
    told: Json = {"from": "2", "bundles": [HASH.hex(), LOG.hex()], "leaves": [LOG.hex()]}
    none: Json = {"from": "0", "bundles": [], "leaves": [LOG.hex()]}
    return [
        _taken("hashes", "two bundles and a leaf", told, hashes(HASH + LOG, LOG, 2)),
        _taken("hashes", "a log below one bundle", none, hashes(b"", LOG)),
    ]


def _bad_hashes() -> list[Case]:
    wrong = {
        "a hash of 31 bytes": hashes(HASH[1:]),
        "16,385 bundles": hashes(HASH * 16_385),
        "256 leaves": hashes(HASH, HASH * 256),
        "a bundle over 2^32": hashes(start=2**32 + 1),
        "a start that is true": hashes(more={"from": TRUE}),
        "bundles as a list": hashes(more={"bundles": array([binary(HASH)])}),
        "no leaves": fields(bundles=binary(HASH)),
        "an unknown field": hashes(more={"size": integer(1)}),
    }
    return [_left("hashes", desc, raw) for desc, raw in wrong.items()]


def _taken(op: str, desc: str, gives: Json, raw: bytes) -> Case:
    return accepted(op, f"{op.replace('_', ' ')}: {desc}", gives, message_hex=raw.hex())


def _left(op: str, desc: str, raw: bytes, error: type[FederationError] = MessageMalformed) -> Case:
    return refused(op, f"{op.replace('_', ' ')}: {desc}", error, message_hex=raw.hex())


SMALL = statement([b"h", bytes(32)])
NOT_STATEMENTS = {
    "a statement that is a map": fields(note=binary(b"")),
    "a statement of one part": statement([CONFIRM]),
    "a statement of four parts": statement([*OPENED, b"more"]),
    "a statement without a header": statement([b"", SALT, REASON]),
    "a statement whose header is text": array([text("h"), binary(HASH)]),
    "a statement with a salt of 15 bytes": statement([CONFIRM, SALT[1:], REASON]),
    "a statement without a body": statement([CONFIRM, SALT, b""]),
    "an erased statement with a commitment of 31 bytes": statement([CONFIRM, HASH[1:]]),
}


def _bad_announcements() -> list[Case]:
    large = statement([CONFIRM, SALT, bytes(8_192)])
    keyed = mapping([(text("roster"), integer(1)), (text("heads"), array([]))])
    announcements = {
        "nothing": b"",
        "a list": array([]),
        "no roster version": fields(heads=array([])),
        "no heads": fields(roster=integer(1)),
        "an unknown field": fields(heads=array([]), roster=integer(1), why=TRUE),
        "fields out of order": keyed,
        "a byte after it": announcement() + b"\0",
        "a roster version over its limit": announcement(roster=integer(1_025)),
        "a roster version in a longer form": announcement(roster=integer(1, 2)),
        "a roster version that is true": announcement(roster=TRUE),
        "a head that is a list": announcement(array([])),
        "a head without its note": announcement(fields(receipt=text(RECEIPT))),
        "a head with an unknown field": announcement(head(size=integer(1))),
        "a note that is text": announcement(fields(note=text("note"))),
        "an inline that is empty": announcement(head(inline=array([]))),
        "65 statements inline": announcement(head(inline=array([SMALL] * 65))),
        "a statement inline that is too large for it": announcement(head(inline=array([large]))),
        "a receipt in bytes": announcement(head(receipt=binary(b"receipt"))),
    }
    return [
        *[_left("announcement", desc, raw) for desc, raw in announcements.items()],
        *[
            _left("announcement", f"inline, {desc}", announcement(head(inline=array([raw]))))
            for desc, raw in NOT_STATEMENTS.items()
        ],
    ]


def _bad_answers_and_ranges() -> list[Case]:
    answers = {
        "a log of 31 bytes": answer(held(LOG[1:])),
        "a log named by its origin": answer(fields(log=text("o"), size=integer(1))),
        "a size over 2^40": answer(held(size=2**40 + 1)),
        "a size that is true": answer(fields(log=binary(LOG), size=TRUE)),
        "no size": answer(fields(log=binary(LOG))),
        "an unknown field in a log": answer(held(root=binary(HASH))),
    }
    ranges = {
        "no statement": statement_range(),
        "1,025 statements": statement_range(*[SMALL] * 1_025),
        "a start over 2^40": statement_range(SMALL, start=2**40 + 1),
        "64 hashes": statement_range(SMALL, proof=[HASH] * 64),
        "a hash of 31 bytes": statement_range(SMALL, proof=[HASH[1:]]),
        "an unknown field": statement_range(SMALL, size=integer(1)),
    }
    return [
        *[_left("announcement_answer", desc, raw) for desc, raw in answers.items()],
        _left("comparison", "a vector of 31 bytes", comparison(HASH[1:])),
        _left("comparison", "no vector", fields(roster=integer(1))),
        _left("comparison_answer", "heads that are true", fields(heads=TRUE, roster=integer(1))),
        _left("comparison_answer", "no roster version", fields(heads=array([]))),
        *[_left("range", desc, raw) for desc, raw in ranges.items()],
        *[_left("range", desc, statement_range(raw)) for desc, raw in NOT_STATEMENTS.items()],
    ]


def cases() -> list[Case]:
    """All cases."""
    return [
        *_good_announcements(),
        *_good_comparisons_and_ranges(),
        *_good_evidence(),
        *_good_hashes(),
        *_bad_hashes(),
        *_good_calls(),
        *_bad_calls(),
        *_bad_announcements(),
        *_bad_answers_and_ranges(),
        *_bad_evidence(),
    ]
