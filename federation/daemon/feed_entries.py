"""From what changed to what is told of it: the feed's kinds and the content of each.

This is the one place that says what a consumer reads; docs/reference/feed.md is held against it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from federation.daemon.changes import (
    Change,
    FoundEarlier,
    HistoryCut,
    IncidentChanged,
    IssuersChanged,
    LiveMatchChanged,
    Mark,
    PolicyReplaced,
    QuarantineEnded,
    SignalQuarantined,
    StatementsErased,
    VerdictChanged,
)
from federation.protocol.headers import StatementId
from federation.provenance.incidents import IncidentState
from federation.provenance.verdict import Verdict
from federation.store.feed_store import FeedEntry

SIGNAL: Final = "signal"
"""An item of the snapshot: what is said of one signal now."""

HISTORY_CUT: Final = "history-cut"

KINDS: Final[Mapping[type[Any], str]] = {
    VerdictChanged: "verdict-changed",
    StatementsErased: "statements-erased",
    IssuersChanged: "issuers-changed",
    SignalQuarantined: "signal-quarantined",
    QuarantineEnded: "quarantine-ended",
    FoundEarlier: "found-earlier",
    LiveMatchChanged: "live-match",
    IncidentChanged: "incident-changed",
    PolicyReplaced: "policy-replaced",
    HistoryCut: HISTORY_CUT,
}
"""The kind of each change, as consumers know it: never renamed."""


def entry_of(change: Change, verdicts: Mapping[Mark, Verdict]) -> FeedEntry:
    """What the feed tells of a change.

    Args:
        change: what changed.
        verdicts: what is said now of the signals of quarantines.
    """
    kind = KINDS[type(change)]
    match change:
        case VerdictChanged(mark, before, verdict, causes):
            told = {
                **verdict_fields(mark, verdict),
                "before": None if before is None else before.value,
                "causes": [str(each) for each in causes],
            }
            return _entry(kind, told, (*_ids(verdict), *causes))
        case StatementsErased(ids, by):
            told = {"statements": [str(each) for each in ids], "by": [str(each) for each in by]}
            return _entry(kind, told)
        case IssuersChanged(suspended, accused):
            return _entry(kind, {"suspended": list(suspended), "accused": list(accused)})
        case SignalQuarantined(mark, reason, at_ms):
            told = {**verdict_fields(mark, verdicts[mark]), "reason": reason, "at_ms": at_ms}
            return _entry(kind, told, _ids(verdicts[mark]))
        case QuarantineEnded(mark, decision, at_ms):
            told = {**verdict_fields(mark, verdicts[mark]), "decision": decision, "at_ms": at_ms}
            return _entry(kind, told, _ids(verdicts[mark]))
        case FoundEarlier():
            return _entry(kind, _found_earlier(change), change.statements)
        case LiveMatchChanged():
            return _entry(kind, _live_match(change), change.statements)
        case IncidentChanged(made, incident):
            return _entry(kind, _incident(made, incident), (made,))
        case PolicyReplaced(sha256):
            return _entry(kind, {"sha256": sha256})
        case HistoryCut():
            return _entry(kind, {})


def snapshot_entry(mark: Mark, verdict: Verdict) -> FeedEntry:
    """An item of the snapshot."""
    return _entry(SIGNAL, verdict_fields(mark, verdict), _ids(verdict))


def marks_asked(change: Change) -> tuple[Mark, ...]:
    """The signals whose verdict has to be looked up before a change can be told."""
    return (change.mark,) if isinstance(change, SignalQuarantined | QuarantineEnded) else ()


def verdict_fields(mark: Mark, verdict: Verdict) -> dict[str, Any]:
    """What is said of a signal: the state in one word, and every statement behind it."""
    return {
        "signal": _signal(mark),
        "state": verdict.state.value,
        "statements": [
            {
                "id": str(voice.opinion.id),
                "member": voice.opinion.member,
                "word": voice.word.value,
                "labels": list(voice.opinion.confirm.labels) if voice.opinion.confirm else [],
                "endorsed_by": list(voice.opinion.endorsed_by),
                "disputed_by": list(voice.opinion.disputed_by),
            }
            for voice in verdict.voices
        ],
        "expires_at_ms": verdict.expires_at_ms,
    }


def _found_earlier(change: FoundEarlier) -> dict[str, Any]:
    return {
        "reference": change.reference,
        "uploaded_at_ms": change.uploaded_at_ms,
        "signal": _signal(change.mark),
        "distance": change.distance,
        "action": change.action,
        "rule": change.rule,
        "statements": [str(each) for each in change.statements],
    }


def _incident(made: StatementId, incident: IncidentState | None) -> dict[str, Any]:
    if incident is None:
        return {"id": str(made), "incident": None}
    return {
        "id": str(made),
        "incident": {
            "member": incident.member,
            "title": incident.title,
            "level": incident.level,
            "is_open": incident.is_open,
            "opened_at_ms": incident.opened_at_ms,
            "changed_at_ms": incident.changed_at_ms,
            "closed_at_ms": incident.closed_at_ms,
        },
    }


def _live_match(change: LiveMatchChanged) -> dict[str, Any]:
    return {
        "stream": change.stream,
        "state": change.state,
        "began_at_ms": change.began_at_ms,
        "frames": change.frames,
        "matched": change.matched,
        "signal": _signal(change.mark),
        "distance": change.distance,
        "action": change.action,
        "rule": change.rule,
        "statements": [str(each) for each in change.statements],
    }


def _signal(mark: Mark) -> dict[str, str]:
    signal_type, identity = mark
    return {"type": signal_type.value, "value": identity.hex()}


def _ids(verdict: Verdict) -> tuple[StatementId, ...]:
    return tuple(voice.opinion.id for voice in verdict.voices)


def _entry(
    kind: str, told: Mapping[str, Any], statements: tuple[StatementId, ...] = ()
) -> FeedEntry:
    content = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
    return FeedEntry(kind, content, tuple(dict.fromkeys(statements)))
