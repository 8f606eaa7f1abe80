"""Vectors of docs/spec/proofs.md: the text of a tlog-proof, not judged."""

from __future__ import annotations

from collections.abc import Iterator

from federation.errors import ProofMalformed
from federation.protocol.proofs import TlogProof, format_tlog_proof
from federation.protocol.texts import format_base64
from tests.vectors.cases import Case, Json, accepted, as_input, refused
from tests.vectors.make_checkpoints import COSIGNED, NOTE

HEADER = "c2sp.org/tlog-proof@v1"
DIGEST = bytes(range(32))
LINE = format_base64(DIGEST)
GOOD = TlogProof(2, (DIGEST, DIGEST), b"salt", COSIGNED)


def good_proofs() -> Iterator[Case]:
    chosen = (
        ("one with everything", GOOD),
        ("without an extra", TlogProof(2, (DIGEST,), None, NOTE)),
        ("of the only entry", TlogProof(0, (), None, NOTE)),
        ("of the only entry, with an extra", TlogProof(0, (), b"\0", NOTE)),
        ("with 63 hashes", TlogProof((1 << 63) - 1, (DIGEST,) * 63, None, NOTE)),
        # The note is judged by those who open it; here it is bytes.
        ("a checkpoint that is none", TlogProof(0, (), None, b"\xffnone\n\n")),
    )
    for desc, proof in chosen:
        gives: dict[str, Json] = {
            "index": str(proof.index),
            "proof_hex": [digest.hex() for digest in proof.hashes],
            "extra_hex": None if proof.extra is None else proof.extra.hex(),
            "note_hex": proof.checkpoint_note.hex(),
        }
        raw = format_tlog_proof(proof)
        yield accepted("tlog_proof", f"proof: {desc}", gives, **as_input("proof", raw))


def bad_proofs() -> Iterator[Case]:
    note = NOTE.decode()
    whole = format_tlog_proof(GOOD).decode()
    chosen = (
        ("nothing", ""),
        ("the header alone", f"{HEADER}\n"),
        ("a checkpoint alone", note),
        ("version 2", whole.replace("@v1", "@v2")),
        ("a space after the header", whole.replace("@v1\n", "@v1 \n")),
        ("a byte order mark", f"\ufeff{whole}"),
        ("an empty line before", f"\n{whole}"),
        ("Windows newlines", whole.replace("\n", "\r\n")),
        ("no index", f"{HEADER}\n\n{note}"),
        ("an extra and no index", f"{HEADER}\nextra AA==\n\n{note}"),
        ("an index without a number", f"{HEADER}\nindex \n\n{note}"),
        ("an index that is no number", f"{HEADER}\nindex two\n\n{note}"),
        ("an index with a leading zero", f"{HEADER}\nindex 02\n\n{note}"),
        ("a negative index", f"{HEADER}\nindex -2\n\n{note}"),
        ("an index of 2^63", f"{HEADER}\nindex {1 << 63}\n\n{note}"),
        ("two spaces before the index", f"{HEADER}\nindex  2\n\n{note}"),
        ("an index twice", f"{HEADER}\nindex 2\nindex 2\n\n{note}"),
        ("an extra after the index", f"{HEADER}\nindex 2\nextra AA==\n\n{note}"),
        ("an extra twice", f"{HEADER}\nextra AA==\nextra AA==\nindex 2\n\n{note}"),
        ("an empty extra", f"{HEADER}\nextra \nindex 2\n\n{note}"),
        ("an extra without a space", f"{HEADER}\nextra\nindex 2\n\n{note}"),
        ("an extra that is not base64", f"{HEADER}\nextra !!!!\nindex 2\n\n{note}"),
        ("an extra with spare bits set", f"{HEADER}\nextra AB==\nindex 2\n\n{note}"),
        ("an unknown line", f"{HEADER}\nother AA==\nindex 2\n\n{note}"),
        ("a hash of 31 bytes", f"{HEADER}\nindex 2\n{format_base64(DIGEST[1:])}\n\n{note}"),
        ("a hash of 33 bytes", f"{HEADER}\nindex 2\n{format_base64(DIGEST + b'0')}\n\n{note}"),
        ("a hash with spare bits set", f"{HEADER}\nindex 2\n{LINE[:-2]}9=\n\n{note}"),
        ("a hash in hex", f"{HEADER}\nindex 2\n{DIGEST.hex()}\n\n{note}"),
        ("a hash with a space", f"{HEADER}\nindex 2\n{LINE} \n\n{note}"),
        ("64 hashes", f"{HEADER}\nindex 2\n" + f"{LINE}\n" * 64 + f"\n{note}"),
        ("no empty line", f"{HEADER}\nindex 2\n{LINE}\n"),
        ("no checkpoint", f"{HEADER}\nindex 2\n{LINE}\n\n"),
        ("letters beyond ASCII", f"{HEADER}\nindex 2\n\u2014\n\n{note}"),
    )
    for desc, text in chosen:
        inputs = as_input("proof", text.encode())
        yield refused("tlog_proof", f"proof: {desc}", ProofMalformed, **inputs)
    broken = f"{HEADER}\nindex 2\n".encode() + b"\xff\n\n" + NOTE
    yield refused("tlog_proof", "proof: not UTF-8", ProofMalformed, **as_input("proof", broken))


def cases() -> list[Case]:
    """All of them, in order."""
    return [*good_proofs(), *bad_proofs()]
