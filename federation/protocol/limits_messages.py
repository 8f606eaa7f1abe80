"""How large what nodes send each other may be.

Source: docs/spec/limits.md.
"""

from __future__ import annotations

from typing import Final

from federation.protocol.limits import BODY_BYTES_MAX, HEADER_BYTES_MAX

JOIN_REQUEST_BYTES_MAX: Final = 48 * 1024
"""A request is about 2 kB; a large TLS identity in base64 takes 5.5 kB more, and five keys of
ML-DSA-44 with their proofs 25 kB."""

ANNOUNCE_BYTES_MAX: Final = 64 * 1024

INLINE_STATEMENT_BYTES_MAX: Final = 8 * 1024

INLINE_STATEMENTS_MAX: Final = 64
"""Statements that ride in one announcement; more are pulled."""

DIGEST_BYTES_MAX: Final = 4 * 1024 * 1024
"""``LOGS_IN_MESSAGE_MAX`` heads at about 300 bytes a checkpoint, with some receipts."""

LOGS_IN_MESSAGE_MAX: Final = 8_192
"""Heads, or logs held, in one message: eight for each of 1,000 members."""

RANGE_STATEMENTS_MAX: Final = 1_024
"""Statements in one answer: the quantum of the round robin over logs (four tile widths)."""

RANGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""One answer's size; a longer range is cut short, never at less than one statement."""

RANGE_ANSWER_BYTES_MAX: Final = RANGE_BYTES_MAX + HEADER_BYTES_MAX + BODY_BYTES_MAX + 16 * 1024
"""What a puller reads at most: the cut-off above, one more statement, and the proof."""

EVIDENCE_BYTES_MAX: Final = 8 * 1024
"""Two notes of one line each and 63 hashes in base64: 5 kB with the longest origin."""

EVIDENCE_IN_MESSAGE_MAX: Final = 64
"""Files in one message, one for each forked log; of more, another 64 ride in the next one."""

PREFIX_ANSWER_BYTES_MAX: Final = 4 * 1024
"""A root and 63 hashes of 34 bytes."""

HASHES_MAX: Final = 16_384
"""Bundle hashes in one answer: the tree over four million statements, 512 KiB."""

HASHES_ANSWER_BYTES_MAX: Final = 32 * (HASHES_MAX + 256) + 256
"""With the leaves behind the last bundle, and the names of the fields."""

CALLS_MAX: Final = 64
"""Calls that one node makes of another at once: three announcements, a comparison, 26 ranges."""

CALL_TARGET_CHARACTERS_MAX: Final = 512
"""A path with a log's name, three numbers and a root is about 220."""

CALL_BODY_BYTES_MAX: Final = ANNOUNCE_BYTES_MAX
"""Announcements are the largest that is ever posted to a peer."""

CALLS_BYTES_MAX: Final = 1024 * 1024
"""Three announcements and many small ones; what does not fit comes with the next poll."""

CALL_ANSWER_BYTES_MAX: Final = RANGE_ANSWER_BYTES_MAX
"""A range of statements is the largest answer."""

CONVICTION_BYTES_MAX: Final = 1024 * 1024
"""An attestation of 256 KiB, a body of 64 KiB in base64, and proofs, with room in JSON."""

ATTEST_BYTES_MAX: Final = 256
"""A statement id takes 67 bytes; a signal's type and its identity in hex at most 145."""

POLL_SECONDS_MAX: Final = 30
"""A poll is held no longer: most proxies give up on a silent answer after 60."""
