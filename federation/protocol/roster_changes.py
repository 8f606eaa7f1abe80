"""Rosters for people: every fact as one line, so that two versions can be compared by eye.

A governor signs what these lines say. So each fact of a roster has a line, each line can be
understood alone, and a change is lines that went and lines that came: nothing changes without one.
Keys are numbered, because the last of several is the one in use. Nothing is abbreviated.

Source: docs/spec/roster.md, "Proposals".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256

from federation.protocol.origins import Cosigner
from federation.protocol.roster import Roster
from federation.protocol.roster_fields import EXTENSION_PREFIX, Json, plain_json
from federation.protocol.roster_members import Member, MemberLog, Pin
from federation.protocol.roster_root import FACTS_FIELD


def describe_roster(roster: Roster) -> list[str]:
    """Every fact of a roster, one line each; version 1 has no federation id, but makes it."""
    limits = roster.limits
    signed = json.loads(roster.root_bytes)["signed"]
    lines = [] if roster.version == 1 else [f"federation {roster.federation_id}"]
    lines += [
        f"version {roster.version}",
        f"expires {format_time(roster.expires_at_ms)}",
        f"governors {roster.threshold} of {len(roster.governors)} decide",
    ]
    if roster.is_laptop_federation:
        lines.append("governors one person alone decides: fit for trying out, not for a federation")
    lines += [f"governor {public.hex()}" for public in roster.governors]
    lines += [
        f"limit log_size {limits.log_size}",
        f"limit epochs {limits.epochs}",
        f"limit body_bytes {limits.body_bytes}",
        f"public delay {roster.public_delay_seconds} s",
        f"TUF specification {signed['spec_version']}",
    ]
    for member in roster.members.values():
        lines += _describe_member(member)
    lines += [f"withdrawn {statement_id}" for statement_id in sorted(map(str, roster.withdrawn))]
    lines += [f"erased {statement_id}" for statement_id in sorted(map(str, roster.erased))]
    lines += [f"{path} {text}" for path, text in _extensions(plain_json(signed))]
    return lines


def describe_changes(before: Roster | None, after: Roster) -> list[str]:
    """The lines that went, after ``- ``, and those that came, after ``+ ``.

    Args:
        before: None for a founding: then everything came.
        after: the later roster.
    """
    old = [] if before is None else describe_roster(before)
    new = describe_roster(after)
    kept = set(old) & set(new)
    went = [f"- {line}" for line in old if line not in kept]
    came = [f"+ {line}" for line in new if line not in kept]
    return went + came


def format_time(at_ms: int) -> str:
    """UTC to the second, as in TUF metadata."""
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe_member(member: Member) -> Iterator[str]:
    name = member.name
    yield "  ".join((f"member {name}", *(member.urls or ("calls others only",))))
    yield f"member {name} is {' and '.join(sorted(member.roles))}, {member.status}"
    if member.successor is not None:
        yield f"member {name} is succeeded by {member.successor}"
    for log in member.logs:
        yield from _describe_log(name, log)
    for cosigner in Cosigner:
        for number, public in enumerate(member.cosigner_keys(cosigner), start=1):
            yield f"member {name} {cosigner} key {number} {public.hex()}"
    for purpose, public in member.mldsa44_keys:
        yield f"member {name} {purpose} ML-DSA-44 key sha256 {sha256(public).hexdigest()}"
    for number, der in enumerate(member.tls_identities, start=1):
        yield f"member {name} TLS identity {number} sha256 {sha256(der).hexdigest()}"


def _describe_log(name: str, log: MemberLog) -> Iterator[str]:
    lane = f"{log.lane}/{log.epoch}" if log.epoch else f"{log.lane}"
    for number, key in enumerate(log.keys, start=1):
        start = "" if key.start is None else f" from {_describe_pin(key.start)}"
        yield f"member {name} {lane} key {number} {key.public.hex()}{start}"
    if log.pin is not None:
        yield f"member {name} {lane} ends at {_describe_pin(log.pin)}"


def _describe_pin(pin: Pin) -> str:
    return f"size {pin.size} root {pin.root_hash.hex()}"


def _extensions(value: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    # Each x- field, at any depth, as its path and its JSON; the facts' own name is one.
    if isinstance(value, list):
        for position, part in enumerate(value):
            name = part.get("name") if isinstance(part, dict) else None
            yield from _extensions(part, (*path, name if isinstance(name, str) else f"{position}"))
    elif isinstance(value, dict):
        for name in sorted(value):
            if name.startswith(EXTENSION_PREFIX) and name != FACTS_FIELD:
                yield " ".join((*path, name)), json.dumps(value[name], sort_keys=True)
            else:
                yield from _extensions(value[name], (*path, name))
