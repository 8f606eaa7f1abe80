"""The platform's policy, compiled: from the matches of one signal to what to do about it, and why.

Pure and in memory: a decision reads what it is given and nothing else. In this order, and the first
that says something decides:

    nothing-known    no signal in force is near: allow
    exception:NAME   the policy excepts this content: allow
    excepted         a person here excepted every known signal that it matches: allow
    NAME             the first rule for which enough members' words count
    otherwise        something is near, and no rule decides

Known signals in quarantine, and those whose match a person here rejected, count for no rule; where
they are all there is, or would be all, the answer is at least review (``quarantine``,
``rejected``). So it is where more is near than was looked at (``crowded``): nobody buys a weaker
answer with many signals.

Each decision says which of these it was, why, and for every other rule why it was not that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from federation.matching.decisions import (
    CROWDED,
    EXCEPTED,
    MISS,
    NO_FINDINGS,
    OTHERWISE,
    QUARANTINE,
    REJECTED,
    Decision,
    LocalFindings,
    Nearby,
    PassedOver,
)
from federation.matching.policy_exceptions import Exceptions
from federation.matching.policy_terms import (
    ACTING,
    EXCEPTION_PREFIX,
    OWN_MEMBER,
    Action,
    Policy,
    Rule,
    Stage,
)
from federation.protocol.bodies import Confirmer
from federation.protocol.roster import Roster
from federation.protocol.signals import Signal, SignalType
from federation.provenance.verdict import Voice, Word

EDUCATIONAL_LABEL: Final = "tvec.01"


@dataclass(slots=True)
class _Said:
    """One member's confirm of one nearby signal, as rules look at it."""

    type: SignalType
    distance: int
    is_frame: bool
    labels: frozenset[str]
    member: str
    word: Word
    is_human: bool
    is_educational: bool
    disputes: int
    endorsers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    reaches: Mapping[SignalType, int]
    frame_reach: int
    words: frozenset[Word]
    members: frozenset[str]


# How far the word that came furthest came, of those that did not count; what to say of the rule.
_TYPE, _DISTANCE, _DISPUTED, _LABEL, _MEMBER, _STANDING, _PERSON = range(7)
_WHY: Final = {
    _TYPE: "no match is of its types",
    _DISTANCE: "the nearest match is further than it goes",
    _DISPUTED: "what was said is disputed",
    _LABEL: "no confirm has the labels it is about",
    _MEMBER: "nobody whose word counts for it said so",
    _STANDING: "only suspended or accused members said so",
    _PERSON: "no person confirmed it",
}


class CompiledPolicy:
    """A policy, ready to be asked; immutable, and pickled by what it was compiled from.

    Args:
        policy: as it was read.
        member: this node's own member: what ``@self`` stands for.
        kin: departed members and who speaks for them now: two names of one company are one word.
    """

    def __init__(self, policy: Policy, member: str, kin: Mapping[str, str] | None = None) -> None:
        self.policy, self.member, self.kin = policy, member, dict(kin or {})
        self._rules = {
            stage: tuple(self._compile(rule) for rule in policy.rules if stage in rule.stages)
            for stage in Stage
        }
        self._elsewhere = {
            stage: tuple(
                PassedOver(rule.name, f"it is not about content at the stage {stage}")
                for rule in policy.rules
                if stage not in rule.stages
            )
            for stage in Stage
        }
        # What is held back here goes to review, whatever the rules say.
        weakest = max(policy.otherwise.strength, Action.REVIEW.strength)
        self._strongest = {
            stage: max([weakest, *(each.rule.action.strength for each in self._rules[stage])])
            for stage in Stage
        }
        self._exceptions = Exceptions(policy.exceptions)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its source: a worker compiles it anew."""
        return (CompiledPolicy, (self.policy, self.member, self.kin))

    def decide(
        self,
        signal: Signal | None,
        matches: Sequence[Nearby],
        stage: Stage = Stage.UPLOAD,
        findings: LocalFindings = NO_FINDINGS,
    ) -> Decision:
        """What to do about content that is known by one signal.

        Args:
            signal: what was asked about; None where it is no longer known, and then the policy's
                own exceptions are not looked at.
            matches: the known signals near it that are in force, nearest first.
            stage: where the content is.
            findings: what people here decided.
        """
        if not matches:
            return MISS
        excepted = None if signal is None else self.find_exception([signal])
        return self.decide_on(excepted, matches, stage, findings)

    def find_exception(self, signals: Iterable[Signal]) -> str | None:
        """The exception that one content is, by any of its signals; None where it is none."""
        return next(
            (name for each in signals if (name := self._exceptions.find(each)) is not None), None
        )

    def decide_on(
        self,
        excepted: str | None,
        matches: Sequence[Nearby],
        stage: Stage,
        findings: LocalFindings,
        *,
        is_cut: bool = False,
    ) -> Decision:
        """What to do about a signal of some content.

        Args:
            excepted: the exception that the content is, by this signal or another one of it.
            matches: the known signals near it that are in force, nearest first.
            stage: where the content is.
            findings: what people here decided.
            is_cut: whether more may be in force near it than ``matches``.
        """
        if not matches and not is_cut:
            return MISS
        if excepted is not None:
            why = "the policy excepts this content"
            rule = EXCEPTION_PREFIX + excepted
            return Decision(Action.ALLOW, rule, why, self._unasked(stage, why))
        counted, held = self._counted(matches, findings)
        if is_cut:
            held = held or CROWDED
        if not counted:
            name, action = held or EXCEPTED, Action.REVIEW if held else Action.ALLOW
            return Decision(action, name, _HELD_WHY[name], self._unasked(stage, _HELD_WHY[name]))
        decision = self._by_rules(self._said(counted, findings), stage)
        if held is None or decision.action.strength >= Action.REVIEW.strength:
            return decision
        others = decision.others
        if decision.rule != OTHERWISE:
            others += (PassedOver(decision.rule, _HELD_WHY[held]),)
        return Decision(Action.REVIEW, held, _HELD_WHY[held], others)

    def is_settled(self, decision: Decision, stage: Stage) -> bool:
        """Whether no more matches could make a decision stronger: then no more are looked at."""
        is_excepted = decision.rule.startswith(EXCEPTION_PREFIX)
        return is_excepted or decision.action.strength >= self._strongest[stage]

    def _counted(
        self, matches: Sequence[Nearby], findings: LocalFindings
    ) -> tuple[Sequence[Nearby], str | None]:
        """The matches that count for rules, and why something else holds the content back."""
        if not (findings.quarantined or findings.excepted or findings.rejected):
            return matches, None
        counted: list[Nearby] = []
        held: str | None = None
        for match in matches:
            mark = (match.type, match.identity)
            if mark in findings.excepted:
                continue
            if mark in findings.rejected:
                if self.policy.rejected is Action.REVIEW:
                    held = held or REJECTED
            elif mark in findings.quarantined:
                held = QUARANTINE
            else:
                counted.append(match)
        return counted, held

    def _said(self, matches: Sequence[Nearby], findings: LocalFindings) -> list[_Said]:
        """Every member's word on the matches, once."""
        kin = self.kin
        said: list[_Said] = []
        for match in matches:
            own = (self.member,) if (match.type, match.identity) in findings.confirmed else ()
            said += [
                _say(match, voice, kin, own)
                for voice in match.verdict.voices
                if voice.word.can_match
            ]
        return said

    def _by_rules(self, said: Sequence[_Said], stage: Stage) -> Decision:
        passed: list[PassedOver] = list(self._elsewhere[stage])
        rules = self._rules[stage]
        for at, compiled in enumerate(rules):
            members, is_educational, furthest = _count(compiled, said)
            rule = compiled.rule
            if len(members) < rule.members_min:
                passed.append(PassedOver(rule.name, _why_not(rule, members, furthest)))
                continue
            why = f"by the word of {', '.join(sorted(members))}"
            action = rule.action
            if is_educational and self.policy.educational and action in ACTING:
                action = Action.REVIEW
                why += "; somebody flagged it as educational or news, so a person decides"
            later = f"rule {rule.name} comes before it"
            passed += [PassedOver(each.rule.name, later) for each in rules[at + 1 :]]
            return Decision(action, rule.name, why, tuple(passed))
        why = "something in force is near it, and no rule decides"
        return Decision(self.policy.otherwise, OTHERWISE, why, tuple(passed))

    def _compile(self, rule: Rule) -> _Compiled:
        words = {Word.IN_FORCE, Word.DISPUTED}
        words |= {Word.ACCUSED} if rule.accused else set()
        words |= {Word.SUSPENDED} if rule.suspended else set()
        members = frozenset(self.member if name == OWN_MEMBER else name for name in rule.members)
        return _Compiled(
            rule,
            {kind: rule.reach(kind) for kind in SignalType},
            rule.frame_reach,
            frozenset(words),
            frozenset(self.kin.get(name, name) for name in members),
        )

    def _unasked(self, stage: Stage, why: str) -> tuple[PassedOver, ...]:
        unasked = tuple(PassedOver(each.rule.name, why) for each in self._rules[stage])
        return self._elsewhere[stage] + unasked


_HELD_WHY: Final = {
    EXCEPTED: "people here excepted whatever it matches",
    QUARANTINE: "a known signal near it is in quarantine until a person decides",
    REJECTED: "a person here rejected an earlier match with a known signal near it",
    CROWDED: "more known signals are near it than are looked at, so a person decides",
}


def _say(match: Nearby, voice: Voice, kin: Mapping[str, str], own: tuple[str, ...]) -> _Said:
    opinion, endorsers = voice.opinion, own
    confirm = opinion.confirm
    if voice.endorsed_by:
        endorsers += tuple(kin.get(name, name) for name in voice.endorsed_by)
    labels = frozenset(confirm.labels) if confirm else frozenset()
    return _Said(
        match.type,
        match.distance,
        match.is_frame,
        labels,
        kin.get(opinion.member, opinion.member),
        voice.word,
        is_human=confirm is not None and confirm.confirmer == Confirmer.HUMAN,
        is_educational=confirm is not None and (confirm.educational or EDUCATIONAL_LABEL in labels),
        disputes=len(voice.disputed_by),
        endorsers=endorsers,
    )


def _count(compiled: _Compiled, said: Sequence[_Said]) -> tuple[set[str], bool, int]:
    """Whose words count for a rule, whether one is flagged, and how far the furthest other came."""
    rule, reaches, words, known = compiled.rule, compiled.reaches, compiled.words, compiled.members
    members: set[str] = set()
    is_educational, furthest = False, _TYPE
    for each in said:
        reach = compiled.frame_reach if each.is_frame else reaches[each.type]
        if reach < 0:
            continue
        if each.distance > reach:
            furthest = max(furthest, _DISTANCE)
            continue
        is_educational = is_educational or (each.is_educational and each.word in words)
        if each.disputes > rule.disputes_max:
            furthest = max(furthest, _DISPUTED)
            continue
        if (rule.labels and rule.labels.isdisjoint(each.labels)) or (
            rule.without_labels and not rule.without_labels.isdisjoint(each.labels)
        ):
            furthest = max(furthest, _LABEL)
            continue
        if rule.endorsements and each.endorsers:
            members.update(name for name in each.endorsers if not known or name in known)
        if known and each.member not in known:
            furthest = max(furthest, _MEMBER)
        elif each.word not in words:
            furthest = max(furthest, _STANDING)
        elif rule.human and not each.is_human:
            furthest = _PERSON
        else:
            members.add(each.member)
    return members, is_educational, furthest


def _why_not(rule: Rule, members: set[str], furthest: int) -> str:
    if members:
        said = ", ".join(sorted(members))
        return f"it takes {rule.members_min} members, and only {said} count for it"
    return _WHY[furthest]


def kin_of(roster: Roster) -> dict[str, str]:
    """Departed members, and the member that speaks for each of them now."""
    successors = {
        member.name: member.successor
        for member in roster.members.values()
        if member.successor is not None
    }
    kin: dict[str, str] = {}
    for name in successors:
        seen, last = {name}, name
        while last in successors and successors[last] not in seen:
            last = successors[last]
            seen.add(last)
        kin[name] = last
    return kin
