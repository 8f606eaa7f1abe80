"""From signals as text to what the node says about them: shared by all calls that match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from federation.daemon.matcher import Match
from federation.daemon.searching import Thresholds
from federation.matching.decisions import Decision
from federation.matching.video_search import VideoFound, VideoThresholds
from federation.media.links import signal_of_url
from federation.protocol.bodies import Confirm
from federation.protocol.headers import StatementId
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import parse_signal
from federation.provenance.incidents import IncidentState
from federation.provenance.verdict import Voice
from federation.store.upload_ring import encode_reference
from federation.web import match_schemas

IncidentOf: TypeAlias = Callable[[StatementId | None], IncidentState | None]
"""The incident of an id, where it is known; see :class:`federation.daemon.incidents.Incidents`."""


def _unknown(_incident: StatementId | None) -> None:
    """No incident is known."""


def read_signal(signal_type: str, value: str, quality: int | None = None) -> Signal:
    """A signal of a request; a URL is brought into its normal form here, at the local door.

    Raises:
        SignalMalformed: an unknown type, or a value that breaks its grammar.
    """
    if signal_type == SignalType.URL:
        return signal_of_url(value)
    return parse_signal(f"{signal_type}:{value}", quality)


def check_reference(reference: str | None) -> None:
    """The platform's name for an upload, where it gave one.

    Raises:
        RequestMalformed: it cannot be one.
    """
    if reference is not None:
        encode_reference(reference)


def thresholds_of(
    distance_max: int | None,
    video: match_schemas.VideoQuery,
    tlsh_distance_max: int,
    *,
    default: int,
) -> Thresholds:
    """What a request asks to count as a match; ``default`` is the node's PDQ distance."""
    bits = default if distance_max is None else distance_max
    videos = VideoThresholds(
        distance_max=bits if video.distance_max is None else video.distance_max,
        quality_min=video.quality_min,
        query_percent_min=video.query_percent_min,
        index_percent_min=video.index_percent_min,
    )
    return Thresholds(bits, videos, tlsh_distance_max)


def result_of(
    matches: Sequence[Match], decision: Decision, incident: IncidentOf = _unknown
) -> match_schemas.MatchResult:
    """What the policy decided about one signal, with what it was decided from.

    Args:
        matches: what is known near it.
        decision: what the policy said.
        incident: the incident that a statement belongs to, where it is known.
    """
    reasons = [decision.why]
    if matches:
        reasons.append(f"nearest {_nearness(matches[0])}")
    return match_schemas.MatchResult(
        action=decision.action.value,
        rule=decision.rule,
        reasons=reasons,
        passed_over=[
            match_schemas.PassedOverRule(rule=each.rule, why=each.why) for each in decision.others
        ],
        matches=[_matched(match, incident) for match in matches],
    )


def _nearness(match: Match) -> str:
    if isinstance(match.found, VideoFound):
        return f"has {match.found.query_percent} % of the video"
    return f"at distance {match.distance}"


def _matched(match: Match, incident: IncidentOf) -> match_schemas.MatchedSignal:
    shares = match.found if isinstance(match.found, VideoFound) else None
    return match_schemas.MatchedSignal(
        type=match.type.value,
        value=match.found.value.hex(),
        distance=match.distance,
        verdict=match.verdict.state.value,
        query_percent=shares.query_percent if shares else None,
        index_percent=shares.index_percent if shares else None,
        statements=[
            statement_of_voice(voice, incident)
            for voice in match.verdict.voices
            if voice.word.can_match
        ],
    )


def statement_of_voice(
    voice: Voice, incident: IncidentOf = _unknown
) -> match_schemas.MatchedStatement:
    """One member's statement, and what it is worth."""
    opinion = voice.opinion
    return match_schemas.MatchedStatement(
        id=str(opinion.id),
        bundle=f"/v1/statements/{opinion.id}/bundle",
        member=opinion.member,
        word=voice.word.value,
        labels=list(opinion.confirm.labels) if opinion.confirm else [],
        endorsed_by=list(voice.endorsed_by),
        disputed_by=list(voice.disputed_by),
        incident=_incident(opinion.confirm, incident),
    )


def _incident(
    confirm: Confirm | None, incident: IncidentOf
) -> match_schemas.MatchedIncident | None:
    state = None if confirm is None else incident(confirm.incident)
    if state is None:
        return None
    return match_schemas.MatchedIncident(
        id=str(state.id),
        member=state.member,
        title=state.title,
        level=state.level,
        is_open=state.is_open,
    )
