"""What is wrong with a roster, one fault at a time: a table that tests and vectors share.

Each fault is a change to the signed part of a good root, which is then signed again by all its
governors: so it is refused for what it says, never for who signed it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from federation.errors import (
    FederationError,
    KeyMalformed,
    KeyWeak,
    MemberNameMalformed,
    OriginMalformed,
    RosterMalformed,
)
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    ROSTER_VERSIONS_MAX,
    TLS_IDENTITY_BYTES_MAX,
)
from federation.protocol.roster_root import governor_key_id
from federation.protocol.texts import format_base64
from tests.builders import ACME, NOVA, make_key, make_roster

FACTS = "x-hash-federation"
FOUNDED = make_roster(ACME, NOVA, governors=3)
PIN = {"root": format_base64(bytes(32)), "size": 7}
IDENTITY_POINT = b"\1" + bytes(31)

Change = Callable[[dict[str, Any]], object]


class Fault(NamedTuple):
    """One thing wrong.

    Attributes:
        wording: what is wrong.
        change: makes it so, in the signed part.
        error: the leaf it is refused with.
        message: a part of what the refusal says, so that it is not refused for something else.
    """

    wording: str
    change: Change
    error: type[FederationError]
    message: str


# --- changes ------------------------------------------------------------------------------------


def facts(change: Change) -> Change:
    return lambda signed: change(signed[FACTS])


def member(change: Change, name: str = ACME) -> Change:
    """A change to the object of one member."""

    def apply(signed: dict[str, Any]) -> None:
        change(next(each for each in signed[FACTS]["members"] if each["name"] == name))

    return apply


def log(change: Change) -> Change:
    """A change to the object of acme's crisis log."""
    return member(lambda fields: change(fields["logs"][0]))


def put(**fields: Any) -> Change:
    return lambda target: target.update(fields)


def drop(name: str) -> Change:
    return lambda target: target.pop(name)


def base64_key(name: str) -> str:
    return format_base64(make_key(name).public)


def pinned_logs(fields: dict[str, Any]) -> None:
    for each in fields["logs"]:
        each["pin"] = PIN


def put_status(status: str, **others: Any) -> Change:
    def change(fields: dict[str, Any]) -> None:
        pinned_logs(fields)
        fields.update(status=status, **others)

    return change


def put_threshold(threshold: Any) -> Change:
    def change(signed: dict[str, Any]) -> None:
        for role in signed["roles"].values():
            role["threshold"] = threshold

    return change


def put_governor(key_id: str, key: dict[str, Any]) -> Change:
    """A fourth governor, in all four roles."""

    def change(signed: dict[str, Any]) -> None:
        signed["keys"][key_id] = key
        for role in signed["roles"].values():
            role["keyids"] = sorted(signed["keys"])

    return change


def ed25519(public: bytes) -> dict[str, Any]:
    return {"keytype": "ed25519", "keyval": {"public": public.hex()}, "scheme": "ed25519"}


def version_2(federation_id: str, change: Change | None = None) -> Change:
    """The change, in what claims to be that federation's second version."""

    def apply(signed: dict[str, Any]) -> None:
        signed["version"] = 2
        signed[FACTS]["federation_id"] = federation_id
        if change is not None:
            change(signed)

    return apply


# --- faults -----------------------------------------------------------------------------------

GOVERNOR_IDS = sorted(governor_key_id(key.public) for key in FOUNDED.governors)
FIRST_ID = GOVERNOR_IDS[0]

GOVERNANCE_FAULTS = [
    Fault(
        "one key under two ids",
        put_governor("f" * 64, ed25519(FOUNDED.governors[0].public)),
        RosterMalformed,
        "not the one of its key",
    ),
    Fault(
        "a weak governor's key",
        put_governor(governor_key_id(IDENTITY_POINT), ed25519(IDENTITY_POINT)),
        KeyWeak,
        "low order",
    ),
    Fault(
        "a governor's key in upper case",
        lambda signed: signed["keys"][FIRST_ID]["keyval"].update(public="AB" * 32),
        RosterMalformed,
        "64 lower-case hex digits",
    ),
    Fault(
        "a governor's key of another kind",
        lambda signed: signed["keys"][FIRST_ID].update(keytype="rsa", scheme="rsassa-pss-sha256"),
        RosterMalformed,
        "Ed25519",
    ),
    Fault(
        "a further field in a governor's key",
        lambda signed: signed["keys"][FIRST_ID].update({"x-name": "Anna"}),
        RosterMalformed,
        "no further fields",
    ),
    Fault(
        "a private half beside a governor's key",
        lambda signed: signed["keys"][FIRST_ID]["keyval"].update(private=""),
        RosterMalformed,
        "no further fields",
    ),
    Fault("1 of 3", put_threshold(1), RosterMalformed, "1 of 3"),
    Fault("4 of 3", put_threshold(4), RosterMalformed, "4 of 3"),
    Fault("0 of 3", put_threshold(0), RosterMalformed, "not TUF metadata"),
    Fault("true of 3", put_threshold(True), RosterMalformed, "the threshold is an integer"),
    Fault("2.0 of 3", put_threshold(2.0), RosterMalformed, "float"),
    Fault(
        "another threshold for timestamps",
        lambda signed: signed["roles"]["timestamp"].update(threshold=3),
        RosterMalformed,
        "the threshold is an integer",
    ),
    Fault(
        "other keys for targets",
        lambda signed: signed["roles"]["targets"].update(keyids=GOVERNOR_IDS[1:]),
        RosterMalformed,
        "ids of all keys",
    ),
    Fault(
        "a key that governs nothing",
        lambda signed: signed["keys"].update(
            {governor_key_id(make_key("idle").public): ed25519(make_key("idle").public)}
        ),
        RosterMalformed,
        "ids of all keys",
    ),
    Fault(
        "the ids of governors out of order",
        lambda signed: signed["roles"]["root"].update(keyids=GOVERNOR_IDS[::-1]),
        RosterMalformed,
        "in order",
    ),
    Fault(
        "a further field in a TUF role",
        lambda signed: signed["roles"]["root"].update({"x-note": 1}),
        RosterMalformed,
        "ids of all keys",
    ),
    Fault(
        "a TUF role too many",
        lambda signed: signed["roles"].update(mirrors={"keyids": [], "threshold": 1}),
        RosterMalformed,
        "not TUF metadata",
    ),
    Fault("an unknown field", put(note="hello"), RosterMalformed, "unknown field 'note'"),
    Fault("version 0", put(version=0), RosterMalformed, "not TUF metadata"),
    Fault("version true", put(version=True), RosterMalformed, "version is an integer"),
    Fault("version 1,025", put(version=ROSTER_VERSIONS_MAX + 1), RosterMalformed, "version is an"),
    Fault("version as text", put(version="1"), RosterMalformed, "not TUF metadata"),
    Fault("TUF 2.0", put(spec_version="2.0.0"), RosterMalformed, "not TUF metadata"),
    Fault("no spec_version", drop("spec_version"), RosterMalformed, "not TUF metadata"),
    Fault("another role's metadata", put(_type="targets"), RosterMalformed, "not TUF metadata"),
    Fault("no consistent snapshots", put(consistent_snapshot=False), RosterMalformed, "consistent"),
    Fault(
        "consistent_snapshot left out", drop("consistent_snapshot"), RosterMalformed, "consistent"
    ),
    Fault(
        "an expiry in local time", put(expires="2026-04-01T00:00:00"), RosterMalformed, "not TUF"
    ),
    Fault(
        "an expiry with short fields", put(expires="2026-4-1T0:0:0Z"), RosterMalformed, "only form"
    ),
    Fault("no facts", drop(FACTS), RosterMalformed, "is an object"),
]

FACT_FAULTS = [
    Fault("format 2", facts(put(format=2)), RosterMalformed, "later release"),
    Fault(
        "a first version that names its federation",
        facts(put(federation_id="ab" * 16)),
        RosterMalformed,
        "version 1",
    ),
    Fault("a second version that names none", put(version=2), RosterMalformed, "is text"),
    Fault(
        "a second version that names no federation id",
        version_2("acme"),
        OriginMalformed,
        "32 lower-case hex digits",
    ),
    Fault("an unknown fact", facts(put(quorum=3)), RosterMalformed, "unknown field 'quorum'"),
    Fault("a fact left out", facts(drop("erased")), RosterMalformed, "lacks the field erased"),
    Fault("a float", facts(put(public_delay_seconds=1.5)), RosterMalformed, "float"),
    Fault("a negative delay", facts(put(public_delay_seconds=-1)), RosterMalformed, "outside 0"),
    Fault(
        "a delay of a month", facts(put(public_delay_seconds=2_592_000)), RosterMalformed, "integer"
    ),
    Fault(
        "a delay that is true", facts(put(public_delay_seconds=True)), RosterMalformed, "integer"
    ),
    Fault(
        "a body limit above the protocol's",
        facts(lambda target: target["limits"].update(body_bytes=BODY_BYTES_MAX + 1)),
        RosterMalformed,
        "body_bytes is an integer",
    ),
    Fault(
        "no logs at all",
        facts(lambda target: target["limits"].update(log_size=0)),
        RosterMalformed,
        "log_size is an integer",
    ),
    Fault(
        "a limit that nobody knows",
        facts(lambda target: target["limits"].update(members=9)),
        RosterMalformed,
        "unknown field",
    ),
    Fault("an id that is none", facts(put(withdrawn=["st_1"])), RosterMalformed, "statement id"),
    Fault(
        "an id twice",
        facts(put(erased=[f"st_{'a' * 64}"] * 2)),
        RosterMalformed,
        "sorted, each once",
    ),
    Fault("members as an object", facts(put(members={})), RosterMalformed, "members is a list"),
    Fault(
        "members out of order",
        facts(lambda target: target["members"].reverse()),
        RosterMalformed,
        "sorted by name",
    ),
    Fault(
        "a member twice",
        facts(lambda target: target["members"].insert(0, target["members"][0])),
        RosterMalformed,
        "each once",
    ),
    Fault(
        "nesting without end",
        facts(put(**{"x-deep": json.loads("[" * 40 + "]" * 40)})),
        RosterMalformed,
        "nested",
    ),
    Fault("an upper-case name", member(put(name="Acme.example")), MemberNameMalformed, "DNS name"),
    Fault(
        "a Cyrillic a in a name", member(put(name="\u0430cme.example")), RosterMalformed, "ASCII"
    ),
    Fault(
        "a name that shows as another",
        member(put(name="xn--cme-8cd.example")),
        MemberNameMalformed,
        "xn--",
    ),
    Fault(
        "a name with a slash",
        member(put(name="acme.example/live")),
        MemberNameMalformed,
        "DNS name",
    ),
    Fault("a name of a newline", member(put(name="acme.example\n")), RosterMalformed, "ASCII"),
    Fault("a member's unknown field", member(put(email="a@b")), RosterMalformed, "field 'email'"),
    *(
        Fault(
            f"an IPv4 address mapped into IPv6, {form}",
            member(put(urls=[f"https://[::ffff:{address}]"])),
            RosterMalformed,
            "a member's URL",
        )
        for form, address in (("in hex", "102:304"), ("with dots", "1.2.3.4"))
    ),
    Fault(
        "an IPv6 address that ends in dots",
        member(put(urls=["https://[2001:db8::1.2.3.4]"])),
        RosterMalformed,
        "a member's URL",
    ),
    Fault("no role", member(put(roles=[])), RosterMalformed, "no role"),
    Fault("an unknown role", member(put(roles=["king"])), RosterMalformed, "unknown word"),
    Fault("a role twice", member(put(roles=["member"] * 2)), RosterMalformed, "each once"),
    Fault("an unknown status", member(put(status="asleep")), RosterMalformed, "unknown word"),
    Fault("a status of null", member(put(status=None)), RosterMalformed, "is text"),
    Fault(
        "suspended without a pin", member(put(status="suspended")), RosterMalformed, "without a pin"
    ),
    Fault(
        "departed without a pin", member(put(status="departed")), RosterMalformed, "without a pin"
    ),
    Fault(
        "an observer that publishes",
        member(put(roles=["observer"])),
        RosterMalformed,
        "not publish",
    ),
    Fault(
        "an observer without identity",
        member(put(roles=["observer"], logs=[], tls_identities=[])),
        RosterMalformed,
        "no TLS identity",
    ),
    Fault(
        "a witness without key",
        member(put(roles=["witness"], logs=[], witness_keys=[])),
        RosterMalformed,
        "without a key",
    ),
    Fault("a member without mirror", member(put(mirror_keys=[])), RosterMalformed, "five keys"),
    Fault(
        "a member without bulk lane",
        member(lambda each: each["logs"].pop()),
        RosterMalformed,
        "five keys",
    ),
    Fault(
        "an active member with successor",
        member(put(successor=NOVA)),
        RosterMalformed,
        "did not depart",
    ),
    Fault(
        "a successor that is no member",
        member(put_status("departed", successor="m.example")),
        RosterMalformed,
        "no member",
    ),
    Fault(
        "its own successor",
        member(put_status("departed", successor=ACME)),
        RosterMalformed,
        "own successor",
    ),
    Fault(
        "an empty identity", member(put(tls_identities=[""])), RosterMalformed, "TLS identity has"
    ),
    Fault(
        "an identity too large",
        member(put(tls_identities=[format_base64(bytes(TLS_IDENTITY_BYTES_MAX + 1))])),
        RosterMalformed,
        "TLS identity has",
    ),
    Fault(
        "three identities",
        member(put(tls_identities=["YQ==", "Yg==", "Yw=="])),
        RosterMalformed,
        "at most 2",
    ),
    Fault("a short key", member(put(witness_keys=["YQ=="])), KeyMalformed, "32 bytes"),
    Fault("a key with spare bits", member(put(witness_keys=["YR=="])), RosterMalformed, "base64"),
    Fault(
        "a weak witness key",
        member(put(witness_keys=[format_base64(IDENTITY_POINT)])),
        KeyWeak,
        "low order",
    ),
    Fault(
        "a weak log key",
        log(lambda each: each["keys"][0].update(public=format_base64(IDENTITY_POINT))),
        KeyWeak,
        "low order",
    ),
    Fault(
        "a key of another member",
        member(put(witness_keys=[base64_key("nova.example/live")])),
        RosterMalformed,
        "one key stands for both acme.example/witness and nova.example/live",
    ),
    Fault(
        "one key for witness and mirror",
        member(put(mirror_keys=[base64_key("acme.example/witness")])),
        RosterMalformed,
        "one key stands for both",
    ),
    Fault(
        "one key for two lanes",
        log(lambda each: each["keys"][0].update(public=base64_key("acme.example/bulk"))),
        RosterMalformed,
        "one key stands for both acme.example/crisis and acme.example/bulk",
    ),
    Fault(
        "a governor's key in a node",
        member(put(mirror_keys=[base64_key("governor 0")])),
        RosterMalformed,
        "one key stands for both governor and acme.example/mirror",
    ),
    Fault(
        "the identity of another member",
        member(put(tls_identities=[format_base64(b"identity of nova.example")])),
        RosterMalformed,
        "one key stands for both acme.example/tls and nova.example/tls",
    ),
    Fault("a log's unknown field", log(put(size=1)), RosterMalformed, "unknown field 'size'"),
    Fault("an unknown lane", log(put(lane="slow")), RosterMalformed, "unknown word"),
    Fault("an epoch skipped", log(put(epoch=1)), RosterMalformed, "skip an epoch"),
    Fault("an epoch that is true", log(put(epoch=True)), RosterMalformed, "integer"),
    Fault(
        "lanes out of order",
        member(lambda each: each["logs"].reverse()),
        RosterMalformed,
        "in order",
    ),
    Fault("a log without key", log(put(keys=[])), RosterMalformed, "between 1 and"),
    Fault(
        "a first key with a start",
        log(lambda each: each["keys"][0].update(start=PIN)),
        RosterMalformed,
        "start",
    ),
    Fault(
        "a second key without start",
        log(lambda each: each["keys"].append({"public": base64_key("2"), "start": None})),
        RosterMalformed,
        "has a start",
    ),
    Fault(
        "a third key that starts before the second",
        log(
            lambda each: each["keys"].extend(
                {"public": base64_key(f"at {size}"), "start": PIN | {"size": size}}
                for size in (9, 7)
            )
        ),
        RosterMalformed,
        "growing sizes",
    ),
    Fault(
        "two keys that start at one size of two trees",
        log(
            lambda each: each["keys"].extend(
                {
                    "public": base64_key(f"of {digit}"),
                    "start": {"root": format_base64(bytes([digit]) * 32), "size": 7},
                }
                for digit in (1, 2)
            )
        ),
        RosterMalformed,
        "one root at one size",
    ),
    Fault(
        "an end with another root than the key that starts at its size",
        log(
            lambda each: each.update(
                keys=[
                    *each["keys"],
                    {
                        "public": base64_key("of 1"),
                        "start": {"root": format_base64(bytes([1]) * 32), "size": 7},
                    },
                ],
                pin=PIN,
            )
        ),
        RosterMalformed,
        "one root at one size",
    ),
    Fault(
        "a restart without a pin",
        member(
            lambda each: each["logs"].insert(
                1,
                {
                    "epoch": 1,
                    "keys": [{"public": base64_key("2"), "start": None}],
                    "lane": "crisis",
                    "pin": None,
                },
            )
        ),
        RosterMalformed,
        "without a pin",
    ),
    Fault("a pin without root", log(put(pin={"size": 1})), RosterMalformed, "lacks the field root"),
    Fault(
        "a pin of a short root",
        log(put(pin={"root": "YQ==", "size": 1})),
        RosterMalformed,
        "32 bytes",
    ),
    Fault(
        "a pin of nothing with a root",
        log(put(pin=PIN | {"size": 0})),
        RosterMalformed,
        "empty log",
    ),
    Fault(
        "a pin of something with the empty root",
        log(put(pin={"root": format_base64(sha256().digest()), "size": 1})),
        RosterMalformed,
        "empty log",
    ),
    Fault(
        "a pin beyond the largest log",
        lambda signed: (
            facts(lambda target: target["limits"].update(log_size=6))(signed),
            log(put(pin=PIN))(signed),
        ),
        RosterMalformed,
        "beyond the roster's limits",
    ),
]
