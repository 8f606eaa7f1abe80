"""Vectors of docs/spec/keys.md: verifier keys, weak keys, signatures and seed files."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from federation.errors import KeyMalformed, KeyWeak, SignatureInvalid
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_signing import SigningKey, format_seed_text
from federation.protocol.texts import format_base64
from tests.vectors.cases import Case, Json, accepted, refused

FEDERATION_ID = "0123456789abcdef0123456789abcdef"
ORIGIN = f"acme.example/{FEDERATION_ID}/live"
WITNESS = f"borealis.example/{FEDERATION_ID}/witness"
MLDSA_WITNESS = f"cobalt.example/{FEDERATION_ID}/witness"

LOG_SEED = bytes([0x41]) * 32
WITNESS_SEED = bytes([0x42]) * 32
MLDSA_SEED = bytes([0x43]) * 32

LOG_KEY = SigningKey.from_seed(LOG_SEED)
WITNESS_KEY = SigningKey.from_seed(WITNESS_SEED)
LOG_VKEY = VerifierKey(ORIGIN, KeyType.ED25519, LOG_KEY.public)
WITNESS_VKEY = VerifierKey(WITNESS, KeyType.COSIGNATURE_ED25519, WITNESS_KEY.public)
MLDSA_VKEY = VerifierKey(
    MLDSA_WITNESS,
    KeyType.COSIGNATURE_MLDSA44,
    MLDSA44PrivateKey.from_seed_bytes(MLDSA_SEED).public_key().public_bytes_raw(),
)

# The field prime, the y of the points of order eight, and the order of the curve's large subgroup.
PRIME = 2**255 - 19
ORDER_EIGHT = (
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)
SUBGROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
SIGN_BIT = 1 << 255

LOW_ORDER = (
    ("the identity", 1),
    ("the point of order two", PRIME - 1),
    ("a point of order four", 0),
    ("a point of order eight", ORDER_EIGHT[0]),
    ("another point of order eight", ORDER_EIGHT[1]),
)


def encoded(y: int) -> bytes:
    """A curve point's encoding: y in little-endian order, the sign of x in the last bit."""
    return y.to_bytes(32, "little")


def named(name: str, key_type: int = 1, public: bytes = LOG_KEY.public) -> str:
    """A vkey text with the right key id, whatever is wrong with its parts."""
    typed = bytes([key_type]) + public
    key_id = sha256(name.encode("utf-8") + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{key_id}+{format_base64(typed)}"


def vkey_gives(vkey: VerifierKey) -> Json:
    """What reading a vkey gives."""
    return {
        "name": vkey.name,
        "type": vkey.type.value,
        "key_id_hex": vkey.key_id.hex(),
        "public_hex": vkey.public.hex(),
    }


def good_vkeys() -> Iterator[Case]:
    chosen = (
        ("a log's key", LOG_VKEY),
        ("a witness's key", WITNESS_VKEY),
        ("a witness's ML-DSA-44 key", MLDSA_VKEY),
        ("one key under another name", VerifierKey("other", KeyType.ED25519, LOG_KEY.public)),
        ("a name beyond ASCII", VerifierKey("caf\u00e9", KeyType.ED25519, LOG_KEY.public)),
        ("a name of 255 bytes", VerifierKey("n" * 255, KeyType.ED25519, LOG_KEY.public)),
    )
    for desc, vkey in chosen:
        yield accepted("vkey", f"vkey: {desc}", vkey_gives(vkey), text=vkey.format())


def bad_vkeys() -> Iterator[Case]:
    good = LOG_VKEY.format()
    name, key_id, typed = good.split("+", 2)
    chosen = (
        ("nothing", ""),
        ("one part", "acme.example"),
        ("two parts", f"{name}+{key_id}"),
        ("no name", named("")),
        ("a space in the name", named("acme example")),
        ("a no-break space in the name", named("acme\u00a0example")),
        ("an ideographic space in the name", named("acme\u3000example")),
        ("a newline in the name", named("acme\nexample")),
        ("a control character in the name", named("acme\x01example")),
        ("half of a surrogate pair in the name", f"acme\ud83d+{key_id}+{typed}"),
        ("a plus in the name", named("acme+example")),
        ("a name of 256 bytes", named("n" * 256)),
        ("a wrong key id", f"{name}+{LOG_KEY.public[:4].hex()}+{typed}"),
        ("the key id of another type", f"{name}+{named(name, 4).split('+')[1]}+{typed}"),
        ("a key id in upper case", f"{name}+{key_id.upper()}+{typed}"),
        ("a short key id", f"{name}+{key_id[1:]}+{typed}"),
        ("no key", f"{name}+{key_id}+"),
        ("base64 without padding", MLDSA_VKEY.format().rstrip("=")),
        ("base64 with padding too much", f"{good}===="),
        ("a newline at the end", good + "\n"),
        ("a space before", " " + good),
        ("type 02, ECDSA", named(name, 2)),
        ("type 05, RFC 6962", named(name, 5)),
        ("type 00", named(name, 0)),
        ("type ff", named(name, 255)),
        ("a type without a key", named(name, 1, b"")),
        ("31 bytes of Ed25519", named(name, 1, LOG_KEY.public[:31])),
        ("33 bytes of Ed25519", named(name, 1, LOG_KEY.public + b"\0")),
        ("31 bytes of a witness", named(name, 4, LOG_KEY.public[:31])),
        ("1,311 bytes of ML-DSA-44", named(name, 6, MLDSA_VKEY.public[:-1])),
        ("an Ed25519 key as ML-DSA-44", named(name, 6, LOG_KEY.public)),
    )
    for desc, text in chosen:
        yield refused("vkey", f"vkey: {desc}", KeyMalformed, text=text)
    weak = named(name, 1, encoded(1))
    yield refused("vkey", "vkey: a log's key of low order", KeyWeak, text=weak)
    weak = named(name, 4, encoded(PRIME + 3))
    yield refused("vkey", "vkey: a witness's key that is not canonical", KeyWeak, text=weak)


def public_keys() -> Iterator[Case]:
    chosen = (LOG_KEY.public, WITNESS_KEY.public)
    for nth, public in enumerate(chosen):
        desc = f"public key: a good one ({nth})"
        yield accepted("public_key", desc, public_hex=public.hex())
    for length in (0, 31, 33):
        raw = LOG_KEY.public.ljust(33, b"\0")[:length]
        desc = f"public key: {length} bytes"
        yield refused("public_key", desc, KeyMalformed, public_hex=raw.hex())
    for desc, y in LOW_ORDER:
        for sign, raw in (("", encoded(y)), (", sign bit set", encoded(y | SIGN_BIT))):
            wording = f"public key: {desc}{sign}"
            yield refused("public_key", wording, KeyWeak, public_hex=raw.hex())
    for above in range(19):
        for sign, bit in (("", 0), (", sign bit set", SIGN_BIT)):
            wording = f"public key: y is the field prime and {above}{sign}"
            raw = encoded((PRIME + above) | bit)
            yield refused("public_key", wording, KeyWeak, public_hex=raw.hex())


def signatures() -> Iterator[Case]:
    message = b"a message"
    good = LOG_KEY.sign(message)
    yield accepted("ed25519", "Ed25519: a good signature", **signed(LOG_KEY.public, message, good))
    empty = LOG_KEY.sign(b"")
    yield accepted("ed25519", "Ed25519: of nothing", **signed(LOG_KEY.public, b"", empty))
    lifted = int.from_bytes(good[32:], "little") + SUBGROUP_ORDER
    chosen = (
        ("of another message", LOG_KEY.public, b"a massage", good),
        ("by another key", WITNESS_KEY.public, message, good),
        ("a bit flipped in R", LOG_KEY.public, message, bytes([good[0] ^ 1]) + good[1:]),
        ("a bit flipped in S", LOG_KEY.public, message, good[:63] + bytes([good[63] ^ 1])),
        ("S not reduced", LOG_KEY.public, message, good[:32] + lifted.to_bytes(32, "little")),
        ("63 bytes", LOG_KEY.public, message, good[:63]),
        ("65 bytes", LOG_KEY.public, message, good + b"\0"),
        ("none", LOG_KEY.public, message, b""),
        # With the identity as the key, R = identity and S = 0 fit every message.
        ("a forgery under the identity", encoded(1), message, encoded(1) + bytes(32)),
        ("a key of 31 bytes", LOG_KEY.public[:31], message, good),
    )
    for desc, public, said, signature in chosen:
        wording = f"Ed25519: {desc}"
        yield refused("ed25519", wording, SignatureInvalid, **signed(public, said, signature))


def signed(public: bytes, message: bytes, signature: bytes) -> dict[str, Json]:
    """The inputs of a signature check."""
    return {
        "public_hex": public.hex(),
        "message_hex": message.hex(),
        "signature_hex": signature.hex(),
    }


def seeds() -> Iterator[Case]:
    good = format_seed_text(LOG_SEED)
    prefix = good[: good.index(":") + 1]
    yield accepted("seed", "seed: a good file", LOG_KEY.public.hex(), text=good)
    chosen = (
        ("nothing", ""),
        ("no newline", good[:-1]),
        ("two newlines", good + "\n"),
        ("a Windows newline", good[:-1] + "\r\n"),
        ("another prefix", good.replace("ed25519", "x25519")),
        ("a space after the prefix", good.replace(":", ": ")),
        ("no seed", prefix + "\n"),
        ("31 bytes", prefix + format_base64(LOG_SEED[:31]) + "\n"),
        ("33 bytes", prefix + format_base64(LOG_SEED + b"\0") + "\n"),
        ("hex", prefix + LOG_SEED.hex() + "\n"),
        ("no padding", good.replace("=", "")),
        ("two lines", good + good),
    )
    for desc, text in chosen:
        yield refused("seed", f"seed: {desc}", KeyMalformed, text=text)


def cases() -> list[Case]:
    """All of them, in order."""
    return [*good_vkeys(), *bad_vkeys(), *public_keys(), *signatures(), *seeds()]
