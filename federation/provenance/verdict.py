"""The verdict: what the federation says of one signal, with every member's statement behind it.

A pure function of the opinions on the signal (:mod:`federation.provenance.view`), of how their
members stand, and of the time it is asked at. It is what all nodes agree on; what a platform does
about it is that platform's own policy and not decided here.

Each statement gets one word, the first that applies:

    erased, withdrawn     taken back by somebody who may
    cut-off               beyond a pin of the roster, or off it: without effect (docs/spec/view.md)
    expired               past the time its member set
    suspended             its member is suspended by governance
    accused               a log of its member is under evidence of two histories
    disputed              another member in good standing looked at it and disagrees
    in-force              none of these

and the signal the word of its best statement: positive when one is in force and none is disputed,
disputed when one is, then accused, suspended, expired, withdrawn, and unknown where nobody said
anything. So one dispute marks the signal for everyone, and takes nothing from it that another
member confirmed: how much a dispute weighs is for each policy to say.

Source: docs/concepts/verdict_and_policy.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from federation.protocol.origins import LogId
from federation.protocol.roster import Roster
from federation.protocol.roster_members import MemberStatus
from federation.provenance.view import Opinion, Standing


class SignalState(StrEnum):
    """What the federation says of a signal."""

    POSITIVE = "positive"
    DISPUTED = "disputed"
    ACCUSED = "accused"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class Word(StrEnum):
    """What one member's statement is worth at a given time."""

    IN_FORCE = "in-force"
    DISPUTED = "disputed"
    ACCUSED = "accused"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
    CUT_OFF = "cut-off"

    @property
    def can_match(self) -> bool:
        """Whether content near the signal is a match: neither taken back nor expired."""
        return self in _MATCHING


_MATCHING = frozenset({Word.IN_FORCE, Word.DISPUTED, Word.ACCUSED, Word.SUSPENDED})

_STATES = (
    (Word.ACCUSED, SignalState.ACCUSED),
    (Word.SUSPENDED, SignalState.SUSPENDED),
    (Word.EXPIRED, SignalState.EXPIRED),
    (Word.WITHDRAWN, SignalState.WITHDRAWN),
    (Word.ERASED, SignalState.WITHDRAWN),
)


@dataclass(frozen=True, slots=True)
class Issuers:
    """How members stand, as far as their word is concerned; whoever is not named stands well.

    Attributes:
        suspended: members that governance suspended.
        accused: members with a log under evidence.
    """

    suspended: frozenset[str] = frozenset()
    accused: frozenset[str] = frozenset()

    def is_sound(self, member: str) -> bool:
        """Whether the member's word is as good as anybody's."""
        return member not in self.suspended and member not in self.accused


ALL_SOUND = Issuers()


@dataclass(frozen=True, slots=True)
class Voice:
    """One member's confirm of a signal, and what it is worth.

    Attributes:
        opinion: the confirm and what became of it.
        word: what it is worth.
        endorsed_by: the members in good standing whose endorse stands, sorted.
        disputed_by: the members in good standing whose dispute stands, sorted.
    """

    opinion: Opinion
    word: Word
    endorsed_by: tuple[str, ...] = ()
    disputed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the federation says of a signal.

    Attributes:
        state: in one word.
        voices: every member's statement behind it, in the order of statement ids.
    """

    state: SignalState
    voices: tuple[Voice, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """The members whose confirm is in force or disputed, sorted."""
        counting = {Word.IN_FORCE, Word.DISPUTED}
        return tuple(sorted({each.opinion.member for each in self.voices if each.word in counting}))

    @property
    def expires_at_ms(self) -> int | None:
        """When the last statement that can match expires, Unix milliseconds; None for never."""
        latest = 0
        for voice in self.voices:
            confirm = voice.opinion.confirm
            if confirm is None or not voice.word.can_match:
                continue
            if confirm.expires_at_ms is None:
                return None
            latest = max(latest, confirm.expires_at_ms)
        return latest or None


NOTHING_SAID = Verdict(SignalState.UNKNOWN, ())


def issuers_of(roster: Roster, accused: Iterable[LogId] = ()) -> Issuers:
    """How the members of a roster stand.

    Args:
        roster: the version in force.
        accused: logs under evidence. One that governance has pinned since is settled: its member
            is accused no longer, and what it said off the pin is in no view.
    """
    suspended = (
        member.name for member in roster.members.values() if member.status is MemberStatus.SUSPENDED
    )
    logs = roster.logs
    unsettled = (log.member for log in accused if log not in logs or logs[log].is_open)
    return Issuers(frozenset(suspended), frozenset(unsettled))


def word_of(opinion: Opinion, now_ms: int, issuers: Issuers = ALL_SOUND) -> Word:
    """What one member's statement is worth.

    Args:
        opinion: the statement and what became of it.
        now_ms: the time it is asked at, Unix milliseconds.
        issuers: how members stand.
    """
    if opinion.is_cut_off:
        return Word.CUT_OFF
    if opinion.standing is not Standing.ACTIVE or opinion.confirm is None:
        return Word.ERASED if opinion.standing is Standing.ERASED else Word.WITHDRAWN
    expires_at_ms = opinion.confirm.expires_at_ms
    if expires_at_ms is not None and now_ms >= expires_at_ms:
        return Word.EXPIRED
    if opinion.member in issuers.suspended:
        return Word.SUSPENDED
    if opinion.member in issuers.accused:
        return Word.ACCUSED
    if opinion.reviews and any(
        not review.agrees and issuers.is_sound(review.member) for review in opinion.reviews
    ):
        return Word.DISPUTED
    return Word.IN_FORCE


def voice_of(opinion: Opinion, now_ms: int, issuers: Issuers = ALL_SOUND) -> Voice:
    """One member's statement with what it is worth, and who in good standing agrees or not."""
    word = word_of(opinion, now_ms, issuers)
    if not opinion.reviews:
        return Voice(opinion, word)
    return Voice(
        opinion,
        word,
        tuple(filter(issuers.is_sound, opinion.endorsed_by)),
        tuple(filter(issuers.is_sound, opinion.disputed_by)),
    )


def verdict_of(opinions: Iterable[Opinion], now_ms: int, issuers: Issuers = ALL_SOUND) -> Verdict:
    """What the federation says of a signal.

    Args:
        opinions: those on the signal (:func:`federation.provenance.view.opinions_on`), erased ones
            among them or not: an erased confirm no longer says what it was about.
        now_ms: the time it is asked at, Unix milliseconds.
        issuers: how members stand.
    """
    voices = tuple(
        voice_of(opinion, now_ms, issuers)
        for opinion in sorted(opinions, key=lambda each: each.id.entry)
    )
    words = {voice.word for voice in voices}
    if Word.DISPUTED in words:
        return Verdict(SignalState.DISPUTED, voices)
    if Word.IN_FORCE in words:
        return Verdict(SignalState.POSITIVE, voices)
    state = next((state for word, state in _STATES if word in words), SignalState.UNKNOWN)
    return Verdict(state, voices)
