"""What ``roster governor``, ``roster sign`` and ``roster publish`` do.

Signing needs one file and a key, and no network. Publishing lets nothing out that the chain would
not take, and overwrites no version that is there: two rosters of one version are evidence.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from federation.cli.amending import Sources, chain_of
from federation.cli.answers import Answer, progress
from federation.cli.client import NodeClient
from federation.cli.files import read_file, write_file, write_new_file
from federation.cli.roster_files import chain_before, keep_version, load_chain, version_file
from federation.cli.roster_showing import LAPTOP_WORDS, change_lines, short_key, tally_fields
from federation.config import load_config
from federation.daemon.initialise import write_new_files
from federation.daemon.keyring import load_signing_key
from federation.errors import RequestMalformed
from federation.protocol.keys_signing import SEED_BYTES, SigningKey, format_seed_text
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.roster import parse_roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import (
    finish,
    missing_signatures,
    parse_proposal,
    sign_proposal,
)
from federation.web.schemas import RosterAnswer, StatusAnswer


def make_governor(path: Path) -> Answer:
    """Make a governor's key: a file of mode 0600, and its public half to give away.

    Raises:
        AlreadyInitialised: the file exists.
        ConfigInvalid: it cannot be written.
    """
    seed = secrets.token_bytes(SEED_BYTES)
    write_new_files(path.parent, {Path(path.name): format_seed_text(seed).encode("ascii")})
    public = SigningKey.from_seed(seed).public.hex()
    following = f"this is the public key, to give away; {path} is secret: keep it offline"
    return Answer({"public": public, "file": str(path)}, (public,), talk=(following,))


def sign(proposal_path: Path, key_path: Path, folder: Path | None) -> Answer:
    """Add a governor's signature to a proposal, in its file.

    Args:
        proposal_path: the file; replaced by the signed one.
        key_path: the governor's key.
        folder: holds the chain it follows; needed by a governor who leaves with this version, and
            to see what it changes.

    Raises:
        FederationError: a file is wrong, or the key is no governor's.
    """
    raw = read_file(proposal_path, ROSTER_BYTES_MAX)
    key = load_signing_key(key_path)
    chain = _chain_below(parse_roster(raw).version, folder)
    before = None if chain is None else chain.newest.root_bytes
    proposal = parse_proposal(sign_proposal(raw, key, before), chain)
    tally = missing_signatures(proposal.proposal_bytes, chain)
    write_file(proposal_path, proposal.proposal_bytes)
    version = proposal.roster.version
    if version > 1 and chain is None:
        following = "the governors of the version before were not counted: --roster DIR has them"
    elif tally.is_complete:
        following = f"next: federation roster publish {proposal_path} --to DIR"
    else:
        following = "still asked: " + ", ".join(short_key(public) for public in tally.waiting)
    fields = {
        "proposal": str(proposal_path),
        "version": version,
        "changes": proposal.diff(),
        "signatures": tally_fields(tally),
    }
    parts = (f"version {version} signed by {tally}", *change_lines(proposal))
    return Answer(fields, parts, talk=(following,))


def publish(
    proposal_path: Path, to: Sequence[Path], config_paths: Sequence[Path], folder: Path | None
) -> Answer:
    """Finish a proposal, write it down, and hand it to nodes.

    Args:
        proposal_path: signed by enough governors.
        to: folders that get ``N.root.json``.
        config_paths: nodes; one without a root of trust gets its files, any other is running and
            gets the version by its local API, and the file as well.
        folder: holds the chain it follows; by default the first of ``to``, or a node's.

    Raises:
        FederationError: too few signatures, a wrong chain, a file in the way, or a node that
            refused or did not answer.
    """
    if not to and not config_paths:
        raise RequestMalformed("publish to whom?", hint="give --to DIR or --config node.toml")
    raw = read_file(proposal_path, ROSTER_BYTES_MAX)
    version = parse_roster(raw).version
    configs = [load_config(path) for path in config_paths]
    roots = [config.path(config.root_file) for config in configs]
    usual = [*to, *(root.parent for root in roots)][0]
    chain = finish(raw, _chain_below(version, folder or usual))
    written = [
        str(path) for path, is_new in (keep_version(to_one, chain) for to_one in to) if is_new
    ]
    nodes = []
    for path, root in zip(config_paths, roots, strict=True):
        if not root.exists() or version == 1:
            written += _give_root_of_trust(root, chain)
        else:
            nodes.append({"config": str(path), "version": asyncio.run(_hand_over(path, chain))})
            kept, is_new = keep_version(root.parent, chain)
            written += [str(kept)] if is_new else []
    roster = chain.newest
    minded = [LAPTOP_WORDS] if roster.is_laptop_federation else []
    if roster.is_expired(time.time_ns() // 1_000_000):
        minded.append("this version has expired already: it admits nobody")
    fields = {
        "federation": chain.federation_id,
        "version": version,
        "written": written,
        "nodes": nodes,
    }
    lines = [f"federation {chain.federation_id} is at roster version {version}"]
    lines += [f"  wrote {path}" for path in written]
    lines += [f"  in force at the node of {each['config']}" for each in nodes]
    return Answer(fields, tuple(lines), talk=tuple(minded))


def fetch(config_path: Path, folder: Path) -> Answer:
    """Write the chain that a running node follows; what is there already and equal may stay.

    Raises:
        FederationError: the node does not answer, its chain is not proven, or another file of that
            name is in the way.
    """
    chain = chain_of(Sources(config=config_path))
    written = []
    for version, root_bytes in enumerate(chain.versions, start=1):
        path = folder / version_file(version)
        written += [str(path)] if write_new_file(path, root_bytes) else []
    fields = {
        "federation": chain.federation_id,
        "version": chain.newest.version,
        "written": written,
    }
    lines = [f"federation {chain.federation_id} is at roster version {chain.newest.version}"]
    return Answer(fields, (*lines, *(f"  wrote {path}" for path in written)))


def _chain_below(version: int, folder: Path | None) -> RosterChain | None:
    """What a version follows; None for the first, and where no folder says."""
    if version == 1 or folder is None:
        return None
    return chain_before(load_chain(folder), version)


def _give_root_of_trust(root: Path, chain: RosterChain) -> list[str]:
    """The files of a node that has not started yet: it finds later versions at its peers."""
    return [str(root)] if write_new_file(root, chain.versions[0]) else []


async def _hand_over(config_path: Path, chain: RosterChain) -> int:
    """Give a running node every version it lacks; returns the version in force there."""
    with progress("handing the roster over"):
        async with NodeClient.of(config_path) as node:
            held = (await node.get("/v1/status", StatusAnswer)).roster_version
            for root_bytes in chain.versions[held:]:
                answer = await node.post("/v1/roster", root_bytes, RosterAnswer)
                held = answer.version
    return held
