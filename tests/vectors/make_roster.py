"""Vectors of docs/spec/roster.md: single files, and chains from their first version.

``roster``: is this file well-formed by itself? ``chain``: does each file follow from those before?
Each is signed by all who govern unless its description says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from federation.errors import RosterMalformed, RosterUnproven
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster import Roster, parse_roster
from federation.protocol.roster_amendments import propose_remove
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import Pin
from federation.protocol.roster_proposals import (
    propose_add,
    propose_governors,
    propose_refresh,
)
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    forge_root,
    format_root,
    make_governors,
    make_key,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.vectors.cases import Case, Json, accepted, as_input, refused
from tests.vectors.roster_faults import (
    FACT_FAULTS,
    FOUNDED,
    GOVERNANCE_FAULTS,
    PIN,
    Change,
    base64_key,
    facts,
    log,
    member,
    put,
    put_status,
    version_2,
)

CHAIN = FOUNDED.chain
FIRST = CHAIN.versions[0]
GOVERNORS = FOUNDED.governors
NEW_GOVERNORS = make_governors(3, first=3)


def roster_gives(roster: Roster) -> Json:
    """What reading a roster gives."""
    return {
        "version": roster.version,
        "federation_id": roster.federation_id,
        "decision_sha256_hex": roster.decision_sha256.hex(),
        "expires_at_ms": str(roster.expires_at_ms),
        "governors_hex": [public.hex() for public in roster.governors],
        "threshold": roster.threshold,
        "members": list(roster.members),
        "vkeys": [roster.log_vkey(each).format() for each in tuple(roster.logs)],
    }


# --- single files -------------------------------------------------------------------------------


def good_rosters() -> Iterator[Case]:
    statement_ids = [f"st_{digit * 64}" for digit in "ab"]
    rotated = {"public": base64_key("rotated"), "start": PIN}
    chosen: tuple[tuple[str, bytes], ...] = (
        ("founded by three governors, 2 of 3", FIRST),
        ("founded by one, 1 of 1", make_roster(ACME).chain.versions[0]),
        ("not signed at all", forge_root(FIRST, put(), [])),
        ("a second version", forge(version_2(CHAIN.federation_id))),
        ("extension fields", forge(facts(put(**{"x-note": {"deep": [1, None, True]}})))),
        ("governance decisions", forge(facts(put(withdrawn=statement_ids, erased=statement_ids)))),
        ("a member suspended", forge(member(put_status("suspended")))),
        ("a member departed", forge(member(put_status("departed", successor=NOVA)))),
        ("a log key rotated", forge(log(lambda each: each["keys"].append(rotated)))),
        ("a member without URL", forge(member(put(urls=[])))),
        ("an IPv6 address", forge(member(put(urls=["https://[2001:db8::ffff:102:304]:7001"])))),
        ("one that looks mapped", forge(member(put(urls=["https://[::ffff:0]"])))),
        (
            "a member behind a balancer",
            forge(member(put(urls=["https+signatures://acme.example/peers"]))),
        ),
    )
    for desc, raw in chosen:
        gives = roster_gives(parse_roster(raw))
        yield accepted("roster", f"roster: {desc}", gives, **as_input("root", raw))


def bad_rosters() -> Iterator[Case]:
    for fault in GOVERNANCE_FAULTS:
        root = as_input("root", forge(fault.change))
        yield refused("roster", f"roster: {fault.wording}", fault.error, **root)
    # One governor keeps these files short.
    laptop = make_roster(ACME, NOVA)
    for fault in FACT_FAULTS:
        root = as_input(
            "root", forge_root(laptop.chain.versions[0], fault.change, laptop.governors)
        )
        yield refused("roster", f"roster: {fault.wording}", fault.error, **root)
    version = b'"version":1'
    forms = (
        ("nothing", b""),
        ("no object", b"null"),
        ("the first half", FIRST[: len(FIRST) // 2]),
        ("a newline at the end", FIRST + b"\n"),
        ("a space", FIRST.replace(version, b'"version": 1')),
        ("a duplicate field", FIRST.replace(version, version + b"," + version)),
        ("an exponent", FIRST.replace(version, version + b"e0")),
        ("an escape", FIRST.replace(b'"root"', b'"ro\\u006ft"')),
        ("a byte order mark", b"\xef\xbb\xbf" + FIRST),
        ("UTF-16", FIRST[:40].decode().encode("utf-16-le")),
        ("an unsigned field", edited(put(**{"x-note": 1}))),
        (
            "a key id in a list",
            edited(first_signature(lambda each: each.update(keyid=[each["keyid"]]))),
        ),
        ("signatures out of order", edited(lambda document: document["signatures"].reverse())),
        ("a signature in upper case", edited(first_signature(put(sig="AB" * 64)))),
        ("a short signature", edited(first_signature(put(sig="ab")))),
        ("a field in a signature", edited(first_signature(put(method="x")))),
        ("a name that the DNS cannot hold", forge(member(put(urls=["https://a..example"])))),
    )
    for desc, raw in forms:
        yield refused("roster", f"roster: {desc}", RosterMalformed, **as_input("root", raw))


def forge(change: Change) -> bytes:
    """The first version, changed and signed again."""
    return forge_root(FIRST, change, GOVERNORS)


def edited(change: Change) -> bytes:
    """The first version, changed outside its signed part."""
    document: dict[str, Any] = json.loads(FIRST)
    change(document)
    return format_root(document)


def first_signature(change: Change) -> Change:
    """A change to the first of the signatures."""
    return lambda document: change(document["signatures"][0])


# --- chains -------------------------------------------------------------------------------------


def good_chains() -> Iterator[Case]:
    request = make_member(UMBRA).request
    added = sign_and_finish(
        propose_add(CHAIN, request, now_ms=NEW_YEAR_2026_MS), CHAIN, GOVERNORS[:2]
    )
    pins = {
        LogId(NOVA, CHAIN.federation_id, lane): Pin(size, bytes([size]) * 32)
        for size, lane in enumerate(Lane, start=1)
    }
    removed = sign_and_finish(
        propose_remove(added, NOVA, pins, now_ms=NEW_YEAR_2026_MS), added, GOVERNORS[1:]
    )
    keys = [key.public for key in NEW_GOVERNORS]
    handed_over = sign_and_finish(
        propose_governors(removed, keys, 2, now_ms=NEW_YEAR_2026_MS),
        removed,
        [*GOVERNORS[:2], *NEW_GOVERNORS[:2]],
    )
    refreshed = sign_and_finish(
        propose_refresh(handed_over, now_ms=NEW_YEAR_2026_MS), handed_over, NEW_GOVERNORS
    )
    chosen = (
        ("the first version alone", CHAIN),
        ("a member added", added),
        ("a member departed", removed),
        ("handed over to other governors", handed_over),
        ("signed again by them alone", refreshed),
    )
    for desc, chain in chosen:
        gives = roster_gives(chain.newest)
        yield accepted("chain", f"chain: {desc}", gives, **as_roots(chain.versions))


def bad_chains() -> Iterator[Case]:
    second = forge(version_2(CHAIN.federation_id))
    keys = [key.public for key in NEW_GOVERNORS]
    handing_over = propose_governors(CHAIN, keys, 2, now_ms=NEW_YEAR_2026_MS).proposal_bytes
    chosen: tuple[tuple[str, Sequence[bytes]], ...] = (
        ("one signature short", [forge_root(FIRST, put(), GOVERNORS[:1])]),
        ("no signature", [forge_root(FIRST, put(), [])]),
        ("a stranger's signature", [forge_root(FIRST, put(), [*GOVERNORS, make_key("x")])]),
        ("a broken signature beside two", [edited(first_signature(put(sig="00" * 64)))]),
        ("no first version", [second]),
        ("a replayed version", [FIRST, second, second]),
        ("the first version again", [FIRST, FIRST]),
        ("a gap", [FIRST, forge(version_3(put()))]),
        ("another federation's version", [FIRST, forge(version_2("ab" * 16))]),
        ("one old signature short", [FIRST, sign(handing_over, 1, 2)]),
        ("one new signature short", [FIRST, sign(handing_over, 2, 1)]),
        *unsaid(second),
    )
    for desc, roots in chosen:
        yield refused("chain", f"chain: {desc}", RosterUnproven, **as_roots(roots))
    yield refused("chain", "chain: of nothing", RosterMalformed, **as_roots([]))


def unsaid(second: bytes) -> Iterator[tuple[str, Sequence[bytes]]]:
    """Chains in which all governors sign that something was never said."""
    rotate = member(put(mirror_keys=[base64_key("rotated")]))
    take_over = member(put(mirror_keys=[base64_key("acme.example/mirror")]), NOVA)
    withdraw = facts(put(withdrawn=[f"st_{'a' * 64}"]))
    changes: tuple[tuple[str, Change, Change], ...] = (
        ("a member disappears", put(), facts(lambda each: each["members"].pop())),
        ("a log disappears", put(), member(put(roles=["observer"], logs=[]))),
        (
            "a log's first key changes",
            put(),
            log(put(keys=[{"public": base64_key("other"), "start": None}])),
        ),
        ("a limit shrinks", put(), facts(lambda each: each["limits"].update(epochs=15))),
        ("a governance withdrawal is undone", withdraw, put()),
        ("a key changes hands", rotate, lambda signed: (rotate(signed), take_over(signed))),
    )
    for desc, change, next_change in changes:
        roots = [
            FIRST,
            forge(version_2(CHAIN.federation_id, change)),
            forge(version_3(next_change)),
        ]
        yield desc, roots

    def alone(signed: dict[str, Any]) -> None:
        key_id = min(signed["keys"])
        signed["keys"] = {key_id: signed["keys"][key_id]}
        for role in signed["roles"].values():
            role.update(keyids=[key_id], threshold=1)

    yield "one governor alone", [FIRST, second, forge(version_3(alone))]


def version_3(change: Change) -> Change:
    """The change, in what claims to be the third version."""
    return version_2(CHAIN.federation_id, lambda signed: (put(version=3)(signed), change(signed)))


def sign(proposal: bytes, old: int, own: int) -> bytes:
    """The proposal signed by so many governors of each side."""
    signers: list[SigningKey] = [*GOVERNORS[:old], *NEW_GOVERNORS[:own]]
    return forge_root(proposal, put(), signers)


def as_roots(roots: Sequence[bytes]) -> dict[str, Json]:
    """Files as an input: each is ASCII."""
    return {"roots": [root.decode("ascii") for root in roots]}


def cases() -> list[Case]:
    """All of them, in order."""
    assert RosterChain.trust(FIRST) == CHAIN
    return [*good_rosters(), *bad_rosters(), *good_chains(), *bad_chains()]
