"""Names for content that its publisher did not name."""

from __future__ import annotations

import secrets

ITEM_BYTES = 12
"""Random bytes in such a name: never twice."""


def name_content() -> str:
    """A new one; opaque, so it tells other members nothing."""
    return f"item-{secrets.token_hex(ITEM_BYTES)}"
