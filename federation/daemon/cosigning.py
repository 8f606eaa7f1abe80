"""Own heads and witnesses from outside: after a publish they are asked to cosign, all at once.

What this member says is on its way to its peers before anybody outside is asked, and no answer is
waited for: a witness that is down costs a log line, and an alarm while it stays down. A line counts
only after the witness's own key has been held against it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from federation.config import WitnessSettings
from federation.errors import FederationError, SignatureInvalid
from federation.local_errors.peers import PeerError, PeerRefused
from federation.net.witness_client import WitnessClient, WitnessReply
from federation.protocol.checkpoints import open_cosignature, open_mldsa_cosignature
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519, check_mldsa44
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.notes import format_signature_line, parse_signature_lines
from federation.protocol.origins import LogId
from federation.protocol.witness import SIZE_MEDIA_TYPE, format_add_checkpoint, parse_size
from federation.provenance.verifier import Head
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

FAILURES_BEFORE_ALARM: Final = 3
"""In a row: one lost packet is no reason to wake anybody."""

RETRY_SECONDS_FIRST: Final = 1.0
RETRY_SECONDS_MAX: Final = 300.0
"""Between two attempts at a witness that failed, twice as long each time."""

_DOUBLINGS_MAX: Final = 16


@dataclass(slots=True)
class _Foreign:
    settings: WitnessSettings
    vkey: VerifierKey
    sizes: dict[LogId, int] = field(default_factory=dict)
    due: dict[LogId, Head] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failures: Counter[LogId] = field(default_factory=Counter)  # in a row
    rests_until: dict[LogId, float] = field(default_factory=dict)  # by the loop's clock
    last_error: str = ""


class ForeignWitnesses:
    """The witnesses that the config names.

    Args:
        witnesses: who is asked.
        stores: where proofs come from, and where lines are kept.
        client: how they are reached.
    """

    def __init__(
        self, witnesses: Sequence[WitnessSettings], stores: Stores, client: WitnessClient
    ) -> None:
        self._witnesses = [_Foreign(each, parse_vkey(each.vkey)) for each in witnesses]
        self._stores, self._client = stores, client

    def published(self, head: Head) -> None:
        """An own head is durable: the witnesses are asked soon. Of one log only the newest is."""
        for witness in self._witnesses:
            witness.due[head.log] = head
            witness.wake.set()

    async def run(self) -> None:
        """Ask until cancelled: each witness at its own pace, and again after a failure."""
        await asyncio.gather(*map(self._keep_asking, self._witnesses))

    async def _keep_asking(self, witness: _Foreign) -> None:
        """Each log at its own pace: one that the witness refuses holds no other one up."""
        now = asyncio.get_running_loop().time
        while True:
            witness.wake.clear()
            for log in [log for log in witness.due if witness.rests_until.get(log, 0.0) <= now()]:
                head = witness.due.pop(log)
                if await self._ask(witness, head):
                    witness.rests_until.pop(log, None)
                    continue
                witness.due.setdefault(log, head)  # unless a newer one has come
                doublings = min(witness.failures[log] - 1, _DOUBLINGS_MAX)
                pause = min(RETRY_SECONDS_FIRST * 2**doublings, RETRY_SECONDS_MAX)
                witness.rests_until[log] = now() + pause
            again_at = min((witness.rests_until.get(log, 0.0) for log in witness.due), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(again_at):
                    await witness.wake.wait()

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told: code and sentence, as long as it stands."""
        told = "the witness {} has not cosigned {} times in a row: {}"
        return [
            (
                "witness-silent",
                told.format(each.settings.name, failures, each.last_error),
            )
            for each in self._witnesses
            if (failures := max(each.failures.values(), default=0)) >= FAILURES_BEFORE_ALARM
        ]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, witness: _Foreign, head: Head) -> bool:
        try:
            reply = await self._send(witness, head)
            if reply.status == HTTPStatus.CONFLICT and reply.media_type == SIZE_MEDIA_TYPE:
                witness.sizes[head.log] = self._seen_size(reply, head)
                reply = await self._send(witness, head)
            if reply.status != HTTPStatus.OK:
                raise PeerRefused(f"it answered {reply.status}", status=reply.status)
            await self._keep(witness, head, reply)
        except FederationError as error:
            witness.failures[head.log] += 1
            witness.last_error = error.message
            log_lines.warning(
                "the witness %s does not cosign %s: %s", witness.settings.name, head.log, error
            )
            return False
        witness.failures[head.log], witness.sizes[head.log] = 0, head.size
        return True

    async def _send(self, witness: _Foreign, head: Head) -> WitnessReply:
        old = witness.sizes.get(head.log, 0)
        proof: tuple[bytes, ...] = ()
        if 0 < old < head.size:
            proof = await self._stores.trees.consistency_proof(head.log, old, head.size)
        body = format_add_checkpoint(old, proof, head.note)
        return await self._client.add_checkpoint(witness.settings.url, body)

    def _seen_size(self, reply: WitnessReply, head: Head) -> int:
        """What the witness says to have seen; more than we ever signed is an alarm, not a lead."""
        seen = parse_size(reply.body)
        if seen > head.size:
            raise PeerError(
                f"it has signed {seen} statements of {head.log}, and this node knows {head.size}",
                hint="a restored backup, a second copy of this node or a thief looks like this",
            )
        return seen

    async def _keep(self, witness: _Foreign, head: Head, reply: WitnessReply) -> None:
        """Hold the lines against the witness's key, and keep its own."""
        text, vkey = head.checkpoint.text, witness.vkey
        try:
            lines = parse_signature_lines(reply.body.decode("utf-8"))
        except UnicodeDecodeError:
            raise SignatureInvalid("the answer is not UTF-8") from None
        line = next((each for each in lines if each.signer == (vkey.name, vkey.key_id)), None)
        if line is None:
            raise SignatureInvalid("the answer has no line by the configured key")
        if vkey.type is KeyType.COSIGNATURE_MLDSA44:
            at_seconds = open_mldsa_cosignature(head.checkpoint, line, vkey, check_mldsa44) or 0
        else:
            at_seconds = open_cosignature(text, line, vkey, check_ed25519)
        written = format_signature_line(line).removesuffix("\n")
        # Several keys may have one name: the key id tells them apart.
        witness_id = f"{vkey.name}+{vkey.key_id.hex()}"
        await self._stores.public.keep_foreign(head.log, head.size, witness_id, at_seconds, written)
