"""Vectors of docs/spec/evidence.md: files, the roots they are judged by, and the step that fails.

Every case has what an auditor has: ``evidence``, the file; ``roots``, ``1.root.json`` and any later
ones at hand. A case to refuse names the ``step`` of the page. Keys are made from their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from federation.errors import FederationError, LogUnknown, RosterUnproven, TooLarge, WrongFederation
from federation.local_errors.proofs import EvidenceMalformed, EvidenceUnproven
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.evidence import Prefix, encode_evidence, evidence_id, make_evidence
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.texts import format_base64
from tests.builders import (
    ACME,
    FEDERATION_ID,
    NOVA,
    MadeLog,
    forge_root,
    make_key,
    make_log,
    make_roster,
    make_statement,
)
from tests.vectors.cases import Case, Json, accepted, as_input, refused

FOUNDED = make_roster()
FIRST = FOUNDED.chain.versions[0]
LOG = LogId(ACME, FOUNDED.roster.federation_id, Lane.LIVE)
KEY = FOUNDED.companies[ACME].keys[Lane.LIVE]


def _branch(shared: int, count: int, salt: int) -> MadeLog:
    """A log of so many statements; those from ``shared`` on are another branch's."""
    made = make_log(0, founded=FOUNDED)
    for index in range(count):
        number = index if index < shared else 1_000 * salt + index
        made.say(make_statement(number, federation_id=FOUNDED.roster.federation_id))
    return made


ONE, OTHER = _branch(2, 8, 1), _branch(2, 8, 2)


def prefix_of(made: MadeLog, size: int, later: int) -> Prefix:
    """What the branch's head of the later size says of the earlier one."""
    node = _branch_node(made, later)
    root = CompactRange().extend(made.leaves[:size]).root()
    return Prefix(root, tuple(consistency_proof(size, later, node)))


def _branch_node(made: MadeLog, size: int) -> Any:
    leaves = made.leaves[:size]
    return lambda level, index: (
        CompactRange().extend(leaves[index << level : (index + 1) << level]).root()
    )


def two_sizes(size: int, later: int) -> bytes:
    """Evidence of two sizes: the first of one branch, the second of the other."""
    prefix = prefix_of(OTHER, size, later)
    return encode_evidence(make_evidence(ONE.head(size).note, OTHER.head(later).note, prefix))


def one_size(size: int) -> bytes:
    """Evidence of one size."""
    return encode_evidence(make_evidence(ONE.head(size).note, OTHER.head(size).note))


def signed(size: int, root: bytes, key: SigningKey = KEY, log: LogId = LOG) -> bytes:
    """A checkpoint signed by any key, under that key's name."""
    return sign_checkpoint(Checkpoint(log.origin, size, root), key)


def file_of(**changes: Any) -> bytes:
    """The two-size example with other fields, written in the only form."""
    fields = json.loads(two_sizes(3, 7)) | changes
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def case_inputs(encoded: bytes, roots: tuple[bytes, ...] = (FIRST,)) -> dict[str, Json]:
    """What an auditor has."""
    return as_input("evidence", encoded) | {"roots": [root.decode() for root in roots]}


def right(desc: str, encoded: bytes, roots: tuple[bytes, ...] = (FIRST,)) -> Case:
    """Evidence that convicts."""
    vkey = VerifierKey(LOG.origin, KeyType.ED25519, KEY.public)
    gives: Json = {
        "origin": LOG.origin,
        "member": ACME,
        "key_id_hex": vkey.key_id.hex(),
        "id_hex": evidence_id(encoded).hex(),
    }
    return accepted("evidence", desc, gives, **case_inputs(encoded, roots))


def wrong(
    desc: str,
    step: int,
    error: type[FederationError],
    encoded: bytes,
    roots: tuple[bytes, ...] = (FIRST,),
) -> Case:
    """A file that convicts nobody."""
    return refused("evidence", desc, error, step=step, **case_inputs(encoded, roots))


def cases() -> Iterator[Case]:
    """All cases."""
    yield right("two roots of one size", one_size(5))
    yield right("two roots of size 3, the first after the fork", one_size(3))
    yield right("sizes 3 and 7 of two branches", two_sizes(3, 7))
    yield right(
        "sizes 4 and 7: a power of two, whose root the proof does not hold", two_sizes(4, 7)
    )
    yield right("sizes 4 and 8: both powers of two", two_sizes(4, 8))
    yield right("sizes 7 and 8: neighbours", two_sizes(7, 8))
    yield right("by a key that was replaced since", *_by_replaced_key())
    yield from _malformed()
    yield from _unproven()


def _by_replaced_key() -> tuple[bytes, tuple[bytes, ...]]:
    def replace_key(facts: dict[str, Any]) -> None:
        (acme,) = (m for m in facts["members"] if m["name"] == ACME)
        (live,) = (log for log in acme["logs"] if log["lane"] == "live")
        live["keys"].append(
            {
                "public": format_base64(make_key("acme.example/live/next").public),
                "start": {"root": format_base64(ONE.head(2).root_hash), "size": 2},
            }
        )

    return one_size(5), (FIRST, _second_root(replace_key))


def _second_root(change: Any) -> bytes:
    """Version 2 of the roster with its facts changed."""

    def forge(signed_part: dict[str, Any]) -> None:
        signed_part["version"] = 2
        facts = signed_part["x-hash-federation"]
        facts["federation_id"] = FOUNDED.roster.federation_id
        change(facts)

    root = forge_root(FIRST, forge, FOUNDED.governors)
    RosterChain.trust(FIRST).extend(root)
    return root


def _malformed() -> Iterator[Case]:
    good = two_sizes(3, 7)
    head_3, head_7 = ONE.head(3).note.decode(), OTHER.head(7).note.decode()
    bad = EvidenceMalformed
    yield wrong("nothing", 1, bad, b"")
    yield wrong("no JSON", 1, bad, b"evidence\n")
    yield wrong("a list", 1, bad, b"[]\n")
    yield wrong("not UTF-8", 1, bad, b"\xff" + good)
    yield wrong("no line feed at the end", 1, bad, good[:-1])
    yield wrong("two line feeds at the end", 1, bad, good + b"\n")
    yield wrong("a space", 1, bad, good.replace(b",", b", ", 1))
    yield wrong("nested deeper than any reader goes", 1, bad, b"[" * 8_000)
    yield wrong("over its limit", 1, TooLarge, good + b" " * 8_192)
    yield wrong("a field that nobody checks", 1, bad, file_of(comment="I saw it"))
    yield wrong("another format", 1, bad, file_of(format="hash-federation/evidence/v2"))
    yield wrong("a note that is a number", 1, bad, file_of(first=3))
    yield wrong(
        "half of a surrogate pair",
        1,
        bad,
        file_of(first="FIRST").replace(b"FIRST", b"\\ud800"),
    )
    yield wrong("a note without its final line feed", 1, bad, file_of(first=head_3[:-1]))
    yield wrong(
        "a note that is no checkpoint", 1, bad, file_of(first=head_3.replace("\n3\n", "\n03\n"))
    )
    yield wrong("an extension line", 1, bad, file_of(first=head_3.replace("=\n\n", "=\nmore\n\n")))
    mirror = ONE.receipt(NOVA, size=3).line
    yield wrong("a note with a cosignature too", 1, bad, file_of(first=f"{head_3}{mirror}\n"))
    yield wrong("the larger one first", 1, bad, file_of(first=head_7, second=head_3))
    same = json.loads(one_size(5))
    yield wrong(
        "of one size, the larger root first",
        1,
        bad,
        file_of(first=same["second"], second=same["first"], prefix=None),
    )
    yield wrong("one head twice", 1, bad, file_of(first=head_3, second=head_3, prefix=None))
    other_log = LogId(ACME, LOG.federation_id, Lane.CRISIS)
    crisis = signed(7, bytes(32), FOUNDED.companies[ACME].keys[Lane.CRISIS], other_log).decode()
    yield wrong("heads of two logs", 1, bad, file_of(second=crisis))
    empty = signed(0, CompactRange().root()).decode()
    yield wrong(
        "the empty tree",
        1,
        bad,
        file_of(first=empty, prefix={"hashes": [], "root": format_base64(CompactRange().root())}),
    )
    yield wrong("two sizes and no prefix", 1, bad, file_of(prefix=None))
    yield wrong(
        "one size and a prefix", 1, bad, file_of(**{k: same[k] for k in ("first", "second")})
    )
    yield from _malformed_prefixes(good)


def _malformed_prefixes(good: bytes) -> Iterator[Case]:
    bad = EvidenceMalformed
    prefix = json.loads(good)["prefix"]
    short = format_base64(bytes(31))
    yield wrong("a prefix that is a list", 1, bad, file_of(prefix=[]))
    yield wrong("a prefix without its root", 1, bad, file_of(prefix={"hashes": []}))
    yield wrong("a root of 31 bytes", 1, bad, file_of(prefix=prefix | {"root": short}))
    yield wrong("a hash of 31 bytes", 1, bad, file_of(prefix=prefix | {"hashes": [short]}))
    yield wrong(
        "base64 without padding", 1, bad, file_of(prefix=prefix | {"root": prefix["root"][:-1]})
    )
    # 32 bytes leave two spare bits in the last letter of base64.
    spare = prefix["root"][:-2] + chr(ord(prefix["root"][-2]) + 1) + "="
    yield wrong("base64 with spare bits set", 1, bad, file_of(prefix=prefix | {"root": spare}))
    many = [format_base64(bytes(32))] * 64
    yield wrong("64 hashes", 1, bad, file_of(prefix=prefix | {"hashes": many}))


def _unproven() -> Iterator[Case]:
    none = EvidenceUnproven
    yield wrong("a roster of other governors", 2, RosterUnproven, one_size(5), (FIRST, _rival()))
    head_3, head_5, head_7 = (
        made.head(size).note for made, size in ((ONE, 3), (ONE, 5), (OTHER, 7))
    )
    honest = prefix_of(ONE, 3, 7)
    yield wrong(
        "an honest log: the larger begins with the smaller",
        5,
        none,
        encode_evidence(make_evidence(head_3, ONE.head(7).note, honest)),
    )
    invented = Prefix(bytes(32), honest.hashes)
    yield wrong(
        "an honest log with an invented beginning",
        5,
        none,
        encode_evidence(make_evidence(head_3, ONE.head(7).note, invented)),
    )
    right_prefix = prefix_of(OTHER, 3, 7)
    for desc, prefix in (
        ("a proof that is too short", Prefix(right_prefix.root_hash, right_prefix.hashes[:-1])),
        (
            "a proof that is too long",
            Prefix(right_prefix.root_hash, (*right_prefix.hashes, bytes(32))),
        ),
        ("a proof from another branch", Prefix(right_prefix.root_hash, honest.hashes)),
        ("no proof", Prefix(right_prefix.root_hash, ())),
    ):
        yield wrong(desc, 5, none, encode_evidence(make_evidence(head_3, head_7, prefix)))
    thief = make_key("a stranger")
    stranger = (signed(5, ONE.head(5).root_hash, thief), signed(5, OTHER.head(5).root_hash, thief))
    yield wrong(
        "two heads by a key that the roster never held",
        4,
        none,
        encode_evidence(make_evidence(*stranger)),
    )
    yield wrong(
        "one head by the log's key, the other by a stranger's",
        4,
        none,
        encode_evidence(make_evidence(head_5, stranger[1])),
    )
    forged = json.loads(one_size(5))
    text = forged["second"].split("\n\n")[0]
    wrong_line = forged["first"].split("\n\n")[1]
    yield wrong(
        "a signature of the log's key on another text",
        4,
        none,
        file_of(first=forged["first"], second=f"{text}\n\n{wrong_line}", prefix=None),
    )
    yield wrong("two keys of one log, a head each", 4, none, *_by_two_keys())
    elsewhere = LogId(ACME, FEDERATION_ID, Lane.LIVE)
    nobody = LogId("nobody.example", LOG.federation_id, Lane.LIVE)
    yield wrong("another federation's log", 3, WrongFederation, _two_roots(elsewhere.origin))
    yield wrong("a member that the roster does not hold", 3, LogUnknown, _two_roots(nobody.origin))
    yield wrong("a log of no federation", 3, WrongFederation, _two_roots("example.org/log"))


def _two_roots(origin: str) -> bytes:
    one, other = (sign_checkpoint(Checkpoint(origin, 5, bytes([n] * 32)), KEY) for n in (1, 2))
    return encode_evidence(make_evidence(one, other))


def _rival() -> bytes:
    """A version 2 that nobody of version 1 signed."""

    def forge(signed_part: dict[str, Any]) -> None:
        signed_part["version"] = 2
        signed_part["x-hash-federation"]["federation_id"] = FOUNDED.roster.federation_id

    return forge_root(FIRST, forge, [make_key("a stranger")])


def _by_two_keys() -> tuple[bytes, tuple[bytes, ...]]:
    _, roots = _by_replaced_key()
    following = make_key("acme.example/live/next")
    heads = ONE.head(5).note, signed(5, OTHER.head(5).root_hash, following)
    return encode_evidence(make_evidence(*heads)), roots
