"""Every number and tag all nodes must agree on, each with the reason it is that large.

Local limits (queues, caches, timeouts) live where they act; a number stands here when two nodes
that disagreed about it would hold different statements. What bodies and signals may carry is in
``limits_content``, what nodes send each other in ``limits_messages``.

Source: docs/spec/limits.md.
"""

from __future__ import annotations

from typing import Final


def _tag(text: str) -> bytes:
    """A 32-byte domain tag: fixed length, so no tag is a prefix of another one's input."""
    return text.encode("ascii").ljust(32, b"\0")


# Domain tags: what is hashed under one can never be taken for what is hashed under another.

COMMITMENT_TAG: Final = _tag("hash-federation/commitment/v1")
ENTRY_TAG: Final = _tag("hash-federation/entry/v1")
POSSESSION_TAG: Final = _tag("hash-federation/possession/v1")
HEAD_VECTOR_TAG: Final = _tag("hash-federation/head-vector/v1")

FORMAT_VERSION: Final = 1
"""`v` of every header. A node stores and relays higher versions, and finds them inert."""

# Encoding
INTEGER_MAX: Final = 2**53 - 1
"""Largest integer on the wire: the largest that JSON tools and browsers hold exactly."""
DEPTH_MAX: Final = 8
"""Nesting of maps and lists; the deepest message defined needs 6."""
PARTS_MAX: Final = 64 * 1024
"""List elements and map values in one message: 8,192 heads in a digest are 33,000 of them. Four
million zeros in the 4 MiB of a digest would hold up a reader for seconds."""

# Statements
SALT_BYTES: Final = 16
"""128 random bits: a known fingerprint cannot be confirmed against a public leaf by guessing."""
HEADER_BYTES_MAX: Final = 4 * 1024
"""A header is below 200 bytes, and 34 more for each statement that it refers to."""
BODY_BYTES_MAX: Final = 64 * 1024
"""About 1,500 PDQ frames of 43 bytes each (46 where the quality is given: 1,400 frames)."""
REFERENCES_MAX: Final = 64
"""Ids a header may refer to; withdrawing more takes more statements in the same batch."""
MEMBER_CHARACTERS_MAX: Final = 100
"""A member's DNS name; leaves room for the rest of an origin below 255 bytes (C2SP)."""
STATEMENT_ID_BYTES: Final = 32

# Logs
LOG_SIZE_MAX: Final = 2**40
"""Statements in one log: a million a day reach it in three thousand years."""
EPOCH_MAX: Final = 1_000
"""Restarts of one lane that a roster may order."""
ORIGIN_BYTES_MAX: Final = 255
"""C2SP tlog-cosignature (type 06) gives the origin one length byte."""
TILE_WIDTH: Final = 256
"""Hashes in a full tile (C2SP tlog-tiles)."""
PROOF_HASHES_MAX: Final = 63
"""C2SP tlog-witness allows 63 consistency hashes; a log of ``LOG_SIZE_MAX`` needs at most 41."""
NOTE_BYTES_MAX: Final = 256 * 1024
"""A checkpoint with 75 cosignatures of the largest kind (ML-DSA-44, 3.4 kB a line) fits."""
NOTE_LINES_MAX: Final = 512
"""Signature lines in one note: two cosigners of each of 250 members, and some to spare."""
TLOG_PROOF_EXTRA_BYTES_MAX: Final = BODY_BYTES_MAX
"""The unauthenticated extra of a tlog-proof: a salt takes 16, a whole body fits."""
TLOG_PROOF_BYTES_MAX: Final = NOTE_BYTES_MAX + 2 * TLOG_PROOF_EXTRA_BYTES_MAX
"""Its note, its extra in base64 (4/3), and 63 hashes at 45 bytes."""

# Roster
MEMBERS_MAX: Final = 1_000
ROSTER_BYTES_MAX: Final = 4 * 1024 * 1024
"""1,000 members at about 3 kB each, and as many governance withdrawals."""
ROSTER_PARTS_MAX: Final = 256 * 1024
"""Commas and opening brackets and braces: 1,000 members have 40,000, 4 MiB of pinned logs 230,000.
Millions of empty lists would hold up a reader for seconds before he sees that nobody signed."""
ROSTER_VERSIONS_MAX: Final = 1_024
"""Versions a reader walks from its root of trust in one go (python-tuf's default is 256)."""
MEMBER_URLS_MAX: Final = 4
MEMBER_URL_CHARACTERS_MAX: Final = 255
"""A DNS name has at most 253 characters, and nobody's node needs a longer URL."""
GOVERNORS_MAX: Final = 64
"""Holders of root keys; a ceremony of more people than that does not happen."""
LOG_KEYS_MAX: Final = 64
"""Keys one log ever had: a rotation each quarter for sixteen years."""
COSIGNER_KEYS_MAX: Final = 16
TLS_IDENTITIES_MAX: Final = 2
"""The one in use and, while it is being rotated, the next."""
TLS_IDENTITY_BYTES_MAX: Final = 4 * 1024
"""A P-256 certificate as nodes make it is about 550 bytes; the rest is other issuers' habits."""
GOVERNANCE_IDS_MAX: Final = 4_096
"""Statements that governance withdrew, and as many that it erased, at 70 bytes of JSON each."""
PUBLIC_DELAY_SECONDS_MAX: Final = 7 * 24 * 3_600
"""An auditor who must wait longer than a week audits history."""
ROSTER_DEPTH_MAX: Final = 12
"""Nesting of a roster's JSON; the deepest field defined is at 9."""
BUNDLE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A provenance bundle that carries the whole roster chain."""
