"""What ``convict`` does: attestations are held against what the node knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.cli.files import read_file, write_file
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.askers import NothingToConvict
from federation.protocol.attestations import ATTESTATION_FORMAT
from federation.protocol.bundles import decode_bundle
from federation.protocol.limits import BUNDLE_BYTES_MAX
from federation.web.proof_schemas import ConvictRequest


def convict(config_path: Path, file: Path, out: Path | None) -> Answer:
    """Make the file that convicts the first signer whom this node can convict.

    Raises:
        FederationError: the file holds no attestation, or the node does not answer.
    """
    attestations = _attestations_of(read_file(file, BUNDLE_BYTES_MAX))
    made = asyncio.run(_ask(config_path, attestations))
    if made is None:
        none = {"convicted": False, "attestations": len(attestations), "path": None}
        return Answer(none, ("nothing here contradicts what is attested",), ExitCode.NO)
    if out is None:
        return Answer(None, verbatim=made)
    write_file(out, made)
    fields: dict[str, object] = {
        "convicted": True,
        "attestations": len(attestations),
        "path": str(out),
    }
    check = f"check it: federation-verify conviction {out} --root 1.root.json"
    return Answer(fields, (f"{plain(str(out))}  {len(made)} bytes",), talk=(check,))


def _attestations_of(raw: bytes) -> Sequence[str]:
    """Those of a bundle, or the one that the file is.

    Raises:
        RequestMalformed: there is none.
    """
    if raw.startswith(ATTESTATION_FORMAT.encode()):
        return [raw.decode("utf-8", "replace")]
    try:
        found = decode_bundle(raw).attestations
    except FederationError as error:
        raise RequestMalformed(f"neither a bundle nor an attestation: {error.message}") from None
    if not found:
        raise RequestMalformed("the bundle carries no attestations")
    return found


async def _ask(config_path: Path, attestations: Sequence[str]) -> bytes | None:
    with progress("holding attestations against the store", len(attestations)) as advance:
        async with NodeClient.of(config_path) as node:
            for attestation in attestations:
                body = ConvictRequest(attestation=attestation).model_dump_json().encode()
                try:
                    return await node.send("/v1/convict", body)
                except NothingToConvict:
                    advance(1)
    return None
