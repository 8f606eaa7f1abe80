"""The calls about verdicts, the policy, findings and quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from aiohttp import web

from federation.daemon.changes import Mark
from federation.daemon.enforcer import BUILT_IN, Enforcement
from federation.daemon.node import Node
from federation.daemon.policy_trial import PolicyTrial, Trial
from federation.errors import RequestMalformed
from federation.local_errors.askers import StatementNotFound
from federation.matching.policy import CompiledPolicy
from federation.protocol.bodies import Confirm
from federation.protocol.headers import parse_statement_id
from federation.protocol.signals import IDENTITY_BYTES, VALUE_BYTES
from federation.protocol.signals_local import parse_signal_type
from federation.provenance.reading import body_of
from federation.store.decision_store import FindingWord, Hold, HoldState
from federation.web import policy_schemas as s
from federation.web.routes import Call
from federation.web.verdicts import read_signal, statement_of_voice

_DECISIONS = {"release": HoldState.RELEASED, "except": HoldState.EXCEPTED}


class PolicyApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        return [
            Call("POST", "/v1/verdicts", "what the federation says of known signals",
                 s.VerdictAnswer, self.verdicts, body=s.VerdictRequest),
            Call("GET", "/v1/policy", "the policy in force", s.PolicyAnswer, self.policy),
            Call("POST", "/v1/policy/reload", "read the policy and the benign set again; what is "
                 "refused leaves the old in force", s.PolicyAnswer, self.reload),
            Call("POST", "/v1/policy/check", "whether a policy means something", s.PolicyAnswer,
                 self.check, body=s.PolicyText),
            Call("POST", "/v1/policy/test", "what a policy would change", s.PolicyTrialAnswer,
                 self.trial, body=s.PolicyTrialRequest),
            Call("POST", "/v1/findings", "what somebody here found who looked at a match",
                 s.FindingAnswer, self.find, body=s.FindingRequest),
            Call("GET", "/v1/quarantine", "signals that wait for a person", s.QuarantineAnswer,
                 self.quarantine, query=s.QuarantineQuery),
            Call("POST", "/v1/quarantine", "release or except signals", s.QuarantineAnswer,
                 self.decide, body=s.QuarantineDecision),
        ]  # fmt: skip

    # --- verdicts -------------------------------------------------------------------------------

    async def verdicts(self, _request: web.Request, body: s.VerdictRequest) -> s.VerdictAnswer:
        """What the federation says of each signal."""
        marks = [read_mark(each) for each in body.signals]
        verdicts = await self._node.platform.reader.verdicts(marks)
        return s.VerdictAnswer(
            verdicts=[
                s.SignalVerdict(
                    type=mark[0].value,
                    value=mark[1].hex(),
                    state=verdicts[mark].state.value,
                    statements=[statement_of_voice(each) for each in verdicts[mark].voices],
                )
                for mark in marks
            ]
        )

    # --- the policy -----------------------------------------------------------------------------

    async def policy(self, _request: web.Request, _body: None) -> s.PolicyAnswer:
        """The policy in force."""
        return self._in_force(self._node.enforcer.enforcement)

    async def reload(self, _request: web.Request, _body: None) -> s.PolicyAnswer:
        """Read policy and benign set again."""
        return self._in_force(await self._node.platform.reload())

    async def check(self, _request: web.Request, body: s.PolicyText) -> s.PolicyAnswer:
        """Whether a policy means something here."""
        return _policy(self._node.enforcer.compile(body.text), body.text)

    async def trial(self, _request: web.Request, body: s.PolicyTrialRequest) -> s.PolicyTrialAnswer:
        """What a policy would change."""
        platform = self._node.platform
        compiled = platform.enforcer.compile(body.text)
        trial = PolicyTrial(
            platform.enforcer, platform.reader, self._node.stores.signals, platform.sightings
        )
        recent = await trial.recent(compiled) if body.after < 0 else None
        stored, end = await trial.stored(compiled, body.after)
        return s.PolicyTrialAnswer(
            stored=_part(stored), recent=None if recent is None else _part(recent), end=end
        )

    def _in_force(self, enforcement: Enforcement) -> s.PolicyAnswer:
        told = _policy(enforcement.policy, enforcement.text)
        file = self._node.enforcer.file
        return told.model_copy(
            update={
                "file": BUILT_IN if file is None else str(file),
                "taken_at_ms": enforcement.taken_at_ms,
            }
        )

    # --- findings and quarantine ----------------------------------------------------------------

    async def find(self, _request: web.Request, body: s.FindingRequest) -> s.FindingAnswer:
        """Keep a finding, and publish it where the policy says so."""
        marks = await self._marks(body.signals, body.statements)
        found = await self._node.findings.find(marks, FindingWord(body.finding), body.reason)
        return s.FindingAnswer(
            finding=body.finding,
            found=[
                s.FoundAnswer(
                    type=each.finding.mark[0].value,
                    value=each.finding.mark[1].hex(),
                    statements=[str(statement) for statement in each.about],
                    published=[str(statement) for statement in each.published],
                )
                for each in found
            ],
        )

    async def quarantine(
        self, _request: web.Request, query: s.QuarantineQuery
    ) -> s.QuarantineAnswer:
        """What is held back."""
        held = [
            hold
            for hold in self._node.platform.quarantine.holds()
            if query.all or hold.state is HoldState.QUARANTINED
        ]
        held.sort(key=lambda hold: hold.state is not HoldState.QUARANTINED)
        return await self._held(held[: query.limit], len(held))

    async def decide(self, _request: web.Request, body: s.QuarantineDecision) -> s.QuarantineAnswer:
        """Release or except."""
        marks = await self._marks(body.signals, body.statements)
        quarantine = self._node.platform.quarantine
        if body.statements and body.decision == "release":
            # Of a statement's signals, those that were held back.
            named = {read_mark(each) for each in body.signals}
            known = {hold.mark for hold in quarantine.holds()}
            marks = [mark for mark in marks if mark in known or mark in named]
        decided = await quarantine.decide(marks, _DECISIONS[body.decision])
        return await self._held(decided, len(decided))

    async def _held(self, holds: Sequence[Hold], total: int) -> s.QuarantineAnswer:
        verdicts = await self._node.platform.reader.verdicts([hold.mark for hold in holds])
        return s.QuarantineAnswer(
            signals=[
                s.HeldSignal(
                    type=hold.mark[0].value,
                    value=hold.mark[1].hex(),
                    state=hold.state.value,
                    reason=hold.reason.value,
                    since_ms=hold.since_ms,
                    decided_at_ms=hold.decided_at_ms,
                    matches=hold.matches,
                    verdict=verdicts[hold.mark].state.value,
                    statements=[str(each.opinion.id) for each in verdicts[hold.mark].voices],
                )
                for hold in holds
            ],
            total=total,
        )

    async def _marks(
        self, signals: Sequence[s.KnownSignal], statements: Sequence[str]
    ) -> list[Mark]:
        """The signals named, and those of the confirms named, each once.

        Raises:
            RequestMalformed: none is named, or too many.
            StatementNotFound: no confirm of that id is held, or it was erased.
        """
        marks = dict.fromkeys(read_mark(each) for each in signals)
        for text in statements:
            statement_id = parse_statement_id(text)
            told = await self._node.matcher.statement(statement_id)
            body = body_of(told[0]) if told is not None else None
            if not isinstance(body, Confirm):
                raise StatementNotFound(f"no signals are held of {statement_id}")
            marks.update(dict.fromkeys((each.type, each.identity) for each in body.signals))
        if not 1 <= len(marks) <= s.MARKS_MAX:
            raise RequestMalformed(f"name between 1 and {s.MARKS_MAX} signals or statements")
        return list(marks)


def read_mark(known: s.KnownSignal) -> Mark:
    """A known signal's type and identity, from its value or from what stands for it.

    Raises:
        SignalMalformed: an unknown type, or a value that breaks its grammar.
    """
    signal_type = parse_signal_type(known.type)
    if signal_type not in VALUE_BYTES and len(known.value) == 2 * IDENTITY_BYTES:
        try:
            return signal_type, bytes.fromhex(known.value)
        except ValueError:
            pass
    signal = read_signal(known.type, known.value)
    return signal.type, signal.identity


def _policy(compiled: CompiledPolicy, text: str) -> s.PolicyAnswer:
    policy = compiled.policy
    return s.PolicyAnswer(
        sha256=sha256(text.encode("utf-8")).hexdigest(),
        otherwise=policy.otherwise.value,
        rules=[
            s.RuleAnswer(
                name=rule.name,
                action=rule.action.value,
                stages=sorted(stage.value for stage in rule.stages),
                members_min=rule.members_min,
                human=rule.human,
            )
            for rule in policy.rules
        ],
        exceptions=len(policy.exceptions),
    )


def _part(trial: Trial) -> s.TrialPart:
    return s.TrialPart(
        asked=trial.asked,
        moves=[
            s.Move.model_validate({"before": before, "after": after, "count": count})
            for (before, after), count in sorted(trial.moves.items())
        ],
        examples=[
            s.ChangedDecision(
                statement=str(each.statement),
                before=each.before.action.value,
                rule_before=each.before.rule,
                after=each.after.action.value,
                rule_after=each.after.rule,
            )
            for each in trial.examples
        ],
    )
