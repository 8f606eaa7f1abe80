"""A policy that is wrong is refused with line and reason; one that is right means what it says."""

from __future__ import annotations

import tomllib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.local_errors.config import PolicyInvalid
from federation.matching.policy_default import DEFAULT_POLICY
from federation.matching.policy_lines import line_of, lines_of
from federation.matching.policy_reading import parse_policy
from federation.matching.policy_terms import Action, Stage
from federation.protocol.signals import SignalType
from tests.builders import ACME, NOVA, make_signal

RULE = '[[rules]]\nname = "r"\naction = "review"\n'
PDQ = f"pdq:{make_signal(1).value.hex()}"
EXACT = f"version = 1\n[[exceptions]]\nname = 'x'\nsignal = 'md5:{'ab' * 16}'\ndistance_max = 1"
UPLOADED_STREAM = "version = 1\n[[rules]]\nname = 'r'\naction = 'deny_live'\nstages = ['upload']"
TWICE = f"""version = 1
[[exceptions]]
name = 'x'
signal = '{PDQ}'
[[exceptions]]
name = 'y'
signal = '{PDQ}'
distance_max = 3"""


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "version"),
        ("version = 2", 1, "version 1"),
        ("version = 1\nmember = 3", 2, "unknown key"),
        ("version = 1\n[flood]\nmatchs = 3", 3, "unknown key"),
        ('version = 1\notherwise = "ban"', 2, "one of"),
        (f"version = 1\n{RULE}labels = ['tvec9']", 5, "unknown label"),
        (f"version = 1\n{RULE}labels = []", 5, "not empty"),
        (f"version = 1\n{RULE}types = ['photodna']", 5, "unknown"),
        (f"version = 1\n{RULE}members = ['stranger.example']", 5, "unknown member"),
        (f"version = 1\n{RULE}members_min = 3", 2, "can never be met"),
        (f"version = 1\n{RULE}members = ['acme.example']\nmembers_min = 2", 2, "never be met"),
        (f"version = 1\n{RULE}distance_max = 32", 5, "from 0 to 31"),
        (f"version = 1\n{RULE}distance_max = {{pdq = 3, sha256 = 1}}", 5, "sha256"),
        (f"version = 1\n{RULE}types = ['md5']\ndistance_max = 3", 6, "not among"),
        (f"version = 1\n{RULE}human = 'yes'", 5, "true or false"),
        (f"version = 1\n{RULE}labels = ['tvec1']\nwithout_labels = ['tvec1']", 6, "at once"),
        (UPLOADED_STREAM, 5, "live"),
        (f"version = 1\n{RULE}{RULE}", 5, "named like the one in line 2"),
        (f"version = 1\n{RULE}[[rules]]\nname = 's'\naction = 'block'", 5, "never reached"),
        ("version = 1\n[[rules]]\nname = 'otherwise'\naction = 'review'", 2, "meaning of its own"),
        ("version = 1\n[[exceptions]]\nname = 'x'\nsignal = 'pdq:00'", 4, "64 hex digits"),
        (f"version = 1\n[[exceptions]]\nname = 'x'\nsignal = 'pdq:{'0' * 64}'", 4, "bits alike"),
        ("version = 1\n[[exceptions]]\nname = 'x'", 2, "has to be there"),
        (EXACT, 5, "from 0 to 0"),
        (TWICE, 5, "already in line 2"),
        ("version = 1\nrules = 3", 2, "[[rules]]"),
        ("version = 1\nflood = 3", 2, "table"),
    ],
)  # fmt: skip
def test_a_policy_that_means_nothing_is_refused_with_line_and_reason(
    text: str, line: int, why: str
) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(text, {ACME, NOVA})
    assert f"line {line}: " in refused.value.message
    assert why in refused.value.message
    assert PDQ not in refused.value.message


def test_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(PolicyInvalid, match="line 2"):
        parse_policy("version = 1\n= 3")
    with pytest.raises(PolicyInvalid):
        parse_policy("x = " + "[" * 100_000)


def test_every_flaw_is_told_up_to_ten() -> None:
    rules = "".join(f"[[rules]]\nname = 'r{at}'\naction = 'x'\n" for at in range(20))
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy("version = 1\n" + rules)
    assert 10 == refused.value.message.count("line ")
    assert "and 10 more" in refused.value.message


def test_a_member_is_not_refused_where_nobody_knows_the_members() -> None:
    policy = parse_policy(f"version = 1\n{RULE}members = ['stranger.example', '@self']")
    assert {"stranger.example", "@self"} == policy.rules[0].members


def test_what_is_left_out_is_the_cautious_choice() -> None:
    policy = parse_policy("""
version = 1
[[rules]]
name = "b"
action = "block"
distance_max = {pdq = 20, tlsh = 10}
[[rules]]
name = "live"
action = "deny_live"
[[rules]]
name = "r"
action = "review"
""")
    block, live, review = policy.rules
    assert (True, 0, False, False) == (
        block.human, block.disputes_max, block.accused, block.suspended
    )  # fmt: skip
    assert not review.human
    assert frozenset({Stage.LIVE}) == live.stages
    assert (20, 10, 0, 100) == tuple(
        block.reach(kind)
        for kind in (SignalType.PDQ, SignalType.TLSH, SignalType.MD5, SignalType.VPDQ)
    )
    assert Action.REVIEW is policy.otherwise
    assert (True, False, False) == (
        policy.educational, policy.publishing.endorse, policy.publishing.dispute
    )  # fmt: skip


def test_a_narrower_rule_may_come_before_a_wider_one() -> None:
    parse_policy(
        "version = 1\n[[rules]]\nname = 'a'\naction = 'block'\nlabels = ['tvec1']\n"
        "[[rules]]\nname = 'b'\naction = 'review'\n"
    )


TEXTS = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["version = 1", "[[rules]]", "[rules]", "name = 'a'", "action = 'block'", "x = [1,",
         "]", "[flood]", "matches = -1", '"""', "members_min = true", "[[exceptions]]",
         "signal = 'pdq:zz'", "exceptions = [1, {}]", "rules = [[]]", "a.b = 1", "[a.b]"]
    ), max_size=12,
).map("\n".join)  # fmt: skip


@given(TEXTS)
def test_whatever_the_text_a_policy_is_read_or_refused(text: str) -> None:
    with suppress(PolicyInvalid):
        parse_policy(text, {ACME})


def test_the_default_policy_is_one() -> None:
    assert 1 == len(parse_policy(DEFAULT_POLICY).rules)


def test_a_place_is_found_behind_strings_brackets_and_comments() -> None:
    text = '''version = 1 # [[rules]]
a = ["]", # "[
 "x"]
s = """
[[rules]]
k = 1
"""
[[rules]]
name = "]"
inline = {a = 1}
[rules.deep."x.y"]
z = 'q'
[[rules]]
'''
    tomllib.loads(text)
    lines = lines_of(text)
    expected = {
        ("version",): 1, ("a",): 2, ("s",): 4, ("rules", 0): 8, ("rules", 0, "name"): 9,
        ("rules", 0, "inline"): 10, ("rules", 0, "deep", "x.y"): 11,
        ("rules", 0, "deep", "x.y", "z"): 12, ("rules", 1): 13,
    }  # fmt: skip
    assert expected == {place: lines[place] for place in expected}
    assert len(lines) == len(expected) + 0
    assert 10 == line_of(lines, ("rules", 0, "inline", "a"))
    assert 1 == line_of(lines, ("nowhere",))


def test_a_line_is_found_in_one_pass_however_it_is_written() -> None:
    """With a search that goes back for each space this would take until tomorrow."""
    wide = " " * 20_000
    text = f"[{wide}'a]{wide}b'{wide}.{wide}c{wide}]\nd = 1\n[[{wide}e{wide}]]{wide}# f\ng = 2\n"
    lines = lines_of(text)
    assert (1, 2) == (lines[f"a]{wide}b", "c"], lines[f"a]{wide}b", "c", "d"])
    assert (3, 4) == (lines["e", 0], lines["e", 0, "g"])


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(PolicyInvalid, match="too many digits"):
        parse_policy(f"version = {'1' * 5_000}")
