"""Any bytes at the bundle's reader, its judge and the quorum's: an answer, or a coded error."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError
from federation.protocol.bundles import decode_bundle, encode_bundle
from federation.protocol.keys import check_ed25519
from federation.protocol.policy import Quorum, parse_quorum
from federation.provenance.bundle_judge import judge_bundle
from federation.provenance.report import Outcome
from tests.builders import make_bundle, make_log

MADE = make_log(3)
FIRST_ROOT = MADE.founded.chain.versions[0]
GOOD = encode_bundle(make_bundle(MADE, 1))
FIELDS = json.loads(GOOD)

# As JSON can spell it: half surrogates, huge numbers, fields of every type.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=6)
    | st.sampled_from([value for value in FIELDS.values() if isinstance(value, str)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["body", "chain", "decision", "format", "salt", "version"]), inner
        )
    ),
    max_leaves=6,
)


def spelt(fields: object) -> bytes:
    return (json.dumps(fields, sort_keys=True, separators=(",", ":")) + "\n").encode()


def check_whatever_it_is(raw: bytes) -> None:
    with suppress(ProtocolError):
        assert raw == encode_bundle(decode_bundle(raw))
    report = judge_bundle(raw, FIRST_ROOT, Quorum(2), check_ed25519)
    assert report.is_verified == (raw == GOOD)
    assert len(report.steps) == 11
    failed = [step for step in report.steps if step.outcome is Outcome.FAILED]
    assert len(failed) == (raw != GOOD)
    assert all(step.code and step.detail for step in failed)


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    check_whatever_it_is(raw)


@given(JSON)
def test_any_json(value: object) -> None:
    check_whatever_it_is(spelt(value))


@given(st.sampled_from(sorted(FIELDS)), JSON)
def test_any_value_in_any_field(name: str, value: object) -> None:
    check_whatever_it_is(spelt({**FIELDS, name: value}))


@given(st.sampled_from(sorted(FIELDS["roster"])), JSON)
def test_any_value_in_any_field_of_the_roster(name: str, value: object) -> None:
    check_whatever_it_is(spelt({**FIELDS, "roster": {**FIELDS["roster"], name: value}}))


@given(st.data())
def test_a_damaged_root_of_trust_verifies_nothing(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(FIRST_ROOT) - 1))
    piece = data.draw(st.binary(max_size=4))
    root = FIRST_ROOT[:at] + piece + FIRST_ROOT[at + 1 :]
    report = judge_bundle(GOOD, root, Quorum(2), check_ed25519)
    assert report.is_verified == (root == FIRST_ROOT)
    assert report.failed_step is None or report.failed_step.number == 2


@given(st.text(max_size=6) | st.integers().map(str))
def test_any_quorum(text: str) -> None:
    with suppress(ProtocolError):
        assert text == str(parse_quorum(text))
