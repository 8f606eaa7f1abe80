"""What ``roster show`` shows: who governs, who is a member, under which keys, until when.

Keys are shown by their first digits, which is enough to compare two rosters on the telephone and
not enough to trust one; ``--json`` has them whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from federation.cli.answers import Answer, plain
from federation.cli.exits import ExitCode
from federation.cli.files import read_file
from federation.cli.roster_files import chain_before, chain_of_config, load_chain
from federation.errors import RequestMalformed
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.origins import Cosigner
from federation.protocol.roster import Roster, parse_roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_changes import format_time
from federation.protocol.roster_members import Member
from federation.protocol.roster_proposals import Proposal, missing_signatures, parse_proposal
from federation.protocol.roster_walk import verify_chain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from federation.protocol.roster_drafts import SignatureTally

LAPTOP_WORDS: Final = "one governor alone decides: fine for trying out, not for a federation"

KEY_DIGITS: Final = 8
"""Of a public key, or of the SHA-256 of a TLS identity."""

NO_KEY: Final = "-"
DAY_MS: Final = 24 * 3_600 * 1_000


def show(files: Sequence[Path], folder: Path | None, config_path: Path | None) -> Answer:
    """Show a chain, one version, or a proposal.

    Args:
        files: versions from the first on, or a single version or proposal.
        folder: holds the chain; with a file beside it, what that file follows.
        config_path: a node, whose root of trust the chain starts with.

    Returns:
        A no where what is shown is not proven: too few signatures, or no way to tell.

    Raises:
        FederationError: a file is missing or malformed, or the chain does not hold.
    """
    if folder is not None and config_path is not None:
        raise RequestMalformed("--roster and --config both say where the chain is: give one")
    raws = [read_file(path, ROSTER_BYTES_MAX) for path in files]
    if len(raws) > 1:
        if folder is not None or config_path is not None:
            raise RequestMalformed("several files are a chain by themselves: no --roster, --config")
        return _show_chain(verify_chain(raws))
    chain = None
    if folder is not None:
        chain = load_chain(folder)
    elif config_path is not None:
        chain = chain_of_config(config_path)
    if raws:
        return _show_one(raws[0], chain)
    return _show_chain(load_chain(Path()) if chain is None else chain)


def change_lines(proposal: Proposal) -> list[RenderableType]:
    """What a proposal changes, for the governor who is asked to sign it."""
    return [
        Text(f"  {plain(line)}", style="red" if line.startswith("-") else "green")
        for line in proposal.diff()
    ]


def tally_fields(tally: SignatureTally) -> dict[str, object]:
    """Who has signed, for ``--json``; each pair is signed and needed."""
    return {
        "complete": tally.is_complete,
        "governors_before": None if tally.old is None else list(tally.old),
        "governors": list(tally.own),
        "waiting": [public.hex() for public in tally.waiting],
    }


# --- one version, or all -------------------------------------------------------------------------


def _show_chain(chain: RosterChain) -> Answer:
    roster = chain.newest
    proof = "proven" if roster.version == 1 else "proven by the chain from version 1"
    fields = {**_roster_fields(roster, chain.federation_id), "proven": True, "signatures": None}
    return Answer(fields, tuple(_roster_parts(roster, chain.federation_id, proof)))


def _show_one(raw: bytes, chain: RosterChain | None) -> Answer:
    roster = parse_roster(raw)
    if roster.version == 1:
        chain = None
    elif chain is not None:
        chain = chain_before(chain, roster.version)
    tally = missing_signatures(raw, chain)
    is_proven = tally.is_complete and (roster.version == 1 or chain is not None)
    if is_proven:
        proof = f"signed by {tally}"
    elif tally.is_complete:
        proof = f"signed by {tally}; not compared with the version before (--roster DIR)"
    else:
        waiting = ", ".join(short_key(public) for public in tally.waiting)
        proof = f"PROPOSAL, signed by {tally}; not yet by {waiting}"
    # Version 1 has no name until it is signed: the federation's id is made of its bytes.
    is_named = roster.version > 1 or tally.is_complete
    federation_id = roster.federation_id if is_named else None
    parts = list(_roster_parts(roster, federation_id, proof))
    if chain is not None:
        parts += ["changes", *change_lines(parse_proposal(raw, chain))]
    fields = _roster_fields(roster, federation_id)
    fields |= {"proven": is_proven, "signatures": tally_fields(tally)}
    return Answer(fields, tuple(parts), ExitCode.YES if is_proven else ExitCode.NO)


# --- parts ----------------------------------------------------------------------------------------


def short_key(public: bytes) -> str:
    """The first digits of a public key."""
    return f"{public.hex()[:KEY_DIGITS]}…"


def _roster_parts(
    roster: Roster, federation_id: str | None, proof: str
) -> Iterator[RenderableType]:
    if roster.is_laptop_federation:
        yield Text(LAPTOP_WORDS, style="bold yellow")
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    about.add_row("federation", federation_id or "gets its id when version 1 is signed")
    about.add_row("version", f"{roster.version}, {proof}")
    about.add_row("expires", _expiry(roster))
    keys = ", ".join(short_key(public) for public in roster.governors)
    about.add_row("governors", f"{roster.threshold} of {len(roster.governors)} decide: {keys}")
    taken_back = len(roster.withdrawn) + len(roster.erased)
    if taken_back:
        about.add_row("decisions", f"{taken_back} statements taken back by governance")
    yield about
    members = _table("member", "roles", "reached at")
    keyring = _table("member", "crisis", "live", "bulk", "witness", "mirror", "TLS")
    for member in roster.members.values():
        roles = ", ".join(sorted(member.roles))
        state = roles if member.is_active else f"{roles} ({member.status})"
        members.add_row(member.name, state, "\n".join(member.urls) or "calls others only")
        keyring.add_row(member.name, *_short_keys(member))
    yield members
    yield keyring


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _short_keys(member: Member) -> Iterator[str]:
    logs = {log.lane: log for log in member.logs}  # by epoch: the last one of a lane stays
    for lane in ("crisis", "live", "bulk"):
        log = next((log for name, log in logs.items() if name == lane), None)
        yield short_key(log.public) if log else NO_KEY
    for cosigner in Cosigner:
        keys = member.cosigner_keys(cosigner)
        yield short_key(keys[-1]) if keys else NO_KEY
    identities = member.tls_identities
    yield short_key(sha256(identities[-1]).digest()) if identities else NO_KEY


def _expiry(roster: Roster) -> Text:
    now_ms = time.time_ns() // 1_000_000
    days = (roster.expires_at_ms - now_ms) // DAY_MS
    on = f"{datetime.fromtimestamp(roster.expires_at_ms / 1_000, UTC):%Y-%m-%d}"
    if roster.is_expired(now_ms):
        return Text(f"{on}: EXPIRED, it admits nobody", style="bold red")
    return Text(f"{on}, in {days} days")


def _roster_fields(roster: Roster, federation_id: str | None) -> dict[str, object]:
    return {
        "federation": federation_id,
        "version": roster.version,
        "expires": format_time(roster.expires_at_ms),
        "governors": [public.hex() for public in roster.governors],
        "threshold": roster.threshold,
        "one_governor_alone_decides": roster.is_laptop_federation,
        "members": [_member_fields(member) for member in roster.members.values()],
    }


def _member_fields(member: Member) -> dict[str, object]:
    return {
        "member": member.name,
        "roles": sorted(member.roles),
        "status": member.status.value,
        "successor": member.successor,
        "urls": list(member.urls),
        "logs": [
            {"lane": log.lane.value, "epoch": log.epoch, "key": log.public.hex()}
            for log in member.logs
        ],
        "witness": [public.hex() for public in member.witness_keys],
        "mirror": [public.hex() for public in member.mirror_keys],
        "tls_sha256": [sha256(der).hexdigest() for der in member.tls_identities],
    }
