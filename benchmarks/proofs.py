"""Bundles: how many a node makes a second, how many an auditor judges, and how large they are.

Made: a real node with a real SQLite store, one log under one checkpoint, three other members'
receipts on it, the roster named by its hash. Verified: those bundles, each from its bytes, by the
judge of ``federation-verify bundle``, in one process with one root of trust. Both are counted in
seconds of one core (``time.process_time``): while other work runs, they fall less than the wall's.

The size is that of a bundle from the middle of a log of ten million entries. Its tree is as deep as
a real one; all leaves but the proven one are equal, so that its hashes need not be stored.

Run it as ``python -m benchmarks.proofs --json``; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from benchmarks.publish import make_confirms
from federation.config import load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.daemon.keyring import load_keyring
from federation.daemon.node import Node
from federation.protocol.bundles import Bundle, RosterReference, decode_bundle, encode_bundle
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.keys import check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle import leaf_hash, node_hash
from federation.protocol.merkle_proofs import inclusion_proof, root_from
from federation.protocol.notes import format_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.policy import Quorum
from federation.protocol.proofs import TlogProof
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal
from federation.provenance.bundle_judge import judge_bundle

MEMBERS = ("bench.example", "one.example", "two.example", "three.example")
COSIGNATURES = len(MEMBERS) - 1
STATEMENTS = 20_480
LARGE = 10_000_000


def found(folder: Path) -> RosterChain:
    """A federation of four members in folders of their own."""
    requests = [
        initialise(folder / name, name, f"https://127.0.0.1:{port}", api_listen="127.0.0.1:0")
        for port, name in enumerate(MEMBERS, start=1)
    ]
    governor = SigningKey.from_seed(secrets.token_bytes(32))
    now_ms = time.time_ns() // 1_000_000
    proposal = propose_founding(requests, [governor.public], 1, now_ms=now_ms)
    chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
    (folder / MEMBERS[0] / "1.root.json").write_bytes(chain.versions[0])
    config = folder / MEMBERS[0] / CONFIG_FILE
    config.write_text(config.read_text().replace('127.0.0.1:1"', '127.0.0.1:0"'))
    return chain


def mirror_of(folder: Path, name: str) -> SigningKey:
    """The member's mirror key."""
    mirror = load_keyring(load_config(folder / name / CONFIG_FILE)).mirror
    assert mirror is not None, "every member that init made has one"
    return mirror


async def make_bundles(folder: Path, statements: int, bundles: int) -> tuple[list[bytes], float]:
    """So many bundles of a log of so many statements, and the seconds of one core they took."""
    node = await Node.open(load_config(folder / MEMBERS[0] / CONFIG_FILE))
    await node.start()
    try:
        said = [
            each
            for start in range(0, statements, 1_024)
            for each in await node.publisher.confirm(
                Lane.LIVE, make_confirms(min(1_024, statements - start))
            )
        ]
        note = node.replicator.newest_note(said[0].log)
        assert note is not None, "it was published a moment ago"
        verifier = node.membership.verifier
        head, federation = verifier.open_head(note), said[0].log.federation_id
        for name in MEMBERS[1:]:
            key = mirror_of(folder, name)
            cosigner = cosigner_name(name, federation, Cosigner.MIRROR)
            line = format_signature_line(
                cosign(head.checkpoint.text, cosigner, key, int(time.time()))
            )
            receipt = verifier.open_receipt(head, name, Cosigner.MIRROR, line.removesuffix("\n"))
            await node.stores.receipts.keep_receipts([receipt])
        chosen = [said[len(said) * at // bundles] for at in range(bundles)]
        begun = time.process_time()
        made = [await node.prover.bundle(each.id, with_chain=False) for each in chosen]
        return made, time.process_time() - begun
    finally:
        await node.close()


def verify_all(bundles: list[bytes], root: bytes) -> float:
    """Seconds of one core for judging all of them; each must pass with its three cosigners."""
    begun = time.process_time()
    for bundle in bundles:
        report = judge_bundle(bundle, root, Quorum(COSIGNATURES), check_ed25519)
        if not report.is_verified:
            raise SystemExit(f"a bundle did not verify: {report.failed_step}")
    return time.process_time() - begun


def bytes_at(size: int, bundle: bytes, folder: Path, chain: RosterChain) -> int:
    """The bytes of the same statement's bundle in a log of that size; it must verify as well."""
    statement = decode_bundle(bundle).statement
    leaf, index = leaf_hash(statement.id.entry), size // 2
    other = leaf_hash(bytes(32))

    @cache
    def equal(level: int) -> bytes:
        return other if level == 0 else node_hash(equal(level - 1), equal(level - 1))

    def node(level: int, at: int) -> bytes:
        if index >> level != at:
            return equal(level)
        if level == 0:
            return leaf
        return node_hash(node(level - 1, 2 * at), node(level - 1, 2 * at + 1))

    log = LogId(MEMBERS[0], chain.federation_id, Lane.LIVE)
    checkpoint = Checkpoint(log.origin, size, root_from(size, node))
    keyring = load_keyring(load_config(folder / MEMBERS[0] / CONFIG_FILE))
    note = sign_checkpoint(checkpoint, keyring.logs[Lane.LIVE])
    lines = [
        cosign(
            checkpoint.text,
            cosigner_name(name, chain.federation_id, Cosigner.MIRROR),
            mirror_of(folder, name),
            int(time.time()),
        )
        for name in MEMBERS[1:]
    ]
    proof = TlogProof(index, inclusion_proof(index, size, node), None, add_signatures(note, lines))
    reference = RosterReference(1, chain.newest.decision_sha256.hex(), None)
    large = encode_bundle(Bundle(statement, proof, reference))
    verify_all([large], chain.versions[0])
    return len(large)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the statements, 0 to 1")
    scale = parser.parse_args().scale
    statements = max(256, int(STATEMENTS * scale))
    bundles = max(64, int(4_096 * scale))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chain = found(folder)
        made, seconds = asyncio.run(make_bundles(folder, statements, bundles))
        verified = verify_all(made, chain.versions[0])
        answer = {
            "cosignatures": COSIGNATURES,
            "made_per_s": round(len(made) / seconds, 1),
            "verified_per_s": round(len(made) / verified, 1),
            "bundle_bytes_at_10m": bytes_at(LARGE, made[0], folder, chain),
        }
    sys.stderr.write(
        f"{answer['cosignatures']} cosignatures: {answer['made_per_s']:,.0f} made/s and "
        f"{answer['verified_per_s']:,.0f} verified/s of a core; "
        f"{answer['bundle_bytes_at_10m']:,} bytes at ten million entries\n"
    )
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
