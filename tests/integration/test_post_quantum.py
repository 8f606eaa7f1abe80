"""The post-quantum switch: second lines that a stranger verifies, and who asks for them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint as ScalesCheckpoint

from federation.config import load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.daemon.log_fetch import Fetch
from federation.daemon.node import Node
from federation.daemon.public_desk import signed_note
from federation.errors import KeyMalformed, RosterMalformed, SignatureInvalid
from federation.protocol.join_requests import parse_join_request
from federation.protocol.keys import VerifierKey
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.roster_changes import describe_roster
from federation.protocol.roster_directory import cosigner_mldsa44_vkey, log_mldsa44_vkey
from federation.protocol.roster_mldsa import read_mldsa44_keys
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal
from federation.protocol.texts import format_base64
from federation.provenance.verifier import VerifiedStatement
from tests.builders import make_confirm
from tests.integration.conftest import until
from tests.ports import free_ports

A = "a.example"


async def started(folder: Path, stack: AsyncExitStack) -> Node:
    """A federation of one member with second keys, running."""
    peers, api = free_ports(2)
    request = initialise(
        folder, A, f"https://127.0.0.1:{peers}", api_listen=f"127.0.0.1:{api}", post_quantum=True
    )
    governor = SigningKey.from_seed(bytes(range(32)))
    proposal = propose_founding([request], [governor.public], 1, now_ms=time.time_ns() // 1_000_000)
    chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
    await asyncio.to_thread((folder / "1.root.json").write_bytes, chain.versions[0])
    node = await Node.open(load_config(folder / CONFIG_FILE))
    stack.push_async_callback(node.close)
    await node.start()
    return node


async def published(node: Node) -> tuple[VerifiedStatement, bytes]:
    """A statement, and its checkpoint as soon as it has its second line."""
    (statement,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
    notes: list[bytes] = []

    async def is_signed_twice() -> bool:
        head = await node.stores.public.public_head(statement.log, 2**62)
        if head is not None and head.lines:
            notes.append(signed_note(head))
        return bool(notes)

    await until(is_signed_twice)
    return statement, notes[0]


class Host:
    """Gives one checkpoint."""

    def __init__(self, note: bytes) -> None:
        self._note = note

    async def fetch(self, path: str, bytes_max: int) -> bytes:
        return self._note


async def test_a_second_line_stands_under_own_heads_and_is_verified_by_a_stranger(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as stack:
        node = await started(tmp_path / "a", stack)
        statement, note = await published(node)
        roster = node.membership.roster
        vkey = log_mldsa44_vkey(roster, statement.log)
        assert vkey is not None
        checkpoint = ScalesCheckpoint.from_text(note.decode())
        checkpoint.verify(Vkey.from_string(vkey.format()))
        checkpoint.verify(Vkey.from_string(roster.log_vkey(statement.log).format()))
        # Who asks for it gets it, and refuses a head without.
        first = roster.log_vkey(statement.log)
        fetch = Fetch(Host(note), tmp_path, first, second=vkey)  # type: ignore[arg-type]
        assert 1 == (await fetch.head())[0].size
        bare = node.replicator.newest_note(statement.log)
        assert bare is not None
        with pytest.raises(SignatureInvalid):
            await Fetch(Host(bare), tmp_path, first, second=vkey).head()  # type: ignore[arg-type]
        broken = bytearray(note)
        at = note.rindex(b"=") - 9
        broken[at] = ord("A") if broken[at] != ord("A") else ord("B")
        with pytest.raises(SignatureInvalid):
            await Fetch(Host(bytes(broken)), tmp_path, first, second=vkey).head()  # type: ignore[arg-type]


async def test_the_witness_gives_a_second_line_too(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        node = await started(tmp_path / "a", stack)
        statement, _ = await published(node)
        await node.outside.witness.catch_up(statement.log)
        note = await node.outside.witness.monitored(statement.log.sha256, 2**62)
        roster = node.membership.roster
        second = cosigner_mldsa44_vkey(roster, A, Cosigner.WITNESS)
        assert second is not None
        for vkey in (second, roster.cosigner_vkey(A, Cosigner.WITNESS)):
            ScalesCheckpoint.from_text(note.decode()).verify(Vkey.from_string(vkey.format()))


def test_the_request_proves_its_second_keys_and_the_roster_shows_them(tmp_path: Path) -> None:
    request = initialise(tmp_path / "a", A, "https://127.0.0.1:7001", post_quantum=True)
    assert sorted([*Lane, *Cosigner]) == [purpose for purpose, _ in request.mldsa44_keys]
    with pytest.raises(SignatureInvalid):
        parse_join_request(request.request_bytes, check_second=lambda *_: False)
    governor = SigningKey.from_seed(bytes(32))
    proposal = propose_founding([request], [governor.public], 1, now_ms=0)
    chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
    told = [line for line in describe_roster(chain.newest) if "ML-DSA-44" in line]
    assert 5 == len(told)
    assert request.mldsa44_keys == chain.newest.member(A).mldsa44_keys
    key: VerifierKey | None = log_mldsa44_vkey(chain.newest, next(iter(chain.newest.logs)))
    assert key is not None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({}, RosterMalformed),
        ([], RosterMalformed),
        (None, RosterMalformed),
        ({"tls": format_base64(bytes(1_312))}, RosterMalformed),
        ({"live": format_base64(bytes(1_311))}, KeyMalformed),
        ({"live": "no base64"}, RosterMalformed),
        ({"live": 7}, RosterMalformed),
    ],
)
def test_bad_second_keys_are_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_mldsa44_keys(value)  # type: ignore[arg-type]
