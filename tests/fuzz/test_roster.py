"""Rosters, chains, proposals and join requests from anybody: any bytes, and good ones bent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError, VerificationError
from federation.protocol.join_requests import parse_join_request
from federation.protocol.limits import LOG_SIZE_MAX
from federation.protocol.origins import Lane
from federation.protocol.roster import parse_roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_changes import describe_changes
from federation.protocol.roster_members import (
    EMPTY_PIN,
    LogKey,
    Member,
    MemberLog,
    MemberRole,
    MemberStatus,
    Pin,
    read_member,
)
from federation.protocol.roster_proposals import (
    finish,
    missing_signatures,
    parse_proposal,
    propose_add,
    sign_proposal,
    write_member,
)
from federation.protocol.roster_walk import verify_chain
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    forge_root,
    format_root,
    make_key,
    make_member,
    make_roster,
    sign_and_finish,
)

FOUNDED = make_roster(ACME, NOVA, governors=3)
CHAIN = FOUNDED.chain
FIRST = CHAIN.versions[0]
REQUEST = make_member(UMBRA).request
PROPOSAL = propose_add(CHAIN, REQUEST, now_ms=NEW_YEAR_2026_MS).proposal_bytes
SECOND = sign_and_finish(parse_proposal(PROPOSAL, CHAIN), CHAIN, FOUNDED.governors).versions[1]

Reader = Callable[[bytes], object]
READERS: list[Reader] = [
    parse_roster,
    RosterChain.trust,
    CHAIN.extend,
    lambda raw: verify_chain([FIRST, raw]),
    lambda raw: parse_proposal(raw, None),
    lambda raw: missing_signatures(raw, CHAIN),
    lambda raw: sign_proposal(raw, FOUNDED.governors[0]),
    lambda raw: sign_proposal(PROPOSAL, FOUNDED.governors[0], raw),
    lambda raw: finish(raw, None),
    lambda raw: finish(raw, CHAIN),
    parse_join_request,
]


def read_by_all(raw: bytes) -> None:
    for reader in READERS:
        try:
            reader(raw)
        except (ProtocolError, VerificationError):
            continue


# --- any bytes ----------------------------------------------------------------------------------

texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    read_by_all(raw)


@given(json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    read_by_all(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())


# --- good files, bent -----------------------------------------------------------------------------


@st.composite
def bent(draw: st.DrawFn, raw: bytes) -> bytes:
    """The file with a byte changed, put in or taken out, or cut short."""
    position = draw(st.integers(0, len(raw) - 1))
    piece = draw(st.binary(max_size=2))
    skipped = draw(st.integers(0, 2))
    if draw(st.booleans()):
        return raw[:position]
    return raw[:position] + piece + raw[position + skipped :]


@given(bent(FIRST))
def test_bent_root_of_trust_is_never_trusted(raw: bytes) -> None:
    if raw != FIRST:
        with pytest.raises((ProtocolError, VerificationError)):
            RosterChain.trust(raw)


@given(bent(SECOND))
def test_bent_next_version_is_never_taken(raw: bytes) -> None:
    if raw != SECOND:
        with pytest.raises((ProtocolError, VerificationError)):
            CHAIN.extend(raw)


@given(bent(REQUEST.request_bytes))
def test_bent_join_request_is_never_taken(raw: bytes) -> None:
    if raw != REQUEST.request_bytes:
        with pytest.raises((ProtocolError, VerificationError)):
            parse_join_request(raw)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document below its top."""
    places = enumerate(value) if isinstance(value, list) else ()
    for key, part in value.items() if isinstance(value, dict) else places:
        yield (*path, key)
        yield from paths_of(part, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: object) -> Any:
    """The document with another value in that place."""
    changed = json.loads(json.dumps(document))
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return changed


def bent_documents(raw: bytes) -> st.SearchStrategy[Any]:
    document = json.loads(raw)
    paths = sorted(paths_of(document), key=repr)
    elsewhere = [part for part in _parts(document) if part != document]
    values = json_values | st.sampled_from(elsewhere)
    return st.builds(
        lambda path, value: replaced(document, path, value), st.sampled_from(paths), values
    )


def _parts(value: Any) -> Iterator[Any]:
    yield value
    places = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for part in places:
        yield from _parts(part)


@given(bent_documents(FIRST))
def test_root_with_a_strange_part_is_read_or_refused(document: Any) -> None:
    read_by_all(format_root(document))


@given(bent_documents(SECOND))
def test_next_version_with_a_strange_part_is_read_or_refused(document: Any) -> None:
    read_by_all(format_root(document))


@given(bent_documents(REQUEST.request_bytes))
def test_join_request_with_a_strange_part_is_read_or_refused(document: Any) -> None:
    read_by_all(format_root(document))


@given(bent_documents(SECOND))
def test_change_that_governors_sign_is_one_they_could_see(document: Any) -> None:
    """All of them sign whatever it is: it is refused, or every difference has a line."""
    signed = document["signed"]
    if not isinstance(signed, dict):
        return

    def exchange(good: dict[str, Any]) -> None:
        good.clear()
        good.update(signed)

    raw = forge_root(SECOND, exchange, FOUNDED.governors)
    read_by_all(raw)
    try:
        changed = CHAIN.extend(raw).newest
    except (ProtocolError, VerificationError):
        return
    expected = CHAIN.extend(SECOND).newest
    is_same = changed.decision_sha256 == expected.decision_sha256
    assert is_same == (describe_changes(expected, changed) == [])


# --- encode and decode ----------------------------------------------------------------------------


def pin_at(size: int) -> Pin:
    """A log has one root at one size, whichever of its pins says so."""
    return Pin(size, sha256(b"root at %d" % size).digest())


sizes = st.integers(1, 9) | st.integers(1, LOG_SIZE_MAX)
pins = sizes.map(pin_at) | st.just(EMPTY_PIN)
identities = st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=2)
publics = st.integers(0, 50).map(lambda number: make_key(f"fuzz {number}").public)


@st.composite
def lane_logs(draw: st.DrawFn, lane: Lane, *, is_open: bool) -> tuple[MemberLog, ...]:
    """All epochs of one lane."""
    count = draw(st.integers(1, 3))
    logs = []
    for epoch in range(count):
        starts = sorted(draw(st.sets(sizes, max_size=2)))
        keys = [LogKey(draw(publics))]
        keys += [LogKey(draw(publics), pin_at(size)) for size in starts]
        may_grow = is_open and epoch == count - 1 and draw(st.booleans())
        logs.append(MemberLog(lane, epoch, tuple(keys), None if may_grow else draw(pins)))
    return tuple(logs)


@st.composite
def members(draw: st.DrawFn) -> Member:
    """Any member that may stand in a roster by itself."""
    status = draw(st.sampled_from(MemberStatus))
    is_open = status is MemberStatus.ACTIVE
    ports = draw(st.sets(st.integers(1, 65_535), max_size=4))
    return Member(
        name=draw(st.sampled_from([ACME, NOVA, "a.b-c.example"])),
        roles=draw(st.frozensets(st.sampled_from(MemberRole))) | {MemberRole.MEMBER},
        status=status,
        successor=UMBRA if status is MemberStatus.DEPARTED and draw(st.booleans()) else None,
        urls=tuple(f"https://node.example:{port}" for port in ports),
        logs=tuple(log for lane in Lane for log in draw(lane_logs(lane, is_open=is_open))),
        witness_keys=tuple(draw(st.lists(publics, min_size=1, max_size=3))),
        mirror_keys=tuple(draw(st.lists(publics, min_size=1, max_size=3))),
        tls_identities=tuple(draw(identities)),
    )


@given(members())
def test_member_is_read_as_it_was_written(member: Member) -> None:
    written = write_member(member)
    assert read_member(written) == member
    assert read_member(json.loads(json.dumps(written))) == member
