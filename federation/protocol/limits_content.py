"""What bodies and signals may carry: the limits that only readers of content need.

Source: docs/spec/limits.md.
"""

from __future__ import annotations

from typing import Final

# --- bodies

SIGNALS_MAX: Final = 1_500
"""Signals in one confirm: as many PDQ signals without quality as the body holds."""

LABELS_MAX: Final = 16
"""Labels in one confirm; the largest published vocabulary has ten heads."""

LABEL_CHARACTERS_MAX: Final = 64
"""One label: a vocabulary prefix and a short name."""

ITEM_CHARACTERS_MAX: Final = 128
"""The publisher's own name for the content: long enough for a UUID and a prefix."""

REASON_CHARACTERS_MAX: Final = 64
"""A reason is a code, never free text."""

# --- signals

PDQ_BYTES: Final = 32

PDQ_QUALITY_MIN: Final = 50
"""Below it, PDQ's authors advise to discard the signal (pdq/README.md, Meta)."""

PDQ_DISTANCE_MAX: Final = 31
"""Largest Hamming distance that counts as the same picture (PDQ paper: 31 of 256 bits)."""

VIDEO_FRAMES_MAX: Final = 1_500
"""Frames of one vpdq signal: 25 minutes at one a second, 55,500 bytes of a body's 65,536."""

URL_BYTES_MAX: Final = 2_048
"""One URL: what sitemaps allow, and about what browsers and servers pass on."""

SIGNAL_BYTES_MAX: Final = 56 * 1024
"""One signal's value, of any type known or unknown: VIDEO_FRAMES_MAX frames, and some to spare."""

TLSH_DISTANCE_DEFAULT: Final = 30
"""What ``threatexchange`` calls a confident match; the paper finds 2 false in 100,000 there."""

TLSH_DISTANCE_MAX: Final = 100
"""Beyond it, says the paper, one pair of unrelated files in 16 is near."""
