"""What ``roster propose`` does: write the next roster version as a file for governors to sign."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from federation.cli.answers import Answer, plain
from federation.cli.files import read_file, write_new_file
from federation.cli.roster_files import load_chain
from federation.cli.roster_showing import LAPTOP_WORDS, change_lines
from federation.errors import KeyMalformed, OriginMalformed, RequestMalformed, RosterMalformed
from federation.protocol.join_requests import JoinRequest, parse_join_request
from federation.protocol.keys import check_public_key
from federation.protocol.limits import LOG_SIZE_MAX
from federation.protocol.limits_messages import JOIN_REQUEST_BYTES_MAX
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.roster_members import EMPTY_PIN, MemberRole, Pin
from federation.protocol.roster_proposals import (
    Proposal,
    propose_add,
    propose_founding,
    propose_governors,
    propose_refresh,
)

_KEY = re.compile(r"[0-9a-f]{64}\Z")
_PIN = re.compile(
    r"(?P<log>[a-z]+(?:/[0-9]+)?):(?P<size>[0-9]{1,13})(?::(?P<root>[0-9a-f]{64}))?\Z"
)

PIN_HINT: Final = (
    "--pin live:SIZE:ROOT for each of its open logs, with the root hash in hex; live:0 for one "
    "that never published"
)


def found(
    requests: Sequence[Path],
    governors: Sequence[str],
    threshold: int | None,
    *,
    expires_days: int,
    out: Path | None,
) -> Answer:
    """Propose version 1, with everyone who asked.

    Raises:
        FederationError: a request, a key or the threshold is wrong, or the file exists already.
    """
    keys = [parse_governor(text) for text in governors]
    proposal = propose_founding(
        [read_request(path) for path in requests],
        keys,
        majority(len(keys)) if threshold is None else threshold,
        now_ms=_now_ms(),
        expires_days=expires_days,
    )
    return written(proposal, out)


def add(
    request: Path, roles: Sequence[str], folder: Path, *, expires_days: int, out: Path | None
) -> Answer:
    """Propose one more member.

    Raises:
        FederationError: the request or the chain is wrong, or the file exists already.
    """
    proposal = propose_add(
        load_chain(folder),
        read_request(request),
        now_ms=_now_ms(),
        roles=frozenset(parse_role(role) for role in roles),
        expires_days=expires_days,
    )
    return written(proposal, out)


def refresh(folder: Path, *, expires_days: int, out: Path | None) -> Answer:
    """Propose the same roster with a later expiry.

    Raises:
        FederationError: the chain is wrong, or the file exists already.
    """
    chain = load_chain(folder)
    return written(propose_refresh(chain, now_ms=_now_ms(), expires_days=expires_days), out)


def govern(
    governors: Sequence[str],
    threshold: int | None,
    folder: Path,
    *,
    expires_days: int,
    out: Path | None,
) -> Answer:
    """Propose other governors.

    Raises:
        FederationError: a key, the threshold or the chain is wrong, or the file exists already.
    """
    keys = [parse_governor(text) for text in governors]
    proposal = propose_governors(
        load_chain(folder),
        keys,
        majority(len(keys)) if threshold is None else threshold,
        now_ms=_now_ms(),
        expires_days=expires_days,
    )
    return written(proposal, out)


# --- reading arguments ----------------------------------------------------------------------------


def parse_governor(text: str) -> bytes:
    """A governor's public key, as ``federation roster governor`` prints it.

    Raises:
        KeyMalformed: not 64 lower-case hex digits.
        KeyWeak: a key that can bind nobody.
    """
    if not _KEY.match(text):
        raise KeyMalformed(
            "a governor's public key is 64 lower-case hex digits",
            hint="`federation roster governor FILE` makes a key and prints it",
        )
    public = bytes.fromhex(text)
    check_public_key(public)
    return public


def parse_role(text: str) -> MemberRole:
    """What a member may do.

    Raises:
        RequestMalformed: no role there is.
    """
    try:
        return MemberRole(text)
    except ValueError:
        raise RequestMalformed(f"a role is one of: {', '.join(MemberRole)}") from None


def read_request(path: Path) -> JoinRequest:
    """A join request, its proofs checked.

    Raises:
        RequestMalformed: the file cannot be read.
        ProtocolError, SignatureInvalid: see :func:`parse_join_request`.
    """
    return parse_join_request(read_file(path, JOIN_REQUEST_BYTES_MAX))


def majority(governors: int) -> int:
    """How many decide unless somebody says otherwise: more than half."""
    return governors // 2 + 1


def parse_pin(text: str, member: str, federation_id: str) -> tuple[LogId, Pin]:
    """Where a log ends: ``LANE[/EPOCH]:SIZE:ROOT``, or ``LANE:0`` for an empty one.

    Raises:
        RequestMalformed: anything else.
    """
    named = _PIN.match(text)
    if not named or int(named["size"]) > LOG_SIZE_MAX:
        raise RequestMalformed("a pin is LANE:SIZE:ROOT", hint=PIN_HINT)
    try:
        log = parse_origin(f"{member}/{federation_id}/{named['log']}")
        if named["root"] is None and int(named["size"]) == 0:
            return log, EMPTY_PIN
        return log, Pin(int(named["size"]), bytes.fromhex(named["root"] or ""))
    except (OriginMalformed, RosterMalformed) as error:
        raise RequestMalformed(f"a pin: {error.message}", hint=PIN_HINT) from None


# --- writing --------------------------------------------------------------------------------------


def written(proposal: Proposal, out: Path | None) -> Answer:
    """Write a proposal into a new file, and say what it changes.

    Raises:
        RequestMalformed: the file is there already.
        ConfigInvalid: it cannot be written.
    """
    roster = proposal.roster
    path = out or Path(f"{roster.version}.root.proposal.json")
    write_new_file(path, proposal.proposal_bytes)
    fields = {"proposal": str(path), "version": roster.version, "changes": proposal.diff()}
    minded = (LAPTOP_WORDS,) if roster.is_laptop_federation else ()
    following = (*minded, f"next: federation roster sign {path} --key FILE")
    parts = (f"version {roster.version} proposed: {plain(str(path))}", *change_lines(proposal))
    return Answer(fields, parts, talk=following)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
