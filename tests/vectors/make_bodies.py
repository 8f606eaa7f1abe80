"""Vectors of docs/spec/bodies.md: bodies that all nodes read alike, and bodies that are inert.

A body in ``reject.json`` is not refused on the wire: every node stores it, and reads it as inert.
"""

from __future__ import annotations

from federation.errors import BodyMalformed
from tests.vectors.by_hand import FALSE, NIL, TRUE, array, binary, fields, integer, mapping, text
from tests.vectors.cases import Case, Json, accepted, refused
from tests.vectors.make_headers import header, references

PDQ = bytes.fromhex("f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22")
URL = b"https://example.org/manifesto?lang=en"
TLSH = bytes(range(35))
TARGET = bytes([1]) * 32
CONFIRM = header()
WITHDRAW = header(kind=text("withdraw"), refs=references([TARGET]))


ROSTER = header(kind=text("roster"))


def acts_under(**changed: bytes) -> bytes:
    """A valid roster statement's body with some fields changed or added."""
    return fields(**{"decision": binary(TARGET), "version": integer(7), **changed})


def signal(name: str = "pdq", value: bytes = PDQ, **more: bytes) -> bytes:
    """One signal's map."""
    return fields(t=text(name), v=binary(value), **more)


def frames(count: int) -> bytes:
    """The value of a video of that many frames, one a second, all alike but for their times."""
    return b"".join(PDQ + bytes([80]) + (1_000 * at).to_bytes(4, "big") for at in range(count))


def confirm_fields(**changed: bytes) -> dict[str, bytes]:
    """The fields of a valid confirm, encoded one by one, some of them changed."""
    return {
        "by": text("human"),
        "item": text("item-1"),
        "signals": array([signal()]),
        "src": text("proactive"),
        **changed,
    }


def confirm(**changed: bytes) -> bytes:
    """A valid confirm with some fields changed or added."""
    return fields(**confirm_fields(**changed))


def without(name: str) -> bytes:
    """A confirm that lacks one field."""
    kept = confirm_fields()
    del kept[name]
    return fields(**kept)


def words(*labels: str) -> bytes:
    """The value of ``labels``."""
    return array([text(label) for label in labels])


def read_signal(name: str, value: bytes, quality: int | None = None) -> Json:
    """What reading a signal gives."""
    return {"type": name, "value_hex": value.hex(), "quality": quality}


def _confirms(desc: str, body: bytes, head: bytes = CONFIRM, **changed: Json) -> Case:
    gives: dict[str, Json] = {
        "kind": "confirm",
        "item": "item-1",
        "signals": [read_signal("pdq", PDQ)],
        "labels": [],
        "source": "proactive",
        "confirmer": "human",
        "educational": False,
        "incident_hex": None,
        "expires_at_ms": None,
        "signals_unknown": 0,
        **changed,
    }
    return accepted("body", desc, gives, header_hex=head.hex(), body_hex=body.hex())


def about(kind: str) -> bytes:
    """The header of a statement about another one."""
    return header(kind=text(kind), refs=references([TARGET]))


def _says(desc: str, kind: str, reason: str) -> Case:
    return accepted(
        "body",
        desc,
        {"kind": kind, "reason": reason},
        header_hex=about(kind).hex(),
        body_hex=fields(why=text(reason)).hex(),
    )


def _inert(desc: str, body: bytes, head: bytes = CONFIRM) -> Case:
    return refused("body", desc, BodyMalformed, header_hex=head.hex(), body_hex=body.hex())


def _not_ours(desc: str, body: bytes, head: bytes) -> Case:
    gives: Json = {"kind": "inert"}
    return accepted("body", desc, gives, header_hex=head.hex(), body_hex=body.hex())


def _accepted() -> list[Case]:
    full = confirm(
        by=text("automated"),
        edu=TRUE,
        exp=integer(1_767_229_200_000),
        inc=binary(TARGET),
        item=text("case/2026-01 #7"),
        labels=words("content:livestream", "tvec1"),
        signals=array(
            [signal(q=integer(88)), signal("sha256", bytes(32)), signal("md5", bytes(16))]
        ),
        src=text("user-report"),
    )
    labels = sorted(f"later:{number}" for number in range(16))
    return [
        _confirms("the example of the page", confirm()),
        _confirms(
            "every field",
            full,
            item="case/2026-01 #7",
            signals=[
                read_signal("pdq", PDQ, 88),
                read_signal("sha256", bytes(32)),
                read_signal("md5", bytes(16)),
            ],
            labels=["content:livestream", "tvec1"],
            source="user-report",
            confirmer="automated",
            educational=True,
            incident_hex=TARGET.hex(),
            expires_at_ms=1_767_229_200_000,
        ),
        _confirms(
            "1,500 signals",
            confirm(signals=array([signal("x", b"1")] * 1_499 + [signal()])),
            signals_unknown=1_499,
        ),
        _confirms("an item of 128 characters", confirm(item=text("~" * 128)), item="~" * 128),
        _confirms("16 labels, all unknown", confirm(labels=words(*labels)), labels=list(labels)),
        _confirms(
            "a source of a later release", confirm(src=text("court-order")), source="court-order"
        ),
        _confirms(
            "a confirmer of a later release", confirm(by=text("committee")), confirmer="committee"
        ),
        _confirms("a word of 64 characters", confirm(src=text("s" * 64)), source="s" * 64),
        _confirms("an expiry at 0", confirm(exp=integer(0)), expires_at_ms=0),
        _confirms(
            "one value under two types",
            confirm(signals=array([signal(), signal("sha256", PDQ)])),
            signals=[read_signal("pdq", PDQ), read_signal("sha256", PDQ)],
        ),
        *_accepted_signals(),
        *_accepted_kinds(),
    ]


def _accepted_kinds() -> list[Case]:
    return [
        _confirms(
            "references in a confirm's header say nothing",
            confirm(),
            header(refs=references([TARGET])),
        ),
        _says("a withdraw", "withdraw", "appeal-upheld"),
        _says("a withdraw for a reason of a later release", "withdraw", "x"),
        _says("an endorse", "endorse", "agrees"),
        _says("a dispute", "dispute", "collision"),
        _says("an erase", "erase", "data-protection"),
        accepted(
            "body",
            "a roster",
            {"kind": "roster", "version": 7, "decision_hex": TARGET.hex()},
            header_hex=ROSTER.hex(),
            body_hex=acts_under().hex(),
        ),
        _not_ours("inert: a kind of a later release", confirm(), header(kind=text("later"))),
        _not_ours("inert: a later version", confirm(), header(v=integer(2))),
        _not_ours("inert: a later version that is not MessagePack", b"\xc1", header(v=integer(2))),
    ]


def _accepted_signals() -> list[Case]:
    strange = signal("photodna", b"\x01", a=array([fields(b=TRUE)]), q=integer(7))
    return [
        _confirms(
            "a video of 1,500 frames, a link and a document",
            confirm(
                signals=array(
                    [signal("vpdq", frames(1_500)), signal("url", URL), signal("tlsh", TLSH)]
                )
            ),
            signals=[
                read_signal("vpdq", frames(1_500)),
                read_signal("url", URL),
                read_signal("tlsh", TLSH),
            ],
        ),
        _confirms(
            "a signal of an unknown type, with fields of its own",
            confirm(signals=array([strange, signal()])),
            signals_unknown=1,
        ),
        _confirms(
            "only signals of unknown types, one of them twice",
            confirm(signals=array([strange, strange, signal("tmk", b"x" * 57_344)])),
            signals=[],
            signals_unknown=3,
        ),
        _confirms(
            "a known type in upper case is an unknown type",
            confirm(signals=array([signal("PDQ"), signal()])),
            signals_unknown=1,
        ),
    ]


def _inert_signals() -> list[Case]:
    wrong = {
        "an empty list of signals": [],
        "1,501 signals, which the body has room for": [signal("x", b"1")] * 1_501,
        "a signal that is no map": [binary(PDQ)],
        "a signal without a type": [fields(v=binary(PDQ))],
        "a signal without a value": [fields(t=text("pdq"))],
        "a signal whose type is bytes": [fields(t=binary(b"pdq"), v=binary(PDQ))],
        "a signal whose value is text": [fields(t=text("pdq"), v=text(PDQ.hex()))],
        "a PDQ signal of 31 bytes": [signal(value=PDQ[1:])],
        "a PDQ signal of 33 bytes": [signal(value=PDQ + b"\0")],
        "an MD5 of 32 bytes": [signal("md5", PDQ)],
        "a quality of 101": [signal(q=integer(101))],
        "a quality that is true": [signal(q=TRUE)],
        "a quality that is text": [signal(q=text("88"))],
        "a quality on a SHA-256": [signal("sha256", q=integer(88))],
        "a signal with a field of its own": [signal(x=TRUE)],
        "a signal given twice": [signal(), signal()],
        "a signal given twice with two qualities": [signal(), signal(q=integer(88))],
        "an unknown signal without bytes": [signal("photodna", b"")],
        "an unknown signal of 57,345 bytes": [signal("photodna", bytes(57_345))],
        "a video without frames": [signal("vpdq", b"")],
        "a video of 1,501 frames": [signal("vpdq", frames(1_501))],
        "a video cut short within a frame": [signal("vpdq", frames(2)[:-1])],
        "a video with one time twice": [signal("vpdq", frames(1) + frames(1))],
        "a video whose frames are a list": [fields(t=text("vpdq"), v=array([binary(PDQ)]))],
        "a quality beside a video": [signal("vpdq", frames(1), q=integer(80))],
        "a URL that is not normalised": [signal("url", b"https://example.org")],
        "a TLSH of 34 bytes": [signal("tlsh", bytes(34))],
        "one malformed signal among good ones": [signal(), signal("md5", b"\0")],
    }
    return [
        *[_inert(desc, confirm(signals=array(signals))) for desc, signals in wrong.items()],
        _inert("signals that are a map", confirm(signals=signal())),
    ]


def _inert_fields() -> list[Case]:
    wrong = {
        "a field of its own": {"note": text("free text")},
        "an empty item": {"item": text("")},
        "an item of 129 characters": {"item": text("x" * 129)},
        "an item with a line feed": {"item": text("a\nb")},
        "an item with a letter outside ASCII": {"item": text("é")},
        "an item with a delete character": {"item": text("a\x7f")},
        "an item that turns the writing direction": {"item": text("a\u202eb")},
        "an item in bytes": {"item": binary(b"item-1")},
        "an empty list of labels": {"labels": array([])},
        "17 labels": {"labels": words(*[f"l{number:02}" for number in range(17)])},
        "labels out of order": {"labels": words("tvec2", "tvec1")},
        "a label twice": {"labels": words("tvec1", "tvec1")},
        "a label in upper case": {"labels": words("TVEC1")},
        "a label of 65 characters": {"labels": words("a" * 65)},
        "a label in bytes": {"labels": array([binary(b"tvec1")])},
        "labels that are text": {"labels": text("tvec1")},
        "a source in upper case": {"src": text("Proactive")},
        "a source with a line feed at the end": {"src": text("proactive\n")},
        "a label with a line feed at the end": {"labels": words("tvec1\n")},
        "a source of 65 characters": {"src": text("s" * 65)},
        "an empty confirmer": {"by": text("")},
        "a confirmer with a space": {"by": text("a person")},
        "an educational flag that is false": {"edu": FALSE},
        "an educational flag that is 1": {"edu": integer(1)},
        "an incident of 31 bytes": {"inc": binary(bytes(31))},
        "an incident as text": {"inc": text("st_" + "01" * 32)},
        "an expiry that is true": {"exp": TRUE},
        "an expiry that is nil": {"exp": NIL},
        "an expiry before 1970": {"exp": b"\xff"},
        "an expiry over the largest integer": {"exp": integer(2**53)},
    }
    return [
        *[_inert(desc, confirm(**changed)) for desc, changed in wrong.items()],
        *[_inert(f"no {name}", without(name)) for name in confirm_fields()],
    ]


def _inert_forms() -> list[Case]:
    why = text("why")
    return [
        _inert("a roster of version 0", acts_under(version=integer(0)), ROSTER),
        _inert("a roster of version 65,537", acts_under(version=integer(65_537)), ROSTER),
        _inert("a roster whose version is true", acts_under(version=TRUE), ROSTER),
        _inert(
            "a roster with a decision of 31 bytes", acts_under(decision=binary(PDQ[1:])), ROSTER
        ),
        _inert("a roster with a field of its own", acts_under(x=TRUE), ROSTER),
        _inert("a roster without a decision", fields(version=integer(7)), ROSTER),
        _inert("one byte that is no map", b"\0"),
        _inert("not MessagePack", b"\xc1"),
        _inert("a confirm with a byte left over", confirm() + b"\0"),
        _inert("a confirm with an item in a longer form", confirm(item=text("item-1", 1))),
        _inert(
            "a confirm nested 9 deep",
            confirm(signals=array([signal("photodna", b"1", x=b"\x91" * 5 + b"\x90")])),
        ),
        _inert("a withdraw's body under a confirm's header", fields(why=text("mistake"))),
        _inert("a confirm's body under a withdraw's header", confirm(), WITHDRAW),
        _inert(
            "a withdraw that refers to nothing",
            fields(why=text("mistake")),
            header(kind=text("withdraw")),
        ),
        *[
            _inert(f"{kind}: refers to nothing", fields(why=text("x")), header(kind=text(kind)))
            for kind in ("endorse", "dispute", "erase")
        ],
        *[
            _inert(f"{kind}: a second field", fields(why=text("x"), y=TRUE), about(kind))
            for kind in ("endorse", "dispute", "erase")
        ],
        *[
            _inert(f"{kind}: a reason that is a sentence", fields(why=text("No.")), about(kind))
            for kind in ("endorse", "dispute", "erase")
        ],
        _inert("a withdraw without a reason", mapping([]), WITHDRAW),
        _inert("a withdraw with a second field", fields(why=text("mistake"), x=TRUE), WITHDRAW),
        _inert(
            "a withdraw whose reason is a sentence", fields(why=text("We were wrong.")), WITHDRAW
        ),
        _inert("a withdraw whose reason has 65 characters", fields(why=text("w" * 65)), WITHDRAW),
        _inert(
            "a withdraw with its reason twice",
            mapping([(why, text("a")), (why, text("a"))]),
            WITHDRAW,
        ),
    ]


INCIDENT = header(kind=text("incident"))
AT = integer(1_767_229_200_000)


def incident(**fields_given: bytes) -> bytes:
    """The body of an incident that opens, with some fields changed or added."""
    return fields(**{"at": AT, "level": text("incident"), **fields_given})


def _incidents() -> list[Case]:
    def says(desc: str, head: bytes, body: bytes, **gives: Json) -> Case:
        told: dict[str, Json] = {
            "kind": "incident",
            "level": "incident",
            "at_ms": 1_767_229_200_000,
            "title": None,
            "closed": False,
            **gives,
        }
        return accepted("body", desc, told, header_hex=head.hex(), body_hex=body.hex())

    title = text("Somewhere attack")
    changed = about("incident")
    return [
        says("an incident opens", INCIDENT, incident(title=title), title="Somewhere attack"),
        says(
            "an incident has another level",
            changed,
            incident(level=text("content-incident-protocol")),
            level="content-incident-protocol",
        ),
        says("an incident is over", changed, incident(closed=TRUE), closed=True),
        says("a level of a later release", changed, incident(level=text("wave")), level="wave"),
        _inert("an incident that opens without a title", incident(), INCIDENT),
        _inert("an incident that opens and refers", incident(title=title), changed),
        _inert(
            "an incident about two",
            incident(),
            header(kind=text("incident"), refs=references([TARGET, bytes(32)])),
        ),
        _inert("an incident that opens closed", incident(title=title, closed=TRUE), INCIDENT),
        _inert("an incident that is not closed, said", incident(closed=FALSE), changed),
        _inert("an incident without a time", fields(level=text("incident")), changed),
        _inert("an incident at true", incident(at=TRUE), changed),
        _inert("an incident without a level", fields(at=AT), changed),
        _inert("an incident of two words", incident(level=text("very bad")), changed),
        _inert("an incident with an empty title", incident(title=text("")), INCIDENT),
        _inert("an incident with a title of 129", incident(title=text("a" * 129)), INCIDENT),
        _inert("an incident with a line break", incident(title=text("a\nb")), INCIDENT),
        _inert("an incident with an unknown field", incident(place=text("x")), changed),
    ]


def cases() -> list[Case]:
    """All cases."""
    return [
        *_accepted(),
        *_inert_signals(),
        *_inert_fields(),
        *_inert_forms(),
        *_incidents(),
    ]
