"""Calls that wait for members which cannot be called, until these ask for them.

One mailbox for each such member. A call is put in, the member's long poll takes it out at once, and
the answer comes back with a request of the member's own. Nothing is kept for a member that does not
poll: like any peer that does not answer, it is unreachable, and hears what it missed when it is
back. A poll that broke off lost nothing: calls are given out again until a poll says that they
arrived, and every call of the peer API may be repeated.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from federation.local_errors.askers import CallNotWaiting, TooBusy
from federation.local_errors.peers import (
    PeerAnswerTooLarge,
    PeerRefused,
    PeerTimeout,
    PeerUnreachable,
)
from federation.net.asking import PeerCall, PeerCalls
from federation.net.limits import (
    CALL_WAIT_SECONDS,
    CALL_WAIT_SECONDS_BULK,
    POLL_GAP_SECONDS,
    REFUSAL_BYTES_MAX,
)
from federation.net.refusals import decode_refusal, decode_retry_after
from federation.protocol.limits_messages import CALL_ANSWER_BYTES_MAX, CALLS_BYTES_MAX, CALLS_MAX
from federation.protocol.messages_calls import WaitingCall

_OK: Final = 200
_FIELDS_BYTES: Final = 1024
"""More than the encoding adds to a call's body."""

_NUMBERS_START_BELOW: Final = 2**40
"""Numbers begin at random, so that what a member took from a former process is told apart."""


@dataclass(slots=True)
class _Open:
    call: WaitingCall
    answer_bytes_max: int
    answer: asyncio.Future[tuple[int, bytes]] = field(repr=False)


class _Mailbox:
    """One member's."""

    def __init__(self) -> None:
        self.first = self.last = 1 + secrets.randbelow(_NUMBERS_START_BELOW)
        self.open: dict[int, _Open] = {}
        self.turn = 0
        self.polling = 0
        self.seen_at = float("-inf")
        self.stirred = asyncio.Event()

    def stir(self) -> None:
        """Have every waiting poll look again."""
        self.stirred.set()
        self.stirred = asyncio.Event()

    def after(self, since: int) -> tuple[WaitingCall, ...]:
        """The calls that a member has not got yet, as many as one answer takes."""
        # A number of a former process, or a wrong one, says nothing about these calls.
        heard = since if self.first <= since <= self.last else 0
        calls: list[WaitingCall] = []
        room = CALLS_BYTES_MAX
        for number, waiting in self.open.items():
            if number > heard:
                room -= _FIELDS_BYTES + len(waiting.call.body or b"")
                if room < 0 or len(calls) == CALLS_MAX:
                    break
                calls.append(waiting.call)
        return tuple(calls)


class Mailboxes:
    """All mailboxes of a node. All methods are called from the event loop's thread.

    Args:
        came: told the name of each member whose poll begins.
    """

    def __init__(self, came: Callable[[str], None]) -> None:
        self._came = came
        self._boxes: dict[str, _Mailbox] = {}
        self._is_closed = False

    # --- the member's side ------------------------------------------------------------------------

    async def poll(self, member: str, since: int, seconds: float) -> tuple[WaitingCall, ...]:
        """What waits for a member; waits for something to come.

        Args:
            member: who polls, proven. Of two polls of one member the later counts.
            since: the highest number that arrived there.
            seconds: how long to wait.

        Returns:
            Calls by number; none after the wait, or when another poll took this one's place.

        Raises:
            TooBusy: this node is stopping.
        """
        if self._is_closed:
            raise TooBusy("this node is stopping")
        box = self._boxes.setdefault(member, _Mailbox())
        box.turn += 1
        turn = box.turn
        box.stir()
        box.polling += 1
        try:
            self._came(member)
            async with asyncio.timeout(seconds):
                while turn == box.turn and self._boxes.get(member) is box:
                    if calls := box.after(since):
                        return calls
                    await box.stirred.wait()
        except TimeoutError:
            pass
        finally:
            box.polling -= 1
            box.seen_at = asyncio.get_running_loop().time()
        return ()

    def answer_bytes_max(self, member: str, number: int) -> int:
        """How long a member's answer to a call may be.

        Raises:
            CallNotWaiting: there is no such call, or it is not for that member.
        """
        return self._waiting(member, number).answer_bytes_max

    def bring(self, member: str, number: int, status: int, body: bytes) -> None:
        """Take a member's answer to a call.

        Raises:
            CallNotWaiting: there is no such call, or it is not for that member.
        """
        answer = self._waiting(member, number).answer
        if answer.done():
            raise CallNotWaiting("that call was answered already")
        answer.set_result((status, body))

    def _waiting(self, member: str, number: int) -> _Open:
        box = self._boxes.get(member)
        if box is None or number not in box.open:
            raise CallNotWaiting("nobody waits for an answer of that number")
        return box.open[number]

    # --- this node's side -------------------------------------------------------------------------

    async def call(self, member: str, call: PeerCall) -> tuple[int, bytes]:
        """Have a member carry out a call.

        Returns:
            Status and body of its answer.

        Raises:
            PeerUnreachable: it does not poll at the moment, or has too many calls waiting.
            PeerTimeout: it took the call, perhaps, and did not answer in time.
        """
        box = self._boxes.get(member)
        now = asyncio.get_running_loop().time()
        if box is None or not (box.polling or now - box.seen_at < POLL_GAP_SECONDS):
            raise PeerUnreachable(
                f"{member} takes no connections, and does not ask for calls at the moment"
            )
        if len(box.open) >= CALLS_MAX:
            raise PeerUnreachable(f"{CALLS_MAX} calls wait for {member} already")
        box.last += 1
        target = call.path + (f"?{urlencode(call.params)}" if call.params else "")
        waiting = _Open(
            WaitingCall(box.last, target, call.body),
            min(max(call.answer_bytes_max, REFUSAL_BYTES_MAX), CALL_ANSWER_BYTES_MAX),
            asyncio.get_running_loop().create_future(),
        )
        box.open[waiting.call.number] = waiting
        box.stir()
        seconds = CALL_WAIT_SECONDS_BULK if call.is_long else CALL_WAIT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await waiting.answer
        except TimeoutError:
            raise PeerTimeout(f"{member} did not bring its answer in time") from None
        finally:
            del box.open[waiting.call.number]

    def close(self) -> None:
        """End every poll, so that nothing holds up the stopping of the node, and take no other."""
        self._is_closed = True
        self.keep(())

    def keep(self, members: Collection[str]) -> None:
        """Take away the mailboxes of all others: their polls end, and calls to them fail."""
        for member in self._boxes.keys() - set(members):
            box = self._boxes.pop(member)
            box.stir()
            for waiting in list(box.open.values()):
                if not waiting.answer.done():
                    waiting.answer.set_exception(PeerUnreachable(f"{member} is no longer a peer"))


class MailboxLink(PeerCalls):
    """A peer that cannot be connected to: calls wait until it asks for them."""

    def __init__(self, member: str, mailboxes: Mailboxes) -> None:
        """Nothing is kept for the peer but what its mailbox holds.

        Args:
            member: the peer's name.
            mailboxes: where its calls wait.
        """
        super().__init__(member)
        self._mailboxes = mailboxes

    async def ask(self, call: PeerCall) -> bytes:
        """Make one call and give its whole answer.

        Raises:
            PeerUnreachable, PeerTimeout: it does not poll, or brought no answer.
            PeerRefused: it answered with an error.
            PeerAnswerTooLarge: its answer is longer than such an answer may be.
        """
        status, body = await self._mailboxes.call(self.member, call)
        if status != _OK:
            code = decode_refusal(body)
            raise PeerRefused(
                f"{self.member} refused with status {status} ({code or 'no code'})",
                status=status,
                retry_after_seconds=decode_retry_after(body),
            )
        if len(body) > call.answer_bytes_max:
            raise PeerAnswerTooLarge(
                f"{self.member}: the answer is longer than {call.answer_bytes_max} bytes"
            )
        return body

    async def close(self) -> None:
        """Nothing is held."""
