"""Any bytes at any parser of the log formats: an answer, or an error of the right branch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError, VerificationError
from federation.protocol.checkpoints import (
    open_cosignature,
    open_mldsa_cosignature,
    parse_checkpoint,
)
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.keys import check_ed25519, check_mldsa44, check_public_key
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.keys_signing import format_seed_text, parse_seed_text
from federation.protocol.merkle import verify_inclusion
from federation.protocol.merkle_growth import CompactRange, verify_consistency
from federation.protocol.notes import (
    format_note,
    format_signature_line,
    parse_note,
    parse_signature_line,
    parse_signature_lines,
)
from federation.protocol.notes_writing import add_signatures
from federation.protocol.proofs import format_tlog_proof, parse_tlog_proof
from federation.protocol.tiles import (
    decode_entries,
    encode_entries,
    nodes_from,
    parse_tile_path,
    split_tile,
)
from tests.vectors.make_checkpoints import CHECKPOINT, COSIGNATURE, COSIGNED, MLDSA_COSIGNATURE
from tests.vectors.make_keys import LOG_SEED, LOG_VKEY, MLDSA_VKEY, WITNESS_VKEY
from tests.vectors.make_notes import GOOD as GOOD_NOTE
from tests.vectors.make_proofs import GOOD as GOOD_PROOF

REFUSED = (ProtocolError, VerificationError)
SIZES = st.integers(min_value=-2, max_value=2**64) | st.integers(min_value=-2, max_value=9)
PROOFS = st.lists(st.binary(min_size=31, max_size=33) | st.just(bytes(32)), max_size=70)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Good bytes with a piece cut out, put in or replaced; nearer to the target than noise."""
    begin = draw(st.integers(min_value=0, max_value=len(good)))
    end = draw(st.integers(min_value=begin, max_value=min(len(good), begin + 8)))
    piece = draw(st.binary(max_size=8) | st.sampled_from([b"\n", b"\n\n", b" ", b"=", b"0"]))
    return good[:begin] + piece + good[end:]


def raw(*good: bytes) -> st.SearchStrategy[bytes]:
    """Noise, and each of the good inputs damaged."""
    return st.one_of(st.binary(max_size=300), *(damaged(chosen) for chosen in good))


def lax_text(*good: str) -> st.SearchStrategy[str]:
    """Noise with surrogates, as JSON can bring it in, and each of the good inputs damaged."""
    near = (
        damaged(chosen.encode()).map(lambda found: found.decode("utf-8", "surrogateescape"))
        for chosen in good
    )
    return st.one_of(st.text(st.characters(codec=None), max_size=100), *near)


@given(lax_text(LOG_VKEY.format(), WITNESS_VKEY.format()))
def test_vkey(text: str) -> None:
    with suppress(*REFUSED):
        assert text == parse_vkey(text).format()


@given(lax_text(format_seed_text(LOG_SEED)))
def test_seed_file(text: str) -> None:
    with suppress(*REFUSED):
        assert text == format_seed_text(parse_seed_text(text))


@given(st.binary(max_size=40))
def test_public_key(public: bytes) -> None:
    with suppress(*REFUSED):
        check_public_key(public)
        assert 32 == len(public)


@given(raw(COSIGNED, GOOD_NOTE))
def test_note(found: bytes) -> None:
    with suppress(*REFUSED):
        assert found == format_note(parse_note(found))
        assert add_signatures(found, [COSIGNATURE]).startswith(found)


@given(lax_text(format_signature_line(COSIGNATURE)))
def test_signature_line(text: str) -> None:
    with suppress(*REFUSED):
        assert text == format_signature_line(parse_signature_line(text))
    with suppress(*REFUSED):
        lines = parse_signature_lines(text)
        assert text == "".join(format_signature_line(line) for line in lines)


@given(lax_text(CHECKPOINT.text))
def test_checkpoint_text(text: str) -> None:
    with suppress(*REFUSED):
        assert text == parse_checkpoint(text).text


@given(raw(COSIGNED))
def test_damaged_checkpoint_says_the_same_or_nothing(found: bytes) -> None:
    with suppress(*REFUSED):
        assert CHECKPOINT == open_checkpoint(found, LOG_VKEY, check_ed25519)


@given(lax_text(format_signature_line(COSIGNATURE), format_signature_line(MLDSA_COSIGNATURE)))
def test_damaged_cosignature_proves_nothing(text: str) -> None:
    with suppress(*REFUSED):
        line = parse_signature_line(text)
        open_cosignature(CHECKPOINT.text, line, WITNESS_VKEY, check_ed25519)
        assert COSIGNATURE == line
    with suppress(*REFUSED):
        line = parse_signature_line(text)
        open_mldsa_cosignature(CHECKPOINT, line, MLDSA_VKEY, check_mldsa44)
        assert MLDSA_COSIGNATURE == line


@given(SIZES, SIZES, st.binary(min_size=31, max_size=33), PROOFS)
def test_noise_proves_no_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes]) -> None:
    assert is_refused(lambda: verify_inclusion(index, size, leaf, proof, b"r" * 32))


@given(SIZES, SIZES, st.binary(min_size=31, max_size=33), PROOFS)
def test_noise_proves_no_consistency(
    size1: int, size2: int, root: bytes, proof: list[bytes]
) -> None:
    assert is_refused(lambda: verify_consistency(size1, size2, root, b"r" * 32, proof))


def is_refused(judged: Callable[[], None]) -> bool:
    try:
        judged()
    except REFUSED:
        return True
    return False


@given(SIZES, PROOFS, PROOFS)
def test_compact_range(size: int, edge: list[bytes], leaves: list[bytes]) -> None:
    with suppress(*REFUSED):
        CompactRange(size, tuple(edge)).extend_with_runs(leaves)


@given(lax_text("tile/0/x001/x234/067.p/8", "tile/entries/000"))
def test_tile_path(text: str) -> None:
    with suppress(*REFUSED):
        assert text == parse_tile_path(text).format()


@given(raw(encode_entries([b"one", b"", b"three"])))
def test_entry_bundle(found: bytes) -> None:
    with suppress(*REFUSED):
        assert found == encode_entries(decode_entries(found))


@given(
    st.binary(max_size=100) | st.integers(min_value=0, max_value=260).map(lambda n: bytes(32 * n)),
    st.integers(min_value=0, max_value=70),
    st.integers(min_value=0, max_value=2**64),
)
def test_tile(joined: bytes, level: int, index: int) -> None:
    with suppress(*REFUSED):
        assert joined == b"".join(split_tile(joined))
    with suppress(*REFUSED):
        assert 32 == len(nodes_from(lambda _level, _index: joined)(level, index))


@given(raw(format_tlog_proof(GOOD_PROOF)))
def test_tlog_proof(found: bytes) -> None:
    with suppress(*REFUSED):
        assert found == format_tlog_proof(parse_tlog_proof(found))
