"""What somebody here found who looked at a match, and whether the federation is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from federation.daemon.changes import Mark
from federation.daemon.platform import Platform
from federation.daemon.publisher import Publisher
from federation.daemon.view_reader import group_by_mark
from federation.local_errors.askers import StatementNotFound
from federation.protocol.bodies import Dispute, Endorse
from federation.protocol.headers import StatementId
from federation.provenance.view import Opinion
from federation.store.decision_store import Finding, FindingWord
from federation.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Found:
    """What was kept of a finding, and what was told.

    Attributes:
        finding: as it was kept.
        about: the statements behind the signal that stand.
        published: what was said about them; empty where the policy keeps findings at home.
    """

    finding: Finding
    about: tuple[StatementId, ...]
    published: tuple[StatementId, ...]


class Findings:
    """Keeps findings and publishes what the policy says.

    Args:
        member: this node's own.
        stores: where they are kept.
        platform: the policy in force, which counts them, and the statements behind a signal.
        publisher: says what is published.
        clock_ms: Unix milliseconds.
    """

    def __init__(
        self,
        member: str,
        stores: Stores,
        platform: Platform,
        publisher: Publisher,
        clock_ms: Callable[[], int],
    ) -> None:
        self._member, self._decisions = member, stores.decisions
        self._enforcer, self._reader = platform.enforcer, platform.reader
        self._publisher, self._clock_ms = publisher, clock_ms

    async def find(self, marks: Sequence[Mark], word: FindingWord, reason: str) -> list[Found]:
        """Keep what was found about the matches with some known signals.

        A finding replaces an earlier one on the same signal; where it was published, what it said
        is taken back and the opposite is said.

        Raises:
            StatementNotFound: nobody says anything of a signal that stands.
            BodyMalformed: the reason is no code.
            TooBusy, StoreError: it could not be published or kept.
        """
        opinions = group_by_mark(marks, await self._reader.opinions(marks))
        standing = {
            mark: [each for each in on_it if each.standing.counts]
            for mark, on_it in opinions.items()
        }
        if not all(standing.values()):
            raise StatementNotFound("no statement that stands carries that signal")
        # Checked before anything is kept; a reason that nobody could publish is none.
        body = Endorse(reason) if word is FindingWord.CONFIRMED else Dispute(reason)
        now_ms = self._clock_ms()
        findings = {mark: Finding(mark, word, reason, now_ms) for mark in marks}
        await self._decisions.keep_findings(findings.values())
        await self._enforcer.reload_findings()
        publishing = self._enforcer.enforcement.policy.policy.publishing
        is_told = publishing.endorse if isinstance(body, Endorse) else publishing.dispute
        said: dict[StatementId, StatementId] = {}
        for opinion in {each.id: each for on_it in standing.values() for each in on_it}.values():
            if opinion.member != self._member and is_told:
                await self._take_back_opposite(opinion, agrees=isinstance(body, Endorse))
                said[opinion.id] = await self._publisher.say_about(opinion.id, body)
        return [
            Found(
                findings[mark],
                tuple(each.id for each in standing[mark]),
                tuple(said[each.id] for each in standing[mark] if each.id in said),
            )
            for mark in marks
        ]

    async def _take_back_opposite(self, opinion: Opinion, *, agrees: bool) -> None:
        for review in opinion.reviews:
            if review.member == self._member and review.agrees is not agrees:
                await self._publisher.withdraw(review.id, "mistake")
