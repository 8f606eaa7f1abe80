"""The desk where peers are answered: bytes in, bytes out.

What a peer sends is decoded and handed to the gossip engine, which decides; what it asks to read
comes verbatim from the store. The asker's name is proven by its TLS identity; nothing else is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from federation.daemon.attester import Attester
from federation.daemon.membership import Membership
from federation.daemon.replicator import Replicator
from federation.daemon.upload import UploadAllowance
from federation.errors import LogUnknown, RequestMalformed
from federation.local_errors.askers import LogNotFound, RangeNotHeld
from federation.net.mailboxes import Mailboxes
from federation.protocol.evidence import Prefix
from federation.protocol.limits import BODY_BYTES_MAX, HEADER_BYTES_MAX
from federation.protocol.limits_messages import (
    HASHES_ANSWER_BYTES_MAX,
    RANGE_ANSWER_BYTES_MAX,
    RANGE_BYTES_MAX,
    RANGE_STATEMENTS_MAX,
)
from federation.protocol.messages import (
    decode_announcement,
    decode_comparison,
    encode_announcement_answer,
    encode_comparison_answer,
    encode_range_parts,
)
from federation.protocol.messages_calls import encode_calls
from federation.protocol.messages_hashes import BundleHashes, encode_hashes
from federation.protocol.messages_prefix import encode_prefix
from federation.protocol.origins import Lane, LogId, parse_origin
from federation.protocol.roster_directory import log_by_sha256
from federation.store.stores import Stores

_STATEMENT_BYTES_MAX: Final = HEADER_BYTES_MAX + BODY_BYTES_MAX + 16 * 1024
"""One statement in an answer, with the proof and the framing."""


class Desk:
    """Answers the peer API (docs/spec/messages.md).

    Args:
        replicator: what the engine is reached through.
        stores: where statements are read.
        membership: the roster in force.
        mailboxes: what waits for members that cannot be called.
        attester: gives this member's word on what is in force.
        bulk_upload_bytes_per_second: what bulk may take of this node's line; 0: no limit.
    """

    def __init__(
        self,
        replicator: Replicator,
        stores: Stores,
        membership: Membership,
        mailboxes: Mailboxes,
        attester: Attester,
        bulk_upload_bytes_per_second: int = 0,
    ) -> None:
        self._upload = UploadAllowance(bulk_upload_bytes_per_second, time.monotonic)
        self._replicator, self._stores, self._membership = replicator, stores, membership
        self._mailboxes, self._attester = mailboxes, attester

    def lane(self, log_sha256: bytes) -> Lane | None:
        """The lane of a log; None where no log has that name."""
        try:
            return self._log(log_sha256).lane
        except LogNotFound:
            return None

    @staticmethod
    def is_crisis(body: bytes) -> bool:
        """Whether an announcement speaks of a crisis log, or of a forked one; nothing is judged.

        Raises:
            TooLarge, MessageMalformed, OriginMalformed: it is no announcement.
        """
        message = decode_announcement(body)
        # A checkpoint's first line is its log's name.
        origins = (
            head.note.partition(b"\n")[0].decode("ascii", "replace") for head in message.heads
        )
        return bool(message.evidence) or any(
            parse_origin(origin).lane is Lane.CRISIS for origin in origins
        )

    async def announce(self, member: str, body: bytes) -> bytes:
        """Take an announcement.

        Raises:
            TooLarge, MessageMalformed: it is none.
            TooBusy: too many wait already.
        """
        message = decode_announcement(body)
        return encode_announcement_answer(await self._replicator.announced(member, message))

    async def digest(self, member: str, body: bytes) -> bytes:
        """Compare head vectors.

        Raises:
            TooLarge, MessageMalformed: no comparison.
            TooBusy: too many wait already.
        """
        message = decode_comparison(body)
        return encode_comparison_answer(await self._replicator.compared(member, message))

    async def statements(
        self,
        _member: str,
        log_sha256: bytes,
        start: int,
        end: int,
        at: int,
        root: bytes | None = None,
    ) -> bytes:
        """Serve statements ``[start, end)``, or the first of them, proven to the head of ``at``.

        Args:
            log_sha256: names the log.
            start: index of the first.
            end: index after the last one.
            at: size of the head.
            root: its root, where the log has several branches; else it is the first one's.

        Raises:
            LogNotFound: no log of that name.
            RequestMalformed: an empty range, or one beyond ``at``.
            RangeNotHeld: this node does not hold it all; another may.
            TooBusy: as much of bulk was sent as the upload limit allows.
        """
        log = self._log(log_sha256)
        if not 0 <= start < end <= at:
            raise RequestMalformed("a range needs 0 <= from < to <= at")
        most = min(end - start, RANGE_STATEMENTS_MAX) * _STATEMENT_BYTES_MAX
        with self._line(log, min(most, RANGE_ANSWER_BYTES_MAX)) as sent:
            answer = await self._range(log, start, end, at, root)
            sent(len(answer))
        return answer

    async def _range(self, log: LogId, start: int, end: int, at: int, root: bytes | None) -> bytes:
        held = self._replicator.held_size(log)
        branch = 0 if root is None else await self._stores.branches.branch_of(log, at, root)
        if branch == 0 and at > held:
            raise RangeNotHeld(f"this node holds {held} statements of {log}")
        most = min(end, start + RANGE_STATEMENTS_MAX)
        parts = await self._stores.logs.statement_parts(
            log, start, most, RANGE_BYTES_MAX, branch=branch
        )
        to = start + len(parts)
        trees = self._stores.trees
        proof = () if to == at else await trees.consistency_proof(log, to, at, branch=branch)
        return encode_range_parts(start, parts, proof)

    def _line(self, log: LogId, bytes_max: int) -> AbstractContextManager[Callable[[int], None]]:
        """Room on this node's line for an answer about that log; only bulk has to ask for it."""
        if log.lane is Lane.BULK:
            return self._upload.reserved(bytes_max)
        return nullcontext(lambda _bytes: None)

    async def hashes(self, _member: str, log_sha256: bytes, start: int, end: int, at: int) -> bytes:
        """Serve the roots of bundles ``[start, end)`` of the tree of ``at``, and the leaves behind.

        Raises:
            LogNotFound: no log of that name.
            RangeNotHeld: this node does not hold it up to there; another may.
            TooBusy: as much of bulk was sent as the upload limit allows.
        """
        log = self._log(log_sha256)
        held = self._replicator.held_size(log)
        if at > held:
            raise RangeNotHeld(f"this node holds {held} statements of {log}")
        with self._line(log, HASHES_ANSWER_BYTES_MAX) as sent:
            bundles, leaves = await self._stores.trees.bundle_hashes(log, start, end, at)
            answer = encode_hashes(BundleHashes(start, tuple(bundles), tuple(leaves)))
            sent(len(answer))
        return answer

    async def prefix(
        self, _member: str, log_sha256: bytes, size: int, at: int, root: bytes
    ) -> bytes:
        """What the branch with that root at ``at`` was at an earlier size, and the proof.

        Raises:
            LogNotFound: no log of that name.
            RequestMalformed: not an earlier size.
            RangeNotHeld: this node holds no such branch; another may.
        """
        log = self._log(log_sha256)
        if not 0 < size <= at:
            raise RequestMalformed("a prefix needs 0 < size <= at")
        trees = self._stores.trees
        branch = await self._stores.branches.branch_of(log, at, root)
        then = await trees.root_hash(log, size, branch=branch)
        proof = await trees.consistency_proof(log, size, at, branch=branch)
        return encode_prefix(Prefix(then, proof))

    async def checkpoint(self, _member: str, log_sha256: bytes) -> bytes:
        """The newest checkpoint held of a log, verbatim.

        Raises:
            LogNotFound: no log of that name, or nothing held of it.
        """
        log = self._log(log_sha256)
        note = self._replicator.newest_note(log)
        if note is None:
            raise LogNotFound(f"this node holds nothing of {log} yet")
        return note

    async def second_line(self, member: str, log_sha256: bytes, at: int) -> bytes:
        """This member's ML-DSA-44 line on the newest head of a log, if it is of that size.

        Raises:
            LogNotFound: no log of that name.
            AttestationNotGiven, RangeNotHeld: there is none to give.
            TooBusy: the asker asks too often.
        """
        return await self._attester.second_line_for(member, self._log(log_sha256), at)

    async def attest(self, member: str, body: bytes) -> bytes:
        """This member's signed word on a statement or signal.

        Raises:
            RequestMalformed: not the text of either.
            AttestationNotGiven: this node's word would be worth nothing.
            TooBusy: the asker asks too often.
        """
        try:
            about = body.decode("ascii")
        except UnicodeDecodeError:
            raise RequestMalformed("what is asked about is ASCII text") from None
        return await self._attester.answer(member, about)

    async def heads(self, member: str, since: int, wait_seconds: int) -> bytes:
        """The calls that wait for a member which cannot be called; waits for one to come."""
        return encode_calls(await self._mailboxes.poll(member, since, wait_seconds))

    def answer_bytes_max(self, member: str, number: int) -> int:
        """How long a member's answer to a call may be.

        Raises:
            CallNotWaiting: nobody waits for it.
        """
        return self._mailboxes.answer_bytes_max(member, number)

    async def brought(self, member: str, number: int, status: int, body: bytes) -> bytes:
        """Take a member's answer to a call that waited for it; there is nothing to say to that.

        Raises:
            CallNotWaiting: nobody waits for it any more.
        """
        self._mailboxes.bring(member, number, status, body)
        return b""

    async def roster(self, _member: str, version: int) -> bytes | None:
        """A roster version, verbatim; None where it is not known here."""
        versions = self._membership.chain.versions
        return versions[version - 1] if 1 <= version <= len(versions) else None

    def _log(self, log_sha256: bytes) -> LogId:
        try:
            return log_by_sha256(self._membership.roster, log_sha256)
        except LogUnknown as error:
            raise LogNotFound(error.message) from None
