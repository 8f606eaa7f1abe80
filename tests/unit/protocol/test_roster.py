"""One roster file: what it says, and every way in which it is refused by itself."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from federation.errors import LogUnknown, MemberUnknown, RosterMalformed, TooLarge
from federation.local_errors.proofs import RosterExpired
from federation.protocol.headers import StatementId
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    GOVERNORS_MAX,
    LOG_SIZE_MAX,
    MEMBER_URL_CHARACTERS_MAX,
    ROSTER_BYTES_MAX,
    ROSTER_PARTS_MAX,
)
from federation.protocol.origins import Cosigner, Lane, LogId
from federation.protocol.roster import RosterLimits, parse_roster
from federation.protocol.roster_directory import (
    active_logs,
    check_unexpired,
    log_by_sha256,
    tls_identities,
)
from federation.protocol.roster_members import MemberRole, MemberStatus
from federation.protocol.texts import format_base64
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    forge_root,
    format_root,
    make_key,
    make_roster,
)
from tests.vectors.roster_faults import (
    FACT_FAULTS,
    FOUNDED,
    GOVERNANCE_FAULTS,
    PIN,
    Change,
    Fault,
    base64_key,
    facts,
    log,
    member,
    put,
    put_status,
    version_2,
)

ROOT = FOUNDED.roster.root_bytes
FEDERATION = FOUNDED.roster.federation_id
DAY_MS = 24 * 3_600 * 1_000


def forge(change: Change) -> bytes:
    return forge_root(ROOT, change, FOUNDED.governors)


def repeat_signatures(document: dict[str, Any]) -> None:
    document["signatures"] *= 2


def first_signature(change: Change) -> Change:
    return lambda document: change(document["signatures"][0])


# --- what it says -------------------------------------------------------------------------------


def test_first_version_names_its_federation() -> None:
    assert parse_roster(ROOT).federation_id == sha256(ROOT).hexdigest()[:32]


def test_later_version_names_its_federation() -> None:
    assert parse_roster(forge(version_2("ab" * 16))).federation_id == "ab" * 16


def test_founding_facts_are_read() -> None:
    roster = parse_roster(ROOT)
    assert roster.version == 1
    assert list(roster.members) == [ACME, NOVA]
    assert roster.limits == RosterLimits(LOG_SIZE_MAX, 16, BODY_BYTES_MAX)
    assert roster.public_delay_seconds == 900
    assert roster.threshold == 2
    assert set(roster.governors) == {key.public for key in FOUNDED.governors}
    assert roster.expires_at_ms == NEW_YEAR_2026_MS + 90 * DAY_MS
    assert roster.withdrawn == roster.erased == frozenset()
    assert roster.root_bytes == ROOT
    acme = roster.member(ACME)
    assert acme.roles == {MemberRole.MEMBER}
    assert acme.status is MemberStatus.ACTIVE
    assert acme.urls == ("https://acme.example:7001",)
    assert acme.tls_identities == (b"identity of acme.example",)


def test_logs_are_named_by_lane_and_epoch_in_order() -> None:
    acme = [LogId(ACME, FEDERATION, lane) for lane in Lane]
    logs = active_logs(FOUNDED.roster)
    assert list(logs[:3]) == acme
    assert len(logs) == 6
    assert tuple(FOUNDED.roster.logs) == logs
    assert [log_by_sha256(FOUNDED.roster, each.sha256) for each in logs] == list(logs)


def test_log_key_is_named_by_its_origin() -> None:
    live = LogId(NOVA, FEDERATION, Lane.LIVE)
    expected = VerifierKey(live.origin, KeyType.ED25519, make_key("nova.example/live").public)
    assert FOUNDED.roster.log_vkey(live) == expected


def test_cosigner_keys_are_named_by_member_federation_and_role() -> None:
    for cosigner, found in (
        (Cosigner.WITNESS, FOUNDED.roster.cosigner_vkey(NOVA, Cosigner.WITNESS)),
        (Cosigner.MIRROR, FOUNDED.roster.cosigner_vkey(NOVA, Cosigner.MIRROR)),
    ):
        name = f"{NOVA}/{FEDERATION}/{cosigner}"
        public = make_key(f"{NOVA}/{cosigner}").public
        assert found == VerifierKey(name, KeyType.COSIGNATURE_ED25519, public)


def test_unknown_names_are_refused() -> None:
    roster = FOUNDED.roster
    with pytest.raises(MemberUnknown):
        roster.member("elsewhere.example")
    with pytest.raises(MemberUnknown):
        roster.cosigner_vkey("elsewhere.example", Cosigner.WITNESS)
    with pytest.raises(LogUnknown):
        roster.log_vkey(LogId(ACME, FEDERATION, Lane.LIVE, 1))
    with pytest.raises(LogUnknown):
        roster.log_vkey(LogId(ACME, "0" * 32, Lane.LIVE))
    with pytest.raises(LogUnknown):
        log_by_sha256(roster, bytes(32))


def test_one_governor_alone_is_said_aloud() -> None:
    assert make_roster(governors=1).roster.is_laptop_federation
    assert not make_roster(governors=2).roster.is_laptop_federation


def test_expired_roster_is_known_by_the_time_it_is_asked_with() -> None:
    roster = make_roster(expires_days=30).roster
    end = NEW_YEAR_2026_MS + 30 * DAY_MS
    check_unexpired(roster, end - 1)
    assert not roster.is_expired(end - 1)
    assert roster.is_expired(end)
    with pytest.raises(RosterExpired):
        check_unexpired(roster, end)


@pytest.mark.parametrize("status", ["suspended", "departed"])
def test_logs_of_inactive_member_stay_provable(status: str) -> None:
    roster = parse_roster(forge(member(put_status(status), NOVA)))
    assert [each.member for each in active_logs(roster)] == [ACME] * 3
    assert len(tuple(roster.logs)) == 6
    live = LogId(NOVA, roster.federation_id, Lane.LIVE)
    assert roster.log_vkey(live).public == make_key("nova.example/live").public
    assert log_by_sha256(roster, live.sha256) == live
    pin = roster.log(live).pin
    assert pin is not None
    assert (pin.size, pin.root_hash) == (7, bytes(32))
    assert set(tls_identities(roster)) == {ACME}


def test_restarted_and_rotated_log_speaks_with_its_newest_key() -> None:
    def change(fields: dict[str, Any]) -> None:
        crisis = fields["logs"][0]
        crisis["keys"].append({"public": base64_key("rotated"), "start": PIN})
        crisis["pin"] = PIN | {"size": 9}
        keys = [{"public": base64_key("restarted"), "start": None}]
        fields["logs"].insert(1, {"epoch": 1, "keys": keys, "lane": "crisis", "pin": None})

    roster = parse_roster(forge(member(change)))
    first, second = active_logs(roster)[:2]
    assert (first.epoch, second.epoch) == (0, 1)
    assert roster.log_vkey(first).public == make_key("rotated").public
    assert roster.log_vkey(second).public == make_key("restarted").public
    starts = [key.start and key.start.size for key in roster.log(first).keys]
    assert starts == [None, 7]


def test_newest_cosigner_key_is_in_use_and_every_pinned_identity_counts() -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["mirror_keys"].append(base64_key("next mirror"))
        fields["tls_identities"].append(format_base64(b"next identity"))

    roster = parse_roster(forge(member(change)))
    assert roster.cosigner_vkey(ACME, Cosigner.MIRROR).public == make_key("next mirror").public
    assert tls_identities(roster)[ACME] == (b"identity of acme.example", b"next identity")


def test_witness_may_have_no_identity_logs_or_mirror() -> None:
    change = put(roles=["witness"], logs=[], mirror_keys=[], tls_identities=[], urls=[])
    roster = parse_roster(forge(member(change)))
    assert (
        roster.cosigner_vkey(ACME, Cosigner.WITNESS).public
        == make_key("acme.example/witness").public
    )
    with pytest.raises(MemberUnknown):
        roster.cosigner_vkey(ACME, Cosigner.MIRROR)


def test_governance_decisions_are_statement_ids() -> None:
    texts = [f"st_{digit * 64}" for digit in "ab"]
    roster = parse_roster(forge(facts(put(withdrawn=texts, erased=texts[:1]))))
    assert roster.withdrawn == {StatementId(b"\xaa" * 32), StatementId(b"\xbb" * 32)}
    assert roster.erased == {StatementId(b"\xaa" * 32)}


@pytest.mark.parametrize("where", [lambda change: change, facts, member, log])
def test_extension_field_is_taken_and_means_nothing(where: Callable[[Change], Change]) -> None:
    extended = parse_roster(forge(where(put(**{"x-note": {"deep": [1, None, True]}}))))
    assert extended.members == FOUNDED.roster.members


def test_same_decision_with_other_signatures_has_one_digest() -> None:
    fewer = forge_root(ROOT, lambda signed: None, FOUNDED.governors[:2])
    assert fewer != ROOT
    assert parse_roster(fewer).decision_sha256 == FOUNDED.roster.decision_sha256
    other = parse_roster(forge(facts(put(public_delay_seconds=901))))
    assert other.decision_sha256 != FOUNDED.roster.decision_sha256


def test_repr_shows_no_key() -> None:
    assert repr(FOUNDED.roster) == f"Roster(version=1, federation_id={FEDERATION!r})"


# --- what is refused: what it says ----------------------------------------------------------------


@pytest.mark.parametrize("fault", GOVERNANCE_FAULTS, ids=lambda fault: fault.wording)
def test_malformed_governance_is_refused(fault: Fault) -> None:
    with pytest.raises(fault.error, match=re.escape(fault.message)) as caught:
        parse_roster(forge(fault.change))
    assert type(caught.value) is fault.error


@pytest.mark.parametrize("fault", FACT_FAULTS, ids=lambda fault: fault.wording)
def test_malformed_fact_is_refused(fault: Fault) -> None:
    with pytest.raises(fault.error, match=re.escape(fault.message)) as caught:
        parse_roster(forge(fault.change))
    assert type(caught.value) is fault.error


@pytest.mark.parametrize(
    "url",
    [
        "https://node.acme.example",
        "https://node.acme.example:65535/federation/v1",
        "https://127.0.0.1:7001",
        "https://[::1]:7001",
        "https://[2001:db8::1]",
    ],
)
def test_url_of_a_node_is_taken(url: str) -> None:
    assert parse_roster(forge(member(put(urls=[url])))).member(ACME).urls == (url,)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://acme.example",
        "http+signatures://acme.example",
        "https+signatures:acme.example",
        "https+tls://acme.example",
        "https://",
        "https://Acme.example",
        "https://user@acme.example",
        "https://acme.example/",
        "https://acme.example//v1",
        "https://acme.example/../v1",
        "https://acme.example/v1/.",
        "https://acme.example?x=1",
        "https://acme.example#x",
        "https://acme.example:0",
        "https://acme.example:65536",
        "https://acme.example:07001",
        "https://[::1",
        "https://[1:2]",
        "https://[0:0:0:0:0:0:0:1]",
        "https://acme.example\\@evil.example",
        "https://a..b.example",
        "https://acme.example.",
        "https://acme-.example",
        f"https://{'a' * 64}.example",
        "https://acme.example %20",
        "https://acme.example/" + "v" * MEMBER_URL_CHARACTERS_MAX,
    ],
)
def test_url_of_no_node_is_refused(url: str) -> None:
    with pytest.raises(RosterMalformed):
        parse_roster(forge(member(put(urls=[url]))))


def test_url_twice_and_five_urls_are_refused() -> None:
    urls = [f"https://{number}.acme.example" for number in range(5)]
    for chosen in (urls, urls[:1] * 2):
        with pytest.raises(RosterMalformed):
            parse_roster(forge(member(put(urls=chosen))))


def test_member_that_only_calls_others_has_no_url() -> None:
    assert parse_roster(forge(member(put(urls=[])))).member(ACME).urls == ()


def test_more_governors_than_a_ceremony_holds_are_refused() -> None:
    with pytest.raises(RosterMalformed):
        make_roster(governors=GOVERNORS_MAX + 1)


# --- what is refused: the file --------------------------------------------------------------------


def test_oversized_roster_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        parse_roster(b" " * (ROSTER_BYTES_MAX + 1))


@pytest.mark.parametrize("part", [[], 0, {}], ids=["lists", "numbers", "objects"])
def test_millions_of_parts_are_refused_before_anything_is_built_of_them(part: object) -> None:
    """In an extension field, where a roster may hold anything, and nobody has signed it."""
    count = ROSTER_BYTES_MAX // (len(json.dumps(part)) + 1) - 10_000
    attack = forge(facts(put(**{"x-note": [part] * count})))
    assert len(attack) < ROSTER_BYTES_MAX
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            parse_roster(attack)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_roster_of_a_thousand_members_is_within_the_limit_of_parts() -> None:
    whole = make_roster(*(f"m{number}.example" for number in range(20))).chain.versions[0]
    assert 50 * sum(map(whole.count, b",[{")) < ROSTER_PARTS_MAX


@pytest.mark.parametrize(
    ("wording", "change"),
    [
        ("a newline at the end", lambda raw: raw + b"\n"),
        ("a space", lambda raw: raw.replace(b'"version":1', b'"version": 1')),
        ("a duplicate field", lambda raw: raw.replace(b'"version":1', b'"version":1,"version":1')),
        ("another order", lambda raw: raw.replace(b',"version":1,', b",")[:-2] + b',"version":1}}'),
        ("an escape", lambda raw: raw.replace(b'"root"', b'"ro\\u006ft"')),
        ("an exponent", lambda raw: raw.replace(b'"version":1', b'"version":1e0')),
        ("a byte order mark", lambda raw: b"\xef\xbb\xbf" + raw),
        ("UTF-16", lambda raw: raw.decode().encode("utf-16")),
        ("the first half", lambda raw: raw[: len(raw) // 2]),
        ("nothing", lambda raw: b""),
        ("null", lambda raw: b"null"),
        ("a list without end", lambda raw: b"[" * 100_000),
        ("a long number", lambda raw: raw.replace(b'"version":1', b'"version":' + b"1" * 5_000)),
    ],
)  # fmt: skip
def test_file_in_another_form_is_refused(wording: str, change: Callable[[bytes], bytes]) -> None:
    changed = change(ROOT)
    assert changed != ROOT
    with pytest.raises(RosterMalformed):
        parse_roster(changed)


@pytest.mark.parametrize(
    ("wording", "change"),
    [
        ("an unsigned field", put(**{"x-note": "trust me"})),
        ("signatures out of order", lambda document: document["signatures"].reverse()),
        ("each signature twice", repeat_signatures),
        ("a field in a signature", first_signature(put(method="x"))),
        ("a short signature", first_signature(put(sig="00"))),
        ("a signature in upper case", first_signature(put(sig="AB" * 64))),
        ("a signature that is a number", first_signature(put(sig=1))),
        ("a key id that is a number", first_signature(put(keyid=1))),
        ("a key id that is a list", first_signature(put(keyid=[]))),
        ("a key id of no key", first_signature(put(keyid="0"))),
        (
            "very many signatures",
            put(
                signatures=[
                    {"keyid": f"{number:064x}", "sig": "ab" * 64}
                    for number in range(2 * GOVERNORS_MAX + 1)
                ]
            ),
        ),
    ],
)  # fmt: skip
def test_unsigned_part_that_is_not_signatures_is_refused(wording: str, change: Change) -> None:
    document = json.loads(ROOT)
    change(document)
    with pytest.raises(RosterMalformed):
        parse_roster(format_root(document))
