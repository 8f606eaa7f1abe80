"""Keys: what they sign, what they are called, which are refused, and that secrets stay inside."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import KeyMalformed, KeyWeak
from federation.protocol.keys import (
    KEY_NAME_BYTES_MAX,
    UNICODE_SPACES,
    KeyType,
    VerifierKey,
    check_ed25519,
    check_mldsa44,
    check_public_key,
)
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.keys_signing import (
    SEED_TEXT_PREFIX,
    SigningKey,
    format_seed_text,
    parse_seed_text,
)

PRIME = 2**255 - 19
# -x^2 + y^2 = 1 + D x^2 y^2 (RFC 8032 section 5.1).
D = -121665 * pow(121666, -1, PRIME) % PRIME

SEEDS = st.binary(min_size=32, max_size=32)


def points_of(y: int) -> list[tuple[int, int]]:
    """The curve's points with that y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    roots = {root, root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME}
    return [(x, y) for found in roots for x in {found, -found % PRIME} if x * x % PRIME == square]


def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
    """The curve's addition, slowly."""
    (x1, y1), (x2, y2) = one, two
    cross = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + cross, -1, PRIME) % PRIME,
        (y1 * y2 + x1 * x2) * pow(1 - cross, -1, PRIME) % PRIME,
    )


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """The point added to itself."""
    total = (0, 1)
    for bit in f"{factor:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def test_every_point_of_low_order_is_refused() -> None:
    """The points are computed here from the curve's equation, not from a list."""
    subgroup_order = 2**252 + 27742317777372353535851937790883648493
    low_order = {(0, 1)}
    y = 2
    while len(low_order) < 8:
        for point in points_of(y):
            low_order.add(times(subgroup_order, point))
        y += 1
    assert {(0, 1)} == {times(8, point) for point in low_order}
    for x, low_y in low_order:
        with pytest.raises(KeyWeak):
            check_public_key((low_y | (x & 1) << 255).to_bytes(32, "little"))


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("above", range(19))
def test_unreduced_key_is_refused(above: int, sign: int) -> None:
    raw = (PRIME + above | sign << 255).to_bytes(32, "little")
    with pytest.raises(KeyWeak):
        check_public_key(raw)


def test_forgery_that_the_library_accepts_is_refused() -> None:
    """Under the identity as a key, one signature fits every message: OpenSSL lets it pass."""
    identity = (1).to_bytes(32, "little")
    forgery = identity + bytes(32)
    Ed25519PublicKey.from_public_bytes(identity).verify(forgery, b"anything")
    assert not check_ed25519(identity, b"anything", forgery)


@given(SEEDS, st.binary(max_size=100), st.binary(max_size=100))
def test_signature_holds_for_its_message_only(seed: bytes, message: bytes, other: bytes) -> None:
    key = SigningKey.from_seed(seed)
    signature = key.sign(message)
    assert check_ed25519(key.public, message, signature)
    assert (message == other) == check_ed25519(key.public, other, signature)


@given(st.binary(max_size=40), st.binary(max_size=70))
def test_checks_answer_whatever_they_are_given(public: bytes, signature: bytes) -> None:
    assert not check_ed25519(public, b"message", signature)
    assert not check_mldsa44(public, b"message", signature)


def test_mldsa44_signature_holds_for_its_message_and_empty_context_only() -> None:
    key = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    signature = key.sign(b"message")
    assert check_mldsa44(public, b"message", signature)
    assert not check_mldsa44(public, b"massage", signature)
    assert not check_mldsa44(public, b"message", key.sign(b"message", b"context"))


def test_secret_shows_in_no_text_and_no_copy() -> None:
    seed = b"this is the secret of a test key"
    key = SigningKey.from_seed(seed)
    for shown in (repr(key), str(key), f"{key}"):
        assert shown == f"SigningKey(public={key.public.hex()})"
    assert not hasattr(key, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.public == copy.copy(key).public


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(KeyMalformed):
        SigningKey.from_seed(bytes(length))
    with pytest.raises(KeyMalformed):
        format_seed_text(bytes(length))


@given(SEEDS)
def test_seed_file_comes_back(seed: bytes) -> None:
    text = format_seed_text(seed)
    assert text.startswith(SEED_TEXT_PREFIX)
    assert seed == parse_seed_text(text)


def test_broken_seed_file_is_not_shown() -> None:
    text = format_seed_text(b"this is the secret of a test key")
    with pytest.raises(KeyMalformed) as caught:
        parse_seed_text(text[:-3] + "\n")
    assert text[len(SEED_TEXT_PREFIX) : -3] not in str(caught.value)


@given(SEEDS, st.sampled_from([KeyType.ED25519, KeyType.COSIGNATURE_ED25519]))
def test_vkey_comes_back(seed: bytes, key_type: KeyType) -> None:
    vkey = VerifierKey("acme.example/log", key_type, SigningKey.from_seed(seed).public)
    assert vkey == parse_vkey(vkey.format())


def test_name_and_type_are_part_of_the_key_id() -> None:
    public = SigningKey.from_seed(bytes(32)).public
    ids = {
        VerifierKey(name, key_type, public).key_id
        for name in ("acme.example", "borealis.example")
        for key_type in (KeyType.ED25519, KeyType.COSIGNATURE_ED25519)
    }
    assert 4 == len(ids)


@pytest.mark.parametrize("space", sorted(UNICODE_SPACES))
def test_name_with_a_unicode_space_is_refused(space: str) -> None:
    with pytest.raises(KeyMalformed):
        VerifierKey(f"a{space}b", KeyType.ED25519, SigningKey.from_seed(bytes(32)).public)


def test_spaces_are_those_that_python_knows_and_the_separators_it_adds() -> None:
    python = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    # Python also takes four control characters for spaces; as controls they are refused anyway.
    assert python - {"\x1c", "\x1d", "\x1e", "\x1f"} == UNICODE_SPACES


def test_name_is_measured_in_bytes() -> None:
    public = SigningKey.from_seed(bytes(32)).public
    VerifierKey("\u00e9" * (KEY_NAME_BYTES_MAX // 2), KeyType.ED25519, public)
    with pytest.raises(KeyMalformed):
        VerifierKey("\u00e9" * (KEY_NAME_BYTES_MAX // 2 + 1), KeyType.ED25519, public)


def test_weak_key_cannot_become_a_verifier_key() -> None:
    with pytest.raises(KeyWeak):
        VerifierKey("acme.example", KeyType.COSIGNATURE_ED25519, (1).to_bytes(32, "little"))
