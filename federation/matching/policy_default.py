"""The policy of a node whose operator has written none."""

from __future__ import annotations

from typing import Final

DEFAULT_POLICY: Final = """\
# What this node does about a match until you write a policy of your own.
version = 1

# A person decides about everything that no rule decides: what only machines confirmed, what is
# disputed, what a suspended or accused member said, and whatever is flagged as educational or news.
otherwise = "review"
educational = "review"

[[rules]]
# One member's word is enough, as long as a person there confirmed it and nobody disputes it.
name = "confirmed-by-a-person"
action = "block"
members_min = 1
human = true
disputes_max = 0
"""
"""Cautious where it costs nobody anything, and useful on the first day."""
