"""Vectors of docs/spec/origins.md: names of members, logs and cosigners."""

from __future__ import annotations

from hashlib import sha256

from federation.errors import MemberNameMalformed, OriginMalformed
from tests.vectors.cases import Case, Json, accepted, refused

FEDERATION_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

MEMBERS = {
    "the shortest name": "a",
    "one part": "acme",
    "two parts": "acme.example",
    "digits and hyphens": "1-2.a-b.example",
    "two hyphens inside": "a--b.example",
    "a part of 63 characters": "a" * 63 + ".example",
    "100 characters": "a" * 49 + "." + "b" * 50,
}
NOT_MEMBERS = {
    "no characters": "",
    "101 characters": "a" * 50 + "." + "b" * 50,
    "a part of 64 characters": "a" * 64 + ".example",
    "upper case": "Acme.example",
    "a dot at the end": "acme.example.",
    "a dot at the start": ".acme.example",
    "two dots": "acme..example",
    "a hyphen at the start of a part": "acme.-example",
    "a hyphen at the end of a part": "acme-.example",
    "an underscore": "acme_1.example",
    "a slash": "acme/example",
    "a plus": "acme+example",
    "a space": "acme example",
    "a line feed at the end": "acme.example\n",
    "a zero character": "acme\0.example",
    "a colon": "acme.example:443",
    "a Cyrillic letter": "\u0430cme.example",
    "a full-width letter": "\uff41cme.example",
    "an Arabic-Indic digit": "acme\u0661.example",
    "an internationalised part": "xn--cme-5cd.example",
    "a later internationalised part": "acme.xn--p1ai",
}


def _origin(suffix: str, member: str = "acme.example", federation_id: str = FEDERATION_ID) -> str:
    return f"{member}/{federation_id}/{suffix}"


def _log(desc: str, origin: str, lane: str, epoch: int = 0, member: str = "acme.example") -> Case:
    gives: Json = {
        "member": member,
        "federation_id": FEDERATION_ID,
        "lane": lane,
        "epoch": epoch,
        "sha256_hex": sha256(origin.encode()).hexdigest(),
    }
    return accepted("origin", desc, gives, origin=origin)


def _accepted() -> list[Case]:
    longest = MEMBERS["100 characters"]
    return [
        _log("the example of the page", _origin("live"), "live"),
        _log("the crisis lane", _origin("crisis"), "crisis"),
        _log("the bulk lane", _origin("bulk"), "bulk"),
        _log("the first restart", _origin("live/1"), "live", 1),
        _log("the last epoch", _origin("live/1000"), "live", 1_000),
        _log("the longest origin", _origin("crisis/1000", longest), "crisis", 1_000, longest),
        *[accepted("member_name", desc, None, member=name) for desc, name in MEMBERS.items()],
        *[
            accepted(
                "cosigner_name",
                f"the {cosigner}'s name",
                f"acme.example/{FEDERATION_ID}/{cosigner}",
                member="acme.example",
                federation_id=FEDERATION_ID,
                cosigner=cosigner,
            )
            for cosigner in ("witness", "mirror")
        ],
        accepted(
            "federation_id",
            "the first bits of the hash of the first root",
            sha256(b"{}").hexdigest()[:32],
            first_root_hex=b"{}".hex(),
        ),
    ]


def _broken_origins() -> dict[str, str]:
    return {
        "no characters at all": "",
        "a member alone": "acme.example",
        "no lane": f"acme.example/{FEDERATION_ID}",
        "an empty lane": _origin(""),
        "a slash at the end": _origin("live/"),
        "a slash at the front": "/" + _origin("live"),
        "five parts": _origin("live/1/1"),
        "an unknown lane": _origin("slow"),
        "a lane in upper case": _origin("LIVE"),
        "a cosigner's name": _origin("witness"),
        "epoch 0, which is never written": _origin("live/0"),
        "an epoch with a leading zero": _origin("live/01"),
        "an epoch with a sign": _origin("live/+1"),
        "a negative epoch": _origin("live/-1"),
        "an epoch in other digits": _origin("live/\u0661"),
        "an epoch over the limit": _origin("live/1001"),
        "an epoch of many digits": _origin("live/" + "9" * 50),
        "an epoch with a line feed": _origin("live/1\n"),
        "a scheme in front": "https://" + _origin("live"),
        "a member that is no name": _origin("live", "Acme.example"),
        "no member": _origin("live", ""),
        "a federation id in upper case": _origin("live", federation_id=FEDERATION_ID.upper()),
        "a federation id of 31 digits": _origin("live", federation_id=FEDERATION_ID[:-1]),
        "a federation id of 33 digits": _origin("live", federation_id=FEDERATION_ID + "0"),
        "a federation id with a line feed": _origin("live", federation_id=FEDERATION_ID + "\n"),
        "a federation id that is not hex": _origin("live", federation_id="g" * 32),
        "256 characters": _origin("live", "a" * 218),
        "a space before it": " " + _origin("live"),
        "a line feed after it": _origin("live") + "\n",
    }


def _refused() -> list[Case]:
    return [
        *[
            refused("origin", desc, OriginMalformed, origin=origin)
            for desc, origin in _broken_origins().items()
        ],
        *[
            refused(
                "member_name",
                f"a member's name with {desc}",
                MemberNameMalformed,
                member=name,
            )
            for desc, name in NOT_MEMBERS.items()
        ],
        refused(
            "cosigner_name",
            "a cosigner of no federation",
            OriginMalformed,
            member="acme.example",
            federation_id="",
            cosigner="witness",
        ),
        refused(
            "cosigner_name",
            "a cosigner with a plus in its name",
            MemberNameMalformed,
            member="acme+example",
            federation_id=FEDERATION_ID,
            cosigner="mirror",
        ),
    ]


def cases() -> list[Case]:
    """All cases."""
    return [*_accepted(), *_refused()]
