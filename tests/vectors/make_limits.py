"""Vectors of docs/spec/limits.md: every name with its value, tags in hex.

The values are written out here: a number that changes by accident changes nothing in this file.
"""

from __future__ import annotations

from tests.vectors.cases import Case, accepted

TAGS = {
    "COMMITMENT_TAG": "hash-federation/commitment/v1",
    "ENTRY_TAG": "hash-federation/entry/v1",
    "POSSESSION_TAG": "hash-federation/possession/v1",
    "HEAD_VECTOR_TAG": "hash-federation/head-vector/v1",
}
NUMBERS = {
    "FORMAT_VERSION": 1,
    "INTEGER_MAX": 9_007_199_254_740_991,
    "DEPTH_MAX": 8,
    "PARTS_MAX": 65_536,
    "SALT_BYTES": 16,
    "HEADER_BYTES_MAX": 4_096,
    "BODY_BYTES_MAX": 65_536,
    "REFERENCES_MAX": 64,
    "SIGNALS_MAX": 1_500,
    "LABELS_MAX": 16,
    "LABEL_CHARACTERS_MAX": 64,
    "ITEM_CHARACTERS_MAX": 128,
    "REASON_CHARACTERS_MAX": 64,
    "MEMBER_CHARACTERS_MAX": 100,
    "STATEMENT_ID_BYTES": 32,
    "PDQ_BYTES": 32,
    "PDQ_QUALITY_MIN": 50,
    "PDQ_DISTANCE_MAX": 31,
    "TLSH_DISTANCE_DEFAULT": 30,
    "TLSH_DISTANCE_MAX": 100,
    "VIDEO_FRAMES_MAX": 1_500,
    "URL_BYTES_MAX": 2_048,
    "SIGNAL_BYTES_MAX": 57_344,
    "LOG_SIZE_MAX": 1_099_511_627_776,
    "EPOCH_MAX": 1_000,
    "ORIGIN_BYTES_MAX": 255,
    "TILE_WIDTH": 256,
    "PROOF_HASHES_MAX": 63,
    "NOTE_BYTES_MAX": 262_144,
    "NOTE_LINES_MAX": 512,
    "TLOG_PROOF_EXTRA_BYTES_MAX": 65_536,
    "TLOG_PROOF_BYTES_MAX": 393_216,
    "MEMBERS_MAX": 1_000,
    "LOGS_IN_MESSAGE_MAX": 8_192,
    "ROSTER_BYTES_MAX": 4_194_304,
    "ROSTER_PARTS_MAX": 262_144,
    "ROSTER_VERSIONS_MAX": 1_024,
    "MEMBER_URLS_MAX": 4,
    "MEMBER_URL_CHARACTERS_MAX": 255,
    "GOVERNORS_MAX": 64,
    "LOG_KEYS_MAX": 64,
    "COSIGNER_KEYS_MAX": 16,
    "TLS_IDENTITIES_MAX": 2,
    "TLS_IDENTITY_BYTES_MAX": 4_096,
    "GOVERNANCE_IDS_MAX": 4_096,
    "ATTEST_BYTES_MAX": 256,
    "CONVICTION_BYTES_MAX": 1_048_576,
    "PUBLIC_DELAY_SECONDS_MAX": 604_800,
    "ROSTER_DEPTH_MAX": 12,
    "JOIN_REQUEST_BYTES_MAX": 49_152,
    "ANNOUNCE_BYTES_MAX": 65_536,
    "INLINE_STATEMENT_BYTES_MAX": 8_192,
    "INLINE_STATEMENTS_MAX": 64,
    "DIGEST_BYTES_MAX": 4_194_304,
    "RANGE_STATEMENTS_MAX": 1_024,
    "RANGE_BYTES_MAX": 4_194_304,
    "RANGE_ANSWER_BYTES_MAX": 4_280_320,
    "HASHES_MAX": 16_384,
    "HASHES_ANSWER_BYTES_MAX": 532_736,
    "BUNDLE_BYTES_MAX": 16_777_216,
    "EVIDENCE_BYTES_MAX": 8_192,
    "EVIDENCE_IN_MESSAGE_MAX": 64,
    "PREFIX_ANSWER_BYTES_MAX": 4_096,
    "CALLS_MAX": 64,
    "CALL_TARGET_CHARACTERS_MAX": 512,
    "CALL_BODY_BYTES_MAX": 65_536,
    "CALLS_BYTES_MAX": 1_048_576,
    "CALL_ANSWER_BYTES_MAX": 4_280_320,
    "POLL_SECONDS_MAX": 30,
}


def cases() -> list[Case]:
    """One case for each name."""
    tags: list[Case] = [
        accepted("limit", name, text.encode("ascii").ljust(32, b"\0").hex(), name=name)
        for name, text in TAGS.items()
    ]
    return tags + [accepted("limit", name, value, name=name) for name, value in NUMBERS.items()]
