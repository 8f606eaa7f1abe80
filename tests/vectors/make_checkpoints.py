"""Vectors of docs/spec/checkpoints.md: checkpoints, their log's signature, and cosignatures."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

from federation.errors import CheckpointMalformed, KeyMalformed, NoteMalformed, SignatureInvalid
from federation.protocol.checkpoints import Checkpoint, subtree_message
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.notes import (
    Note,
    NoteSignature,
    format_note,
    format_signature_line,
    parse_note,
)
from federation.protocol.notes_writing import add_signatures
from federation.protocol.texts import format_base64
from tests.vectors.cases import Case, Json, accepted, refused
from tests.vectors.make_keys import (
    FEDERATION_ID,
    LOG_KEY,
    LOG_VKEY,
    MLDSA_VKEY,
    ORIGIN,
    WITNESS,
    WITNESS_KEY,
    WITNESS_VKEY,
)

AT_SECONDS = 1_795_000_000
ROOT = bytes(range(32))
CHECKPOINT = Checkpoint(ORIGIN, 3, ROOT)
EMPTY = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
NOTE = sign_checkpoint(CHECKPOINT, LOG_KEY)
COSIGNATURE = cosign(CHECKPOINT.text, WITNESS, WITNESS_KEY, AT_SECONDS)
COSIGNED = add_signatures(NOTE, [COSIGNATURE])

# Signing with ML-DSA-44 is randomised, so these two were made once, with make_keys.MLDSA_SEED, over
# the message that subtree_message gives: the first line with AT_SECONDS, the second with time 0.
MLDSA_SIGNATURES = [
    b64decode(line)
    for line in Path(__file__).with_name("mldsa44_signatures.txt").read_text().splitlines()
]


def mldsa_line(at_seconds: int, signature: bytes) -> NoteSignature:
    """A type 06 line over CHECKPOINT."""
    stamped = at_seconds.to_bytes(8, "big") + signature
    return NoteSignature(MLDSA_VKEY.name, MLDSA_VKEY.key_id, stamped)


MLDSA_COSIGNATURE = mldsa_line(AT_SECONDS, MLDSA_SIGNATURES[0])


def checkpoint_gives(checkpoint: Checkpoint) -> Json:
    """What reading a checkpoint gives."""
    return {
        "origin": checkpoint.origin,
        "size": str(checkpoint.size),
        "root_hash_hex": checkpoint.root_hash.hex(),
    }


def texts() -> Iterator[Case]:
    root = format_base64(ROOT)
    chosen = (
        ("a small one", CHECKPOINT),
        ("of no entries", EMPTY),
        ("of one entry", Checkpoint(ORIGIN, 1, ROOT)),
        ("of 2^63 - 1 entries", Checkpoint(ORIGIN, (1 << 63) - 1, ROOT)),
        ("a foreign origin with spaces", Checkpoint("go.sum database tree", 9, ROOT)),
        ("an origin of 255 bytes", Checkpoint("o" * 255, 9, ROOT)),
    )
    for desc, checkpoint in chosen:
        gives = checkpoint_gives(checkpoint)
        yield accepted("checkpoint", f"checkpoint: {desc}", gives, text=checkpoint.text)
    bad = (
        ("nothing", ""),
        ("two lines", f"{ORIGIN}\n3\n"),
        ("no final newline", f"{ORIGIN}\n3\n{root}"),
        ("an empty line at the end", f"{ORIGIN}\n3\n{root}\n\n"),
        ("an extension line", f"{ORIGIN}\n3\n{root}\nextension\n"),
        ("no origin", f"\n3\n{root}\n"),
        ("an origin of 256 bytes", f"{'o' * 256}\n3\n{root}\n"),
        ("a control character in the origin", f"acme\x01\n3\n{root}\n"),
        ("half of a surrogate pair in the origin", f"acme\ud83d\n3\n{root}\n"),
        ("no size", f"{ORIGIN}\n\n{root}\n"),
        ("a size with a leading zero", f"{ORIGIN}\n03\n{root}\n"),
        ("a negative size", f"{ORIGIN}\n-3\n{root}\n"),
        ("a size with a space", f"{ORIGIN}\n3 \n{root}\n"),
        ("a size that is no number", f"{ORIGIN}\nthree\n{root}\n"),
        ("a size of 2^63", f"{ORIGIN}\n{1 << 63}\n{root}\n"),
        ("a size of 2^64 + 3", f"{ORIGIN}\n{(1 << 64) + 3}\n{root}\n"),
        ("no root", f"{ORIGIN}\n3\n\n"),
        ("a root of 31 bytes", f"{ORIGIN}\n3\n{format_base64(ROOT[:31])}\n"),
        ("a root of 33 bytes", f"{ORIGIN}\n3\n{format_base64(ROOT + b'0')}\n"),
        ("a root with spare bits set", f"{ORIGIN}\n3\n{root[:-2]}9=\n"),
        ("a root without padding", f"{ORIGIN}\n3\n{root[:-1]}\n"),
        ("a root in hex", f"{ORIGIN}\n3\n{ROOT.hex()}\n"),
        ("another root of no entries", f"{ORIGIN}\n0\n{root}\n"),
        ("Windows newlines", f"{ORIGIN}\r\n3\r\n{root}\r\n"),
        ("a byte order mark and a second origin line", f"\ufeff\n{ORIGIN}\n3\n{root}\n"),
    )
    for desc, text in bad:
        yield refused("checkpoint", f"checkpoint: {desc}", CheckpointMalformed, text=text)


def opened() -> Iterator[Case]:
    unknown = NoteSignature(ORIGIN, b"\0\0\0\0", b"another key of this name")
    namesake = NoteSignature("dorado.example", LOG_VKEY.key_id, b"another name with this id")
    chosen = (
        ("signed", NOTE, CHECKPOINT),
        ("signed and cosigned", COSIGNED, CHECKPOINT),
        ("of no entries", sign_checkpoint(EMPTY, LOG_KEY), EMPTY),
        ("with lines by unknown keys", add_signatures(NOTE, [unknown, namesake]), CHECKPOINT),
        (
            "with the log's line last",
            format_note(Note(CHECKPOINT.text, (unknown, *parse_note(NOTE).signatures))),
            CHECKPOINT,
        ),
        # Cosignatures are another question: one that is wrong does not spoil the log's own word.
        (
            "with a wrong cosignature",
            add_signatures(NOTE, [NoteSignature(*COSIGNATURE.signer, b"x" * 72)]),
            CHECKPOINT,
        ),
    )
    for desc, note, checkpoint in chosen:
        wording = f"open: {desc}"
        yield accepted("open_checkpoint", wording, checkpoint_gives(checkpoint), **asked(note))


def refused_notes() -> Iterator[Case]:
    (line,) = parse_note(NOTE).signatures
    foreign = Checkpoint(f"dorado.example/{FEDERATION_ID}/live", 3, ROOT)
    flipped = bytes([line.signature[0] ^ 1]) + line.signature[1:]
    longer = Note(CHECKPOINT.text + "extension\n", (signed_as(LOG_VKEY, "extension\n"),))
    larger = Checkpoint(ORIGIN, 4, ROOT)
    unproven = (
        ("a bit of the signature flipped", under(CHECKPOINT, flipped)),
        ("a short signature", under(CHECKPOINT, line.signature[:63])),
        ("a long signature", under(CHECKPOINT, line.signature + b"\0")),
        ("the size changed", under(larger, line.signature)),
        ("only a cosigner's line", format_note(Note(CHECKPOINT.text, (COSIGNATURE,)))),
        ("signed by another key", sign_checkpoint(CHECKPOINT, WITNESS_KEY)),
        ("another log's checkpoint", sign_checkpoint(foreign, LOG_KEY)),
        ("this log's key under another log's origin", under(foreign, LOG_KEY.sign(b"x"))),
        (
            "another log's checkpoint with this log's line",
            format_note(Note(foreign.text, (signed_as(LOG_VKEY, text=foreign.text),))),
        ),
        (
            "the right key under another name",
            format_note(
                Note(CHECKPOINT.text, (signed_as(VerifierKey("other", *typed(LOG_VKEY))),))
            ),
        ),
        (
            "a cosignature in the log's name",
            add_signatures(
                format_note(Note(CHECKPOINT.text, (COSIGNATURE,))),
                [cosign(CHECKPOINT.text, ORIGIN, LOG_KEY, AT_SECONDS)],
            ),
        ),
    )
    for desc, note in unproven:
        yield refused("open_checkpoint", f"open: {desc}", SignatureInvalid, **asked(note))
    yield refused(
        "open_checkpoint",
        "open: an extension line",
        CheckpointMalformed,
        **asked(format_note(longer)),
    )
    for desc, note in (
        ("no final newline", NOTE[:-1]),
        ("the log's line twice", NOTE + format_signature_line(line).encode()),
        ("base64 without padding", NOTE.replace(b"=\n", b"\n")),
    ):
        yield refused("open_checkpoint", f"open: {desc}", NoteMalformed, **asked(note))
    cosigner: dict[str, Json] = {"note": NOTE.decode(), "vkey": WITNESS_VKEY.format()}
    yield refused("open_checkpoint", "open: with a cosigner's key", KeyMalformed, **cosigner)


def under(checkpoint: Checkpoint, signature: bytes) -> bytes:
    """A note of that checkpoint with that signature in the log's line."""
    return format_note(Note(checkpoint.text, (NoteSignature(*LOG_VKEY_SIGNER, signature),)))


def signed_as(vkey: VerifierKey, extension: str = "", *, text: str = "") -> NoteSignature:
    """The log's signature over a text, in a line that names that key."""
    signature = LOG_KEY.sign(((text or CHECKPOINT.text) + extension).encode())
    return NoteSignature(vkey.name, vkey.key_id, signature)


def typed(vkey: VerifierKey) -> tuple[KeyType, bytes]:
    """A verifier key without its name."""
    return vkey.type, vkey.public


LOG_VKEY_SIGNER = (LOG_VKEY.name, LOG_VKEY.key_id)


def asked(note: bytes) -> dict[str, Json]:
    """The inputs of opening a checkpoint with the log's key."""
    return {"note": note.decode(), "vkey": LOG_VKEY.format()}


def cosignatures() -> Iterator[Case]:
    mirror = f"borealis.example/{FEDERATION_ID}/mirror"
    mirror_key = SigningKey.from_seed(bytes([0x44]) * 32)
    mirror_vkey = VerifierKey(mirror, KeyType.COSIGNATURE_ED25519, mirror_key.public)
    receipt = cosign(EMPTY.text, mirror, mirror_key, 0)
    late = cosign(CHECKPOINT.text, WITNESS, WITNESS_KEY, (1 << 63) - 1)
    good = (
        ("a witness's", CHECKPOINT, COSIGNATURE, WITNESS_VKEY, AT_SECONDS),
        ("a mirror's, at second 0", EMPTY, receipt, mirror_vkey, 0),
        ("at second 2^63 - 1", CHECKPOINT, late, WITNESS_VKEY, (1 << 63) - 1),
    )
    for desc, checkpoint, line, vkey, at_seconds in good:
        wording = f"cosignature: {desc}"
        inputs = line_inputs(checkpoint, line, vkey)
        yield accepted("open_cosignature", wording, str(at_seconds), **inputs)
    stamp, signature = COSIGNATURE.signature[:8], COSIGNATURE.signature[8:]
    plain = WITNESS_KEY.sign(CHECKPOINT.text.encode())
    later = (AT_SECONDS + 1).to_bytes(8, "big")
    huge = 1 << 63
    outside = WITNESS_KEY.sign(f"cosignature/v1\ntime {huge}\n{CHECKPOINT.text}".encode())
    bad = (
        ("of another checkpoint", cosign(EMPTY.text, WITNESS, WITNESS_KEY, AT_SECONDS)),
        ("by another key", cosign(CHECKPOINT.text, WITNESS, mirror_key, AT_SECONDS)),
        ("under another name", cosign(CHECKPOINT.text, mirror, WITNESS_KEY, AT_SECONDS)),
        ("another time", as_witness(later + signature)),
        ("a signature over the text alone", as_witness(stamp + plain)),
        ("without a time", as_witness(signature)),
        ("a byte too few", as_witness(stamp + signature[:-1])),
        ("a byte too many", as_witness(stamp + signature + b"\0")),
        ("a time of 2^63", as_witness(huge.to_bytes(8, "big") + outside)),
    )
    for desc, line in bad:
        wording = f"cosignature: {desc}"
        inputs = line_inputs(CHECKPOINT, line, WITNESS_VKEY)
        yield refused("open_cosignature", wording, SignatureInvalid, **inputs)
    for desc, vkey in (("a log's key", LOG_VKEY), ("an ML-DSA-44 key", MLDSA_VKEY)):
        wording = f"cosignature: with {desc}"
        inputs = line_inputs(CHECKPOINT, COSIGNATURE, vkey)
        yield refused("open_cosignature", wording, KeyMalformed, **inputs)


def mldsa_cosignatures() -> Iterator[Case]:
    timeless = mldsa_line(0, MLDSA_SIGNATURES[1])
    good = (("with a time", MLDSA_COSIGNATURE, str(AT_SECONDS)), ("timeless", timeless, None))
    for desc, line, at_seconds in good:
        wording = f"ML-DSA-44: {desc}"
        inputs = line_inputs(CHECKPOINT, line, MLDSA_VKEY)
        yield accepted("open_mldsa_cosignature", wording, at_seconds, **inputs)
    message = subtree_message(CHECKPOINT, MLDSA_VKEY.name, AT_SECONDS).hex()
    inputs = {"text": CHECKPOINT.text, "name": MLDSA_VKEY.name, "at_seconds": str(AT_SECONDS)}
    yield accepted("subtree_message", "ML-DSA-44: the signed message", message, **inputs)
    first = MLDSA_SIGNATURES[0]
    bad = (
        ("another time", CHECKPOINT, mldsa_line(AT_SECONDS + 1, first)),
        ("another checkpoint", Checkpoint(ORIGIN, 4, ROOT), MLDSA_COSIGNATURE),
        ("another origin", Checkpoint("other", 3, ROOT), MLDSA_COSIGNATURE),
        ("a bit flipped", CHECKPOINT, mldsa_line(AT_SECONDS, bytes([first[0] ^ 1]) + first[1:])),
        ("a byte too few", CHECKPOINT, mldsa_line(AT_SECONDS, first[:-1])),
        ("a byte too many", CHECKPOINT, mldsa_line(AT_SECONDS, first + b"\0")),
        ("a time of 2^63", CHECKPOINT, mldsa_line(1 << 63, first)),
        ("an Ed25519 line", CHECKPOINT, COSIGNATURE),
    )
    for desc, checkpoint, line in bad:
        wording = f"ML-DSA-44: {desc}"
        inputs = line_inputs(checkpoint, line, MLDSA_VKEY)
        yield refused("open_mldsa_cosignature", wording, SignatureInvalid, **inputs)
    renamed = VerifierKey("other", *typed(MLDSA_VKEY))
    line = NoteSignature("other", renamed.key_id, MLDSA_COSIGNATURE.signature)
    inputs = line_inputs(CHECKPOINT, line, renamed)
    wording = "ML-DSA-44: the key under another name"
    yield refused("open_mldsa_cosignature", wording, SignatureInvalid, **inputs)
    inputs = line_inputs(CHECKPOINT, COSIGNATURE, WITNESS_VKEY)
    wording = "ML-DSA-44: with an Ed25519 key"
    yield refused("open_mldsa_cosignature", wording, KeyMalformed, **inputs)


def as_witness(stamped: bytes) -> NoteSignature:
    """A line in the witness's name."""
    return NoteSignature(*COSIGNATURE.signer, stamped)


def line_inputs(checkpoint: Checkpoint, line: NoteSignature, vkey: VerifierKey) -> dict[str, Json]:
    """The inputs of opening a cosignature."""
    return {
        "text": checkpoint.text,
        "line": format_signature_line(line),
        "vkey": vkey.format(),
    }


def cases() -> list[Case]:
    """All of them, in order."""
    return [*texts(), *opened(), *refused_notes(), *cosignatures(), *mldsa_cosignatures()]
