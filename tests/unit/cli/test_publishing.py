"""What publish makes of its options before anything is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federation.cli.publishing import (
    STATEMENTS_PER_REQUEST,
    VALUE_CHARACTERS_PER_REQUEST,
    Particulars,
    bundle,
    cut_in_requests,
    parse_expiry,
    publish,
)
from federation.cli.saying import Saying, say_about
from federation.errors import RequestMalformed
from federation.local_errors.config import ConfigMissing
from federation.local_errors.content import LabelUnknown, SignalMalformed
from federation.local_errors.proofs import LaneUnknown
from federation.web.schemas import ConfirmRequest, PublishedSignal
from tests.builders import NEW_YEAR_2026_MS

NOW = datetime.fromtimestamp(NEW_YEAR_2026_MS / 1_000, UTC)
HOUR_MS = 3_600_000
SIGNAL = "sha256:" + "ab" * 32
STATEMENT = "st_" + "ab" * 32
NO_CONFIG = Path("nowhere/node.toml")


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("12h", 12 * HOUR_MS),
        ("90d", 90 * 24 * HOUR_MS),
        ("2w", 14 * 24 * HOUR_MS),
        ("2026-01-02", 24 * HOUR_MS),
        ("2026-01-01T01:00", HOUR_MS),
        ("2026-01-01T02:00+01:00", HOUR_MS),
    ],
)
def test_an_expiry_is_a_duration_or_a_time_in_utc(text: str, after_ms: int) -> None:
    assert NEW_YEAR_2026_MS + after_ms == parse_expiry(text, NOW)


@pytest.mark.parametrize("text", ["", "soon", "0d", "2025-12-31", "12", "999999w", "-3d"])
def test_an_expiry_that_is_past_or_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestMalformed):
        parse_expiry(text, NOW)


@given(st.text() | st.text("0123456789-:T+Zhdw", max_size=30))
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00+23:59")
def test_any_expiry_is_a_time_ahead_or_our_error(text: str) -> None:
    try:
        assert parse_expiry(text, NOW) >= NEW_YEAR_2026_MS
    except RequestMalformed:
        return


def particulars(
    *, lane: str = "live", labels: tuple[str, ...] = (), item: str | None = None
) -> Particulars:
    return Particulars(lane, labels, item, "proactive", False, False, None)


def test_an_unknown_label_is_told_with_the_vocabulary() -> None:
    with pytest.raises(LabelUnknown) as refused:
        publish(NO_CONFIG, [], [SIGNAL], None, particulars(labels=("tvec1", "bad")), is_exact=False)
    assert refused.value.message.endswith(": bad")
    assert refused.value.hint is not None
    assert "tvec1" in refused.value.hint


def test_an_unknown_lane_is_refused() -> None:
    with pytest.raises(LaneUnknown):
        publish(NO_CONFIG, [], [SIGNAL], None, particulars(lane="fast"), is_exact=False)


def test_a_quality_for_no_pdq_signal_is_refused() -> None:
    with pytest.raises(SignalMalformed):
        publish(NO_CONFIG, [], [SIGNAL], 80, particulars(), is_exact=False)


def test_one_name_for_two_contents_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(b"one")
    with pytest.raises(RequestMalformed, match="--item"):
        publish(NO_CONFIG, [path], [SIGNAL], None, particulars(item="one"), is_exact=True)


def test_a_reason_is_a_code_and_never_free_text() -> None:
    with pytest.raises(RequestMalformed, match="reason"):
        say_about(NO_CONFIG, Saying.WITHDRAW, [STATEMENT], "The user asked us to")


@pytest.mark.parametrize("text", ["", "st_", STATEMENT.upper(), STATEMENT[:-1], "../../etc/passwd"])
def test_a_malformed_statement_id_is_refused_before_anything_is_sent(text: str) -> None:
    with pytest.raises(RequestMalformed):
        say_about(NO_CONFIG, Saying.WITHDRAW, [STATEMENT, text], "mistake")
    with pytest.raises(RequestMalformed):
        bundle(NO_CONFIG, text, None, 0, by_hash=False)


def test_without_a_config_nothing_is_sent() -> None:
    with pytest.raises(ConfigMissing):
        publish(NO_CONFIG, [], [SIGNAL], None, particulars(), is_exact=False)


def test_requests_are_cut_by_number_and_by_length() -> None:
    """A thousand confirms fit by number, and forty films of half an hour do not fit by length."""

    def confirm(characters: int) -> ConfirmRequest:
        signal = PublishedSignal.model_construct(type="vpdq", value="0" * characters)
        return ConfirmRequest.model_construct(signals=[signal])

    third = VALUE_CHARACTERS_PER_REQUEST // 3
    for lengths, expected in [
        ([third] * 7, [3, 3, 1]),
        ([4 * third, 1, 1], [1, 2]),
        ([1] * (2 * STATEMENTS_PER_REQUEST + 1), [STATEMENTS_PER_REQUEST] * 2 + [1]),
        ([], []),
    ]:
        confirms = [confirm(length) for length in lengths]
        parts = list(cut_in_requests(confirms))
        assert expected == [len(part) for part in parts]
        assert confirms == [each for part in parts for each in part]
