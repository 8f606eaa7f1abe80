"""What several signals of one content come to."""

from __future__ import annotations

from federation.web.match_schemas import ActionWord, MatchResult, action_on_content


def result(action: ActionWord, rule: str = "a-rule") -> MatchResult:
    return MatchResult(action=action, rule=rule, reasons=[], matches=[])


def test_the_strongest_action_counts_unless_the_content_is_excepted() -> None:
    assert "allow" == action_on_content([])
    some = [result("allow"), result("label"), result("block"), result("review")]
    assert "block" == action_on_content(some)
    assert "review" == action_on_content([result("limit_reach"), result("review")])
    excepted = result("allow", "exception:our-logo")
    assert "allow" == action_on_content([*some, excepted])
    # A person's exception is of a known signal, not of the content: other signals still count.
    assert "block" == action_on_content([*some, result("allow", "excepted")])
