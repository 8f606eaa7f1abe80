"""The policy in force: read, replaced as a whole, and asked for every match.

One immutable value holds the compiled policy and what people here decided about signals. It is
replaced by one assignment, so a match under way never sees half of a change. A policy that is
refused leaves the old one in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from federation.config import NodeConfig
from federation.daemon.membership import Membership
from federation.daemon.policy_file import read_policy_file
from federation.matching.decisions import NO_FINDINGS, Decision, LocalFindings, Nearby
from federation.matching.policy import CompiledPolicy, kin_of
from federation.matching.policy_default import DEFAULT_POLICY
from federation.matching.policy_reading import parse_policy
from federation.matching.policy_terms import OWN_MEMBER, Stage
from federation.protocol.signals import Signal
from federation.store.decision_store import DecisionStore, FindingWord, HoldState

log_lines = logging.getLogger(__name__)

BUILT_IN: Final = "built-in"
"""What is told as the file of the policy of a node that has none."""


@dataclass(frozen=True)
class Enforcement:
    """What is in force, as one value.

    Attributes:
        policy: compiled.
        findings: what people here decided.
        text: the policy's own text.
        taken_at_ms: since when the policy is in force, Unix milliseconds.
    """

    policy: CompiledPolicy
    findings: LocalFindings
    text: str
    taken_at_ms: int

    @property
    def sha256(self) -> str:
        """Of the text, hex: what two nodes compare."""
        return sha256(self.text.encode("utf-8")).hexdigest()


class Enforcer:
    """Decides what to do about matches.

    Args:
        config: the node's settings.
        decisions: what people here decided.
        membership: the roster in force.
        clock_ms: Unix milliseconds.

    Attributes:
        enforcement: what is in force.
    """

    def __init__(
        self,
        config: NodeConfig,
        decisions: DecisionStore,
        membership: Membership,
        clock_ms: Callable[[], int],
    ) -> None:
        self._config, self._decisions = config, decisions
        self._membership, self._clock_ms = membership, clock_ms
        self._taking = asyncio.Lock()
        self.enforcement = self._enforcement(DEFAULT_POLICY)

    @property
    def file(self) -> Path | None:
        """The policy's file; None where the built-in one is in force."""
        name = self._config.policy.file
        return self._config.path(Path(name)) if name else None

    def decide(
        self, signal: Signal | None, matches: Sequence[Nearby], stage: Stage = Stage.UPLOAD
    ) -> Decision:
        """What to do about a signal of uploaded content; memory only.

        Args:
            signal: what was asked about; None where it is no longer known.
            matches: the known signals near it that are in force, nearest first.
            stage: where the content is.
        """
        enforcement = self.enforcement
        return enforcement.policy.decide(signal, matches, stage, enforcement.findings)

    async def reload(self) -> Enforcement:
        """Read policy and findings again, and put them in force.

        Raises:
            PolicyInvalid: the policy is wrong; the one before stays in force.
            ConfigMissing: its file is gone; the same.
            StoreError: the disk; the same.
        """
        async with self._taking:
            text = await asyncio.to_thread(read_policy_file, self.file)
            taken = self._enforcement(text)
            if text == self.enforcement.text:
                taken = replace(taken, taken_at_ms=self.enforcement.taken_at_ms)
            self.enforcement = replace(taken, findings=await self._read_findings())
        return self.enforcement

    async def reload_findings(self) -> None:
        """Read again what people here decided, and put it in force.

        Raises:
            StoreError: the disk; what was in force stays.
        """
        async with self._taking:
            self.enforcement = replace(self.enforcement, findings=await self._read_findings())

    def roster_changed(self) -> None:
        """Members may have left, and others speak for them; the policy stays as it is."""
        policy = self.enforcement.policy
        kin = kin_of(self._membership.roster)
        if kin != policy.kin:
            self.enforcement = replace(
                self.enforcement, policy=CompiledPolicy(policy.policy, policy.member, kin)
            )

    def compile(self, text: str) -> CompiledPolicy:
        """A policy's text, checked against this federation's members and compiled.

        Raises:
            PolicyInvalid: what is wrong, each with its line.
        """
        roster, member = self._membership.roster, self._config.company
        policy = parse_policy(text, {member, *roster.members})
        return CompiledPolicy(policy, member, kin_of(roster))

    def strangers(self) -> list[str]:
        """Members that the policy names and the roster no longer holds, sorted."""
        named = {name for rule in self.enforcement.policy.policy.rules for name in rule.members}
        return sorted(named - {OWN_MEMBER, *self._membership.roster.members})

    def _enforcement(self, text: str) -> Enforcement:
        return Enforcement(self.compile(text), NO_FINDINGS, text, self._clock_ms())

    async def _read_findings(self) -> LocalFindings:
        findings, holds = await self._decisions.findings(), await self._decisions.holds()
        return LocalFindings(
            quarantined={
                each.mark: each.reason.value
                for each in holds
                if each.state is HoldState.QUARANTINED
            },
            excepted=frozenset(each.mark for each in holds if each.state is HoldState.EXCEPTED),
            rejected=frozenset(each.mark for each in findings if each.word is FindingWord.REJECTED),
            confirmed=frozenset(
                each.mark for each in findings if each.word is FindingWord.CONFIRMED
            ),
        )
