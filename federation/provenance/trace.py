"""The story of a signal or statement: who said what when, who holds it, and what stood at a time.

A trace is a pure function of the statements found. It orders them by their members' own clocks,
which are claims, and sets beside each since when other members' mirrors have held it, which is
proven. What stood at a time is the merged view of the statements made until then.

Source: docs/guides/tracing.md; docs/spec/view.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from federation.protocol.bodies import (
    Confirm,
    Dispute,
    Endorse,
    Erase,
    Inert,
    Kind,
    Withdraw,
)
from federation.protocol.headers import StatementId
from federation.provenance.reading import body_of
from federation.provenance.taking_back import Rulings
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import Opinion, facts_of, opinions_of


@dataclass(frozen=True, slots=True)
class Holder:
    """A member whose mirror vouches for a statement, and since when, POSIX seconds of its clock."""

    member: str
    since_seconds: int


@dataclass(frozen=True, slots=True)
class Traced:
    """A statement of the story.

    Attributes:
        statement: as it is held.
        counts: whether it stands where the roster lets it count.
        holders: members whose mirrors vouch for it, earliest first.
    """

    statement: VerifiedStatement
    counts: bool
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """One statement in the order of the members' clocks.

    Attributes:
        id: the statement.
        at_ms: when its member says that it made it, Unix milliseconds.
        member: who.
        kind: what kind of statement.
        about: the statements it is about.
        words: what it says, without any signal's value.
        holders: see :class:`Traced`.
        standing: of a confirm, what became of it until now; of others, empty or ``without effect``.
        is_erased: whether what it said is gone.
    """

    id: StatementId
    at_ms: int
    member: str
    kind: str
    about: tuple[StatementId, ...]
    words: str
    holders: tuple[Holder, ...]
    standing: str
    is_erased: bool


@dataclass(frozen=True, slots=True)
class Voice:
    """A confirm that stood at a time."""

    id: StatementId
    member: str
    labels: tuple[str, ...]
    endorsed_by: tuple[str, ...]
    disputed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What stood at a time, and what changed since.

    Attributes:
        at_ms: the time asked about, Unix milliseconds.
        voices: the confirms in force then; none: it was not active.
        since: what was said after it, in order.
        words: the same in sentences.
    """

    at_ms: int
    voices: tuple[Voice, ...]
    since: tuple[Event, ...]
    words: tuple[str, ...]

    @property
    def was_active(self) -> bool:
        """Whether any confirm was in force."""
        return bool(self.voices)


def events_of(traced: Iterable[Traced], rulings: Rulings) -> tuple[Event, ...]:
    """The story in the order of the members' clocks."""
    told = list(traced)
    opinions = {each.id: each for each in _view(told, rulings)}
    events = [_event(each, opinions.get(each.statement.id), rulings) for each in told]
    return tuple(sorted(events, key=lambda event: (event.at_ms, event.id.entry)))


def answer_at(traced: Iterable[Traced], rulings: Rulings, at_ms: int) -> Answer:
    """Was it active then, on whose word, under which labels, and what changed since?

    What governance withdrew or erased bears no date, so it is told beside the answer.

    Args:
        traced: the statements of the story.
        rulings: what the roster decides now.
        at_ms: the time, Unix milliseconds.
    """
    told = list(traced)
    until = [each for each in told if each.statement.header.claimed_at_ms <= at_ms]
    opinions = _view(until, Rulings(successors=rulings.successors))
    voices = tuple(
        Voice(each.id, each.member, each.confirm.labels, each.endorsed_by, each.disputed_by)
        for each in opinions
        if each.confirm is not None and each.is_in_force(at_ms)
    )
    events = events_of(told, rulings)
    since = tuple(event for event in events if event.at_ms > at_ms)
    words = (*_words_then(at_ms, voices, opinions), *_words_since(since, told, rulings))
    return Answer(at_ms, voices, since, words)


def format_ms(at_ms: int) -> str:
    """UTC to the second; a member's clock may say what no calendar has."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"millisecond {at_ms}, which no calendar has"


def _view(traced: Sequence[Traced], rulings: Rulings) -> tuple[Opinion, ...]:
    counting = [each.statement for each in traced if each.counts]
    cut_off = [each.statement for each in traced if not each.counts]
    return opinions_of(facts_of(counting, cut_off), rulings)


def _event(traced: Traced, opinion: Opinion | None, rulings: Rulings) -> Event:
    statement, header = traced.statement, traced.statement.header
    body = body_of(statement)
    is_gone = statement.id in rulings.erased or (
        opinion is not None and opinion.confirm is None and opinion.standing.value == "erased"
    )
    standing = "" if opinion is None else opinion.standing.value
    if not traced.counts:
        standing = "cut-off"
    elif isinstance(body, Inert):
        standing = "without effect"
    return Event(
        statement.id,
        header.claimed_at_ms,
        header.member,
        header.kind,
        header.references,
        _said(body, is_gone=is_gone or body is None),
        traced.holders,
        standing,
        is_gone or body is None,
    )


def _said(body: object, *, is_gone: bool) -> str:
    if is_gone:
        return "erased: what it said is gone, here and at every honest member"
    match body:
        case Confirm():
            types = sorted({signal.type.value for signal in body.signals})
            said = [f"labels {', '.join(body.labels) or 'none'}", f"signals {', '.join(types)}"]
            said += [f"confirmed by {body.confirmer}", f"source {body.source}"]
            said += ["educational or news"] if body.educational else []
            if body.expires_at_ms is not None:
                said.append(f"until {format_ms(body.expires_at_ms)}")
            return "; ".join(said)
        case Endorse(reason) | Dispute(reason) | Withdraw(reason) | Erase(reason):
            return f"reason {reason}"
    return "nothing that this release can read"


# --- in words -------------------------------------------------------------------------------------


def _words_then(
    at_ms: int, voices: Sequence[Voice], opinions: Sequence[Opinion]
) -> tuple[str, ...]:
    when = format_ms(at_ms)
    if voices:
        lines = [f"ACTIVE on {when}, on the word of {_names(voice.member for voice in voices)}:"]
        for voice in voices:
            line = f"{voice.member} confirmed it as {', '.join(voice.labels) or 'no label'}"
            line += f", endorsed by {_names(voice.endorsed_by)}" if voice.endorsed_by else ""
            line += f", disputed by {_names(voice.disputed_by)}" if voice.disputed_by else ""
            lines.append(f"{line} ({voice.id})")
        return tuple(lines)
    if not opinions:
        return (f"NOT ACTIVE on {when}: nobody had confirmed it.",)
    why = sorted({_why_not(each, at_ms) for each in opinions})
    return (f"NOT ACTIVE on {when}: every confirm was {' or '.join(why)}.",)


def _why_not(opinion: Opinion, at_ms: int) -> str:
    is_over = opinion.confirm is not None and not opinion.is_in_force(at_ms)
    if opinion.standing.value == "active" and is_over:
        return "expired"
    return opinion.standing.value


def _words_since(
    since: Sequence[Event], told: Sequence[Traced], rulings: Rulings
) -> tuple[str, ...]:
    lines = [f"Since then, {_spoken(event)}." for event in since]
    ids = {each.statement.id for each in told}
    for names, word in ((rulings.withdrawn, "withdrew"), (rulings.erased, "erased")):
        lines += [
            f"Governance {word} {each}, in a roster version, which bears no date."
            for each in sorted(ids & names, key=lambda one: one.entry)
        ]
    return tuple(lines) or ("Nothing changed since.",)


_VERBS = {
    Kind.CONFIRM: "confirmed it",
    Kind.WITHDRAW: "withdrew",
    Kind.ENDORSE: "endorsed",
    Kind.DISPUTE: "disputed",
    Kind.ERASE: "erased",
}


def _spoken(event: Event) -> str:
    verb = _VERBS.get(Kind(event.kind)) if event.kind in set(Kind) else None
    spoken = f"{event.member} {verb or f'said {event.kind}'}"
    if event.about:
        spoken += f" {', '.join(map(str, event.about))}"
    return f"{spoken} on {format_ms(event.at_ms)} ({event.words})"


def _names(names: Iterable[str]) -> str:
    *firsts, last = sorted(set(names))
    return f"{', '.join(firsts)} and {last}" if firsts else last
