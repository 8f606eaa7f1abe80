"""A policy's text, checked: unknown words and contradictions are refused with line and reason.

Source: docs/guides/writing_a_policy.md.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import Final

from federation.errors import FederationError
from federation.local_errors.config import PolicyInvalid
from federation.matching.decisions import RESERVED_NAMES
from federation.matching.policy_fields import Flaw, Flaws, Table
from federation.matching.policy_lines import lines_of
from federation.matching.policy_terms import (
    ACTING,
    DISTANCES_MAX,
    EXCEPTIONS_MAX,
    POLICY_BYTES_MAX,
    POLICY_VERSION,
    RULES_MAX,
    Action,
    FloodGuard,
    Policy,
    PolicyException,
    Publishing,
    Rule,
    Stage,
)
from federation.protocol.limits import MEMBERS_MAX
from federation.protocol.limits_content import PDQ_DISTANCE_MAX
from federation.protocol.signals import SignalType
from federation.protocol.signals_local import check_publishable, parse_signal

FLAWS_TOLD_MAX: Final = 10
"""Flaws told at once; the first often explains the rest."""

WINDOW_MINUTES_MAX: Final = 24 * 60


class _Rejected(StrEnum):
    """What to do about a signal whose match was rejected here."""

    REVIEW = "review"
    ALLOW = "allow"


class _Educational(StrEnum):
    """What to do about a match that somebody flagged as educational or news."""

    REVIEW = "review"
    ACT = "act"


def parse_policy(text: str, members: Collection[str] | None = None) -> Policy:
    """Read a policy.

    Args:
        text: TOML.
        members: the federation's members, this node's own among them; None where nobody knows
            them, and then no name is refused.

    Raises:
        PolicyInvalid: what is wrong, each with its line.
    """
    if len(text.encode("utf-8", "replace")) > POLICY_BYTES_MAX:
        raise PolicyInvalid(f"a policy has at most {POLICY_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid(f"not TOML: {error}") from None
    except ValueError:  # Python's own, of a number with thousands of digits
        raise PolicyInvalid("not TOML: a number has too many digits") from None
    except RecursionError:
        raise PolicyInvalid("not TOML: nested too deeply") from None
    flaws = Flaws(lines_of(text))
    known = None if members is None else frozenset(members)
    policy = _read_policy(Table(document, (), flaws, known))
    if not flaws.found:
        flaws.found += _contradictions(policy, known)
    if flaws.found:
        told = sorted(flaws.found)
        more = len(told) - FLAWS_TOLD_MAX
        parts = [str(flaw) for flaw in told[:FLAWS_TOLD_MAX]]
        raise PolicyInvalid("; ".join(parts + ([f"and {more} more"] if more > 0 else [])))
    return policy


def _read_policy(top: Table) -> Policy:
    if top.number("version", 0, 0, 10**9) != POLICY_VERSION:
        top.flaw("version", f"this release reads version {POLICY_VERSION}: version = 1")
    findings = top.table("findings")
    policy = Policy(
        rules=tuple(_read_rule(table) for table in top.tables("rules", RULES_MAX)),
        otherwise=top.word("otherwise", Action, Action.REVIEW) or Action.REVIEW,
        educational=top.word("educational", _Educational, _Educational.REVIEW)
        is _Educational.REVIEW,
        rejected=Action(findings.word("rejected", _Rejected, _Rejected.REVIEW) or "review"),
        exceptions=tuple(_read_exceptions(top)),
        flood=_read_flood(top.table("flood")),
        benign_distance_max=_read_benign(top.table("benign")),
        publishing=Publishing(
            endorse=findings.flag("publish_endorse", default=False),
            dispute=findings.flag("publish_dispute", default=False),
        ),
    )
    findings.close()
    top.close()
    return policy


def _read_rule(table: Table) -> Rule:
    action = table.word("action", Action) or Action.REVIEW
    stages = table.words("stages", Stage)
    if not stages:
        stages = frozenset({Stage.LIVE} if action is Action.DENY_LIVE else Stage)
    # What acts without anybody looking here takes a person's word there, unless told otherwise.
    is_acting = action in ACTING
    rule = Rule(
        name=table.name(),
        action=action,
        stages=stages,
        types=table.words("types", SignalType),
        labels=table.labels("labels"),
        without_labels=table.labels("without_labels"),
        members=table.member_names("members"),
        members_min=table.number("members_min", 1, 1, MEMBERS_MAX),
        distances_max=table.distances("distance_max"),
        human=table.flag("human", default=is_acting),
        endorsements=table.flag("endorsements", default=True),
        disputes_max=table.number("disputes_max", 0, 0, MEMBERS_MAX),
        accused=table.flag("accused", default=False),
        suspended=table.flag("suspended", default=False),
        line=table.line(),
    )
    if action is Action.DENY_LIVE and Stage.UPLOAD in rule.stages:
        table.flaw("stages", 'deny_live is for streams: stages = ["live"]')
    if both := rule.labels & rule.without_labels:
        table.flaw("without_labels", f"asked for and shut out at once: {', '.join(sorted(both))}")
    for signal_type in rule.distances_max:
        if rule.types and signal_type not in rule.types:
            table.flaw("distance_max", f"{signal_type} is not among the rule's types")
    table.close()
    return rule


def _read_exceptions(top: Table) -> Iterator[PolicyException]:
    for table in top.tables("exceptions", EXCEPTIONS_MAX):
        name, text = table.name(), table.text("signal")
        distance_max = table.number("distance_max", 0, 0, max(DISTANCES_MAX.values()))
        table.close()
        if text is None:
            continue
        try:
            signal = parse_signal(text)
            check_publishable(signal)
        except FederationError as error:
            table.flaw("signal", error.message)
            continue
        if distance_max > DISTANCES_MAX[signal.type]:
            table.flaw(
                "distance_max", f"{signal.type}: a distance from 0 to {DISTANCES_MAX[signal.type]}"
            )
        yield PolicyException(name, signal, distance_max, table.line())


def _read_flood(table: Table) -> FloodGuard:
    usual = FloodGuard()
    guard = FloodGuard(
        matches=table.number("matches", usual.matches, 0, 10**9),
        window_seconds=60 * table.number("window_minutes", 10, 1, WINDOW_MINUTES_MAX),
        times_usual=table.number("times_usual", usual.times_usual, 1, 10**6),
        unless_members_min=table.number(
            "unless_members_min", usual.unless_members_min, 1, MEMBERS_MAX
        ),
    )
    table.close()
    return guard


def _read_benign(table: Table) -> int:
    distance_max = table.number("distance_max", PDQ_DISTANCE_MAX, 0, PDQ_DISTANCE_MAX)
    table.close()
    return distance_max


# --- contradictions -----------------------------------------------------------------------------


def _contradictions(policy: Policy, members: frozenset[str] | None) -> Iterator[Flaw]:
    names: dict[str, int] = {}
    for rule in policy.rules:
        if rule.name in RESERVED_NAMES:
            yield Flaw(rule.line, f"rule {rule.name}: that name has a meaning of its own")
        if rule.name in names:
            yield Flaw(
                rule.line, f"rule {rule.name}: named like the one in line {names[rule.name]}"
            )
        names[rule.name] = rule.line
        counted = len(rule.members) if rule.members else len(members or ()) or MEMBERS_MAX
        if rule.members_min > counted:
            yield Flaw(
                rule.line,
                f"rule {rule.name}: members_min = {rule.members_min} of {counted} can never be met",
            )
    for at, rule in enumerate(policy.rules):
        wider = next((each for each in policy.rules[:at] if _is_wider(each, rule)), None)
        if wider is not None:
            yield Flaw(
                rule.line,
                f"rule {rule.name}: never reached, rule {wider.name} in line {wider.line} decides "
                "whatever it would",
            )
    yield from _excepted_twice(policy.exceptions)


def _excepted_twice(exceptions: Sequence[PolicyException]) -> Iterator[Flaw]:
    names: dict[str, int] = {}
    signals: dict[tuple[SignalType, bytes], PolicyException] = {}
    for each in exceptions:
        if each.name in names:
            yield Flaw(
                each.line, f"exception {each.name}: named like the one in line {names[each.name]}"
            )
        names[each.name] = each.line
        earlier = signals.setdefault((each.signal.type, each.signal.value), each)
        if earlier is not each:
            yield Flaw(
                each.line,
                f"exception {each.name}: its signal is excepted already in line {earlier.line}",
            )


def _is_wider(earlier: Rule, later: Rule) -> bool:
    """Whether whatever satisfies the later rule satisfies the earlier one, which is asked first."""
    return (
        earlier.stages >= later.stages
        and (not earlier.types or (bool(later.types) and earlier.types >= later.types))
        and (not earlier.labels or (bool(later.labels) and earlier.labels >= later.labels))
        and earlier.without_labels <= later.without_labels
        and (not earlier.members or (bool(later.members) and earlier.members >= later.members))
        and earlier.members_min <= later.members_min
        and all(earlier.reach(kind) >= later.reach(kind) for kind in later.types or SignalType)
        and (later.human or not earlier.human)
        and (earlier.endorsements or not later.endorsements)
        and earlier.disputes_max >= later.disputes_max
        and (earlier.accused or not later.accused)
        and (earlier.suspended or not later.suspended)
    )
