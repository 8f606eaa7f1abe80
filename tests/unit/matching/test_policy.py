"""The policy decides from what members said, says which rule it was, and why no other."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import pytest

from federation.matching.decisions import MISS, LocalFindings, PassedOver
from federation.matching.policy import CompiledPolicy, kin_of
from federation.matching.policy_default import DEFAULT_POLICY
from federation.matching.policy_reading import parse_policy
from federation.matching.policy_terms import Action, Stage
from federation.protocol.bodies import Confirm
from federation.protocol.headers import StatementId
from federation.protocol.signals import Signal, SignalType
from federation.provenance.verdict import Issuers, Verdict, verdict_of
from federation.provenance.view import Opinion, Review, Standing
from tests.builders import ACME, NOVA, make_confirm, make_roster, make_signal

SIGNAL = make_signal(1)
NOW = 1_800_000_000_000


@dataclass(frozen=True)
class Near:
    type: SignalType
    identity: bytes
    distance: int
    verdict: Verdict
    is_frame: bool = False


def opinion(
    number: int,
    member: str = ACME,
    *,
    endorsed_by: tuple[str, ...] = (),
    disputed_by: tuple[str, ...] = (),
    **changes: object,
) -> Opinion:
    """One member's confirm, and what others say of it."""
    made = StatementId(number.to_bytes(32, "big"))
    confirm: Confirm = replace(make_confirm(1, signals=[SIGNAL]), **changes)  # type: ignore[arg-type]
    reviews = [(name, True) for name in endorsed_by] + [(name, False) for name in disputed_by]
    return Opinion(
        made,
        member,
        confirm,
        Standing.ACTIVE,
        (),
        (),
        tuple(
            Review(StatementId(bytes([at + 1]) * 32), name, made, agrees, "agrees")
            for at, (name, agrees) in enumerate(reviews)
        ),
    )


def near(
    *opinions: Opinion,
    distance: int = 3,
    signal: Signal = SIGNAL,
    issuers: Issuers | None = None,
) -> Near:
    """A known signal near the one asked about."""
    verdict = verdict_of(opinions, NOW, issuers or Issuers())
    return Near(signal.type, signal.identity, distance, verdict)


def compiled(rules: str, member: str = "self.example") -> CompiledPolicy:
    return CompiledPolicy(parse_policy("version = 1\n" + rules), member)


DEFAULT = CompiledPolicy(parse_policy(DEFAULT_POLICY), "self.example")


def test_nothing_known_is_allowed_and_says_so() -> None:
    assert MISS == DEFAULT.decide(SIGNAL, ())
    assert Action.ALLOW is MISS.action


def test_without_a_policy_of_its_own_a_node_acts_on_one_persons_undisputed_word_and_no_more() -> (
    None
):
    decided = DEFAULT.decide(SIGNAL, [near(opinion(1))])
    assert (Action.BLOCK, "confirmed-by-a-person") == (decided.action, decided.rule)
    assert ACME in decided.why
    for weaker in (
        opinion(1, confirmer="automated"),
        opinion(1, educational=True),
        opinion(1, labels=("tvec.01", "tvec1")),
        opinion(1, disputed_by=(NOVA,)),
    ):
        assert Action.REVIEW is DEFAULT.decide(SIGNAL, [near(weaker)]).action
    suspended = near(opinion(1), issuers=Issuers(suspended=frozenset({ACME})))
    assert Action.REVIEW is DEFAULT.decide(SIGNAL, [suspended]).action


def test_the_first_rule_that_is_satisfied_decides_and_every_other_says_why_it_did_not() -> None:
    policy = compiled(
        """
[[rules]]
name = "two"
action = "block"
members_min = 2
[[rules]]
name = "near"
action = "limit_reach"
types = ["pdq"]
distance_max = 2
human = false
[[rules]]
name = "recruiting"
action = "block"
labels = ["tvec6"]
[[rules]]
name = "files"
action = "block"
types = ["sha256"]
[[rules]]
name = "streams"
action = "deny_live"
[[rules]]
name = "nova"
action = "block"
members = ["nova.example"]
[[rules]]
name = "any"
action = "label"
[[rules]]
name = "last"
action = "review"
disputes_max = 1
"""
    )
    decided = policy.decide(SIGNAL, [near(opinion(1))])
    assert (Action.LABEL, "any") == (decided.action, decided.rule)
    assert {
        "streams": "it is not about content at the stage upload",
        "two": "it takes 2 members, and only acme.example count for it",
        "near": "the nearest match is further than it goes",
        "recruiting": "no confirm has the labels it is about",
        "files": "no match is of its types",
        "nova": "nobody whose word counts for it said so",
        "last": "rule any comes before it",
    } == {each.rule: each.why for each in decided.others}


def test_members_are_counted_over_all_near_signals_and_each_company_once() -> None:
    """One picture has different PDQ values at different companies."""
    policy = compiled('[[rules]]\nname = "two"\naction = "block"\nmembers_min = 2')
    first, again = near(opinion(1, ACME)), near(opinion(2, ACME), signal=make_signal(2))
    other = near(opinion(3, NOVA), signal=make_signal(3))
    assert Action.REVIEW is policy.decide(SIGNAL, [first, again]).action
    assert Action.BLOCK is policy.decide(SIGNAL, [first, other]).action
    assert Action.BLOCK is policy.decide(SIGNAL, [near(opinion(1, endorsed_by=(NOVA,)))]).action
    successor = CompiledPolicy(policy.policy, "self.example", {ACME: NOVA})
    assert Action.REVIEW is successor.decide(SIGNAL, [first, other]).action


def test_an_endorse_counts_as_its_members_word_unless_the_rule_says_no() -> None:
    automated = near(opinion(1, confirmer="automated", endorsed_by=(NOVA,)))
    rule = '[[rules]]\nname = "any"\naction = "block"\n'
    assert Action.BLOCK is compiled(rule).decide(SIGNAL, [automated]).action
    alone = compiled(rule + "endorsements = false").decide(SIGNAL, [automated])
    assert Action.REVIEW is alone.action
    assert (PassedOver("any", "no person confirmed it"),) == alone.others


def test_the_words_of_suspended_and_accused_members_count_only_where_a_rule_says_so() -> None:
    accused = near(opinion(1), issuers=Issuers(accused=frozenset({ACME})))
    rule = '[[rules]]\nname = "any"\naction = "block"\n'
    decided = compiled(rule).decide(SIGNAL, [accused])
    assert (PassedOver("any", "only suspended or accused members said so"),) == decided.others
    assert Action.BLOCK is compiled(rule + "accused = true").decide(SIGNAL, [accused]).action


def test_a_dispute_by_an_accused_member_does_not_weigh() -> None:
    disputed = opinion(1, disputed_by=(NOVA,))
    assert Action.REVIEW is DEFAULT.decide(SIGNAL, [near(disputed)]).action
    by_accused = near(disputed, issuers=Issuers(accused=frozenset({NOVA})))
    assert Action.BLOCK is DEFAULT.decide(SIGNAL, [by_accused]).action


def test_an_educational_flag_by_an_accused_member_lets_nothing_through_to_review() -> None:
    flagged = opinion(2, NOVA, educational=True)
    accused = Issuers(accused=frozenset({NOVA}))
    assert (
        Action.BLOCK is DEFAULT.decide(SIGNAL, [near(opinion(1), flagged, issuers=accused)]).action
    )
    assert Action.REVIEW is DEFAULT.decide(SIGNAL, [near(opinion(1), flagged)]).action


def test_own_exceptions_beat_every_rule_within_their_distance_and_not_beyond() -> None:
    policy = compiled(f"""
[[rules]]
name = "any"
action = "block"
[[exceptions]]
name = "our-logo"
signal = "pdq:{SIGNAL.value.hex()}"
distance_max = 4
""")
    matches = [near(opinion(1))]
    decided = policy.decide(SIGNAL, matches)
    assert (Action.ALLOW, "exception:our-logo") == (decided.action, decided.rule)
    assert ("any",) == tuple(each.rule for each in decided.others)
    assert Action.ALLOW is policy.decide(_flipped(4), matches).action
    assert Action.BLOCK is policy.decide(_flipped(5), matches).action


def _flipped(bits: int) -> Signal:
    value = int.from_bytes(SIGNAL.value, "big") ^ ((1 << bits) - 1)
    return Signal(SIGNAL.type, value.to_bytes(32, "big"))


MARK = (SIGNAL.type, SIGNAL.identity)


def test_a_quarantined_signal_goes_to_review_and_takes_nothing_from_what_else_is_near() -> None:
    held = LocalFindings(quarantined={MARK: "flood"})
    decided = DEFAULT.decide(SIGNAL, [near(opinion(1))], findings=held)
    assert (Action.REVIEW, "quarantine") == (decided.action, decided.rule)
    other = near(opinion(2, NOVA), signal=make_signal(2))
    assert Action.BLOCK is DEFAULT.decide(SIGNAL, [near(opinion(1)), other], findings=held).action
    lenient = compiled('otherwise = "allow"')
    assert Action.REVIEW is lenient.decide(SIGNAL, [near(opinion(1)), other], findings=held).action


def test_an_excepted_signal_never_acts_and_a_rejected_one_goes_to_review() -> None:
    matches = [near(opinion(1))]
    excepted = DEFAULT.decide(SIGNAL, matches, findings=LocalFindings(excepted=frozenset({MARK})))
    assert (Action.ALLOW, "excepted") == (excepted.action, excepted.rule)
    rejected = LocalFindings(rejected=frozenset({MARK}))
    assert "rejected" == DEFAULT.decide(SIGNAL, matches, findings=rejected).rule
    allowing = compiled('[findings]\nrejected = "allow"')
    assert Action.ALLOW is allowing.decide(SIGNAL, matches, findings=rejected).action


def test_a_match_confirmed_here_counts_as_this_members_own_word() -> None:
    policy = compiled('[[rules]]\nname = "own"\naction = "block"\nmembers = ["@self"]')
    matches = [near(opinion(1))]
    assert Action.REVIEW is policy.decide(SIGNAL, matches).action
    confirmed = LocalFindings(confirmed=frozenset({MARK}))
    assert Action.BLOCK is policy.decide(SIGNAL, matches, findings=confirmed).action


def test_deny_live_is_for_streams_only() -> None:
    policy = compiled('[[rules]]\nname = "stop"\naction = "deny_live"')
    matches = [near(opinion(1))]
    assert Action.DENY_LIVE is policy.decide(SIGNAL, matches, Stage.LIVE).action
    assert Action.REVIEW is policy.decide(SIGNAL, matches, Stage.UPLOAD).action


def test_a_pickled_policy_decides_the_same_in_another_process() -> None:
    policy = compiled(
        f'[[exceptions]]\nname = "x"\nsignal = "pdq:{SIGNAL.value.hex()}"\ndistance_max = 4'
    )
    again = pickle.loads(pickle.dumps(policy))  # noqa: S301 - our own bytes
    matches = [near(opinion(1))]
    for signal in (SIGNAL, _flipped(9)):
        assert policy.decide(signal, matches) == again.decide(signal, matches)


def test_two_names_of_one_company_are_one_word() -> None:
    assert {} == kin_of(make_roster().roster)


@pytest.mark.parametrize("signal_type", list(SignalType))
def test_an_exception_of_every_type_is_found(signal_type: SignalType) -> None:
    signal = make_signal(5, signal_type)
    value = signal.value.decode() if signal_type is SignalType.URL else signal.value.hex()
    policy = compiled(f'[[exceptions]]\nname = "x"\nsignal = "{signal_type}:{value}"')
    assert Action.ALLOW is policy.decide(signal, [near(opinion(1), signal=signal)]).action
