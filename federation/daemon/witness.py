"""This node as a witness: it signs heads of the federation's logs, all of one history each.

Two ways lead here. Whatever head the node itself accepted is signed soon after, by :meth:`run`; and
anybody may send a log's head with a proof (C2SP ``add-checkpoint``). Both move one state per log,
each by one compare-and-swap, after the state was brought up to what this node accepted: the two
ways can never sign two histories between them. A log under evidence is signed no more.

Source: docs/spec/witness.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from federation.daemon.accusations import Accusations
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.own_keys import KeyOf
from federation.daemon.second_lines import SecondLines
from federation.errors import (
    CheckpointMalformed,
    FederationError,
    LogUnknown,
    ProtocolError,
    VerificationError,
)
from federation.local_errors.askers import LogNotFound, RangeNotHeld, SigningStopped
from federation.local_errors.config import KeyFileInvalid
from federation.local_errors.disk import StoreConflict, StoreError
from federation.local_errors.proofs import ConsistencyUnproven, WitnessBehind, WitnessConflict
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.checkpoints_signing import cosign
from federation.protocol.keys import check_ed25519
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.notes import (
    format_signature_line,
    parse_note,
    parse_signature_lines,
)
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner, LogId
from federation.protocol.roster_directory import log_by_sha256
from federation.protocol.witness import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    format_size,
    parse_add_checkpoint,
)
from federation.provenance.witnessing import ProposedHead, check_follows, open_proposed
from federation.store.public_store import HeldHead
from federation.store.stores import Stores
from federation.store.witness_store import UNSEEN, WitnessedHead

log_lines = logging.getLogger(__name__)

WITNESS_SECONDS: Final = 1.0
"""How often accepted heads are signed: newest heads only, at most one of a log in a second."""

RETRY_SECONDS: Final = 30.0
"""Until a head is tried again that the disk, or a missing key, kept from being signed."""

TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What the witness answers over HTTP.

    Attributes:
        status: 200, 400, 403, 404, 409 or 422, as C2SP tlog-witness says.
        body: the signature line, the size signed last, or a sentence.
        media_type: of the body.
    """

    status: int
    body: bytes
    media_type: str = TEXT


class Witness:
    """Signs heads as this member's witness.

    Args:
        key_of: gives the witness's key, which signs nothing else, by its public half.
        member: this node's member.
        stores: its state, and what this node holds itself.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
        alarm: tells operators: code and sentence.
        second: makes the post-quantum line; None where there is none.
        guard: says whether anything may be signed, and keeps what was.
        accusations: takes what convicts a log.
    """

    def __init__(
        self,
        key_of: KeyOf,
        member: str,
        stores: Stores,
        membership: Membership,
        unix_ms: Callable[[], int],
        alarm: Callable[[str, str], None],
        second: SecondLines | None = None,
        *,
        guard: Guard,
        accusations: Accusations,
    ) -> None:
        self._guard, self._accusations = guard, accusations
        self._key_of, self._member, self._second = key_of, member, second
        self._stores, self._membership = stores, membership
        self._unix_ms, self._alarm = unix_ms, alarm
        self._moving: dict[LogId, asyncio.Lock] = {}
        self._accepted: set[LogId] = set()
        self._wake = asyncio.Event()

    def accepted(self, log: LogId) -> None:
        """A head of a log was accepted: it is signed soon, where this node is a witness."""
        if not self._membership.roster.member(self._member).witness_keys:
            return
        self._accepted.add(log)
        self._wake.set()

    async def run(self) -> None:
        """Sign what was accepted until cancelled.

        What comes while nothing may be signed waits here: before the peers were asked at the start,
        and until a person has decided where signing stopped.
        """
        while True:
            await self._wake.wait()
            if not self._guard.may_sign:
                await asyncio.sleep(WITNESS_SECONDS)
                continue
            self._wake.clear()
            logs, self._accepted = self._accepted, set()
            for log in sorted(logs, key=lambda each: each.origin):
                try:
                    await self.catch_up(log)
                except (StoreConflict, SigningStopped):
                    self.accepted(log)  # another head or a stop came meanwhile: with the next ones
                except (StoreError, KeyFileInvalid) as error:
                    log_lines.error("the witness does not sign %s yet: %s", log, error)
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self.accepted, log)
                except FederationError as error:
                    log_lines.error("the witness does not sign %s: %s", log, error)
            await asyncio.sleep(WITNESS_SECONDS)

    async def catch_up(self, log: LogId) -> WitnessedHead:
        """Sign the newest head that this node accepted of a log, unless it is signed already.

        Returns:
            The witness's state of the log.

        Raises:
            WitnessConflict: what the node holds is not the history that was signed.
            StoreError: the state could not be made durable.
        """
        async with self._lock_of(log):
            state, _ = await self._caught_up(log)
            return state

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer a log's request (C2SP tlog-witness), durably before it is answered.

        Raises:
            StoreError: the state could not be made durable; nothing was signed for anybody.
        """
        try:
            request = parse_add_checkpoint(body)
        except ProtocolError as error:
            return _refused(400, error)
        try:
            proposed = open_proposed(request, self._membership.roster, check_ed25519)
        except LogUnknown as error:
            return _refused(404, error)
        except FederationError as error:
            return _refused(403, error)
        async with self._lock_of(proposed.log):
            return await self._judge(request, proposed)

    async def monitored(self, origin_sha256: bytes, kept_before_ms: int) -> bytes:
        """The newest head that was signed until a time, with the log's line and the witness's.

        Args:
            origin_sha256: SHA-256 of the log's origin.
            kept_before_ms: Unix milliseconds.

        Raises:
            LogNotFound: no log of that name, or nothing of it was signed until then.
        """
        try:
            log = log_by_sha256(self._membership.roster, origin_sha256)
        except LogUnknown as error:
            raise LogNotFound(error.message) from None
        head = await self._stores.witness.public_head(log, kept_before_ms)
        if head is None:
            raise LogNotFound(f"this witness has signed nothing of {log} yet")
        return add_signatures(head.note, parse_signature_lines(f"{head.line}\n"))

    # --- the state of one log, under its lock ---------------------------------------------------

    async def _judge(self, request: AddCheckpoint, proposed: ProposedHead) -> WitnessAnswer:
        try:
            state, held = await self._caught_up(proposed.log)
            check_follows(
                proposed,
                request.old_size,
                request.proof,
                seen_size=state.size,
                seen_root=state.root_hash,
            )
            await self._check_held(proposed.log, proposed.size, proposed.root_hash, proposed.note)
            signed = await self._sign(proposed.log, state, proposed, held.head_size if held else 0)
        except WitnessBehind as error:
            return WitnessAnswer(409, format_size(error.size), SIZE_MEDIA_TYPE)
        except StoreConflict:
            # What this node accepts itself has moved the state: the asker learns where to.
            moved, _ = await self._caught_up(proposed.log)
            return WitnessAnswer(409, format_size(moved.size), SIZE_MEDIA_TYPE)
        except (WitnessConflict, SigningStopped) as error:
            return _refused(403, error)
        except (ProtocolError, VerificationError) as error:
            if isinstance(error, ConsistencyUnproven):
                await self._keep_if_fork(proposed)
            return _refused(422, error)
        return WitnessAnswer(200, f"{signed.line}\n".encode())

    async def _caught_up(self, log: LogId) -> tuple[WitnessedHead, HeldHead | None]:
        """The state after signing what this node accepted, and what that is."""
        if await self._stores.evidence.of_log(log):
            raise WitnessConflict(f"{log} is under evidence: its heads are signed no more")
        state = await self._stores.witness.newest(log)
        held = await self._stores.public.held_head(log)
        if held is None:
            return state, None
        await self._check_held(log, state.size, state.root_hash, state.note)
        # Where more was signed than is held yet, nobody can say so far whether it is one history.
        if held.head_size <= state.size or state.size > held.held:
            return state, held
        checkpoint = parse_checkpoint(parse_note(held.head_note).text)
        head = ProposedHead(
            log, checkpoint.size, checkpoint.root_hash, checkpoint.text, held.head_note
        )
        return await self._sign(log, state, head, held.head_size), held

    async def _check_held(self, log: LogId, size: int, root_hash: bytes, note: bytes) -> None:
        """Whether a head is one of the statements held here, as far as they reach."""
        if size == 0:
            return
        try:
            ours = await self._stores.trees.root_hash(log, size)
        except (RangeNotHeld, LogNotFound):
            return
        if ours == root_hash:
            return
        await self._accusations.report_against_own(log, size, note)
        self._alarm(
            "witness-conflict", f"{log} signed a head of {size} that is not of what is held here"
        )
        raise WitnessConflict(f"that head of {log} is not of the statements held here")

    async def _sign(
        self, log: LogId, state: WitnessedHead, head: ProposedHead, accepted_size: int
    ) -> WitnessedHead:
        """Sign, and move the state; the line exists for nobody before it is durable.

        Raises:
            SigningStopped: a person must look at this node first.
        """
        self._guard.check_may_sign()
        roster, now_ms = self._membership.roster, self._unix_ms()
        vkey = roster.cosigner_vkey(self._member, Cosigner.WITNESS)
        key = self._key_of(vkey.public)
        if key is None:
            raise KeyFileInvalid("no file holds the witness key that the roster holds")
        at_seconds = now_ms // 1_000
        line = format_signature_line(cosign(head.text, vkey.name, key, at_seconds))
        if self._second is not None:
            checkpoint = parse_checkpoint(head.text)
            line += self._second.cosigned(checkpoint, Cosigner.WITNESS) or ""
        after = WitnessedHead(
            head.size, head.root_hash, head.note, line.removesuffix("\n"), at_seconds, now_ms
        )
        await self._stores.witness.swap(
            log,
            state,
            after,
            accepted_size=accepted_size,
            public_at_ms=now_ms - roster.public_delay_seconds * 1_000,
        )
        await self._guard.witnessed(log, after)
        return after

    async def _keep_if_fork(self, proposed: ProposedHead) -> None:
        """A head of the size signed last, with another root, convicts the log's key by itself."""
        state = await self._stores.witness.newest(proposed.log)
        if state is not UNSEEN and state.size == proposed.size and _is_head(proposed):
            await self._accusations.report(state.note, proposed.note)

    def _lock_of(self, log: LogId) -> asyncio.Lock:
        # As many as the roster has logs: the judge has looked the log up before.
        return self._moving.setdefault(log, asyncio.Lock())


def _is_head(proposed: ProposedHead) -> bool:
    try:
        parse_checkpoint(proposed.text)
    except CheckpointMalformed:
        return False
    return proposed.size > 0 or proposed.root_hash == EMPTY_ROOT


def _refused(status: int, error: FederationError) -> WitnessAnswer:
    return WitnessAnswer(status, f"{error.message}\n".encode())
