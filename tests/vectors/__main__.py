"""``python -m tests.vectors``: write the test vectors again."""

from __future__ import annotations

from tests.vectors.generate import main

main()
