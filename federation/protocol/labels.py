"""Labels: what violating content is, in words that companies and auditors share.

Three vocabularies and a way to add one's own:

    tvec0 … tvec8, tvec.01   the Christchurch Call Foundation's TVEC policy (roostorg/
                             model-community, evaluated 2026-04-17)
    content:…                content classes added to the industry database in 2021 (GIFCT)
    behaviour:…              behavioural labels used since 2019 (GIFCT transparency reports)
    <member name>:<word>     a member's own

Unknown labels are refused only at the local door; one heard from a peer is kept as it is.

Source: docs/spec/labels.md.
"""

from __future__ import annotations

from typing import Final

from federation.errors import MemberNameMalformed
from federation.local_errors.content import LabelUnknown
from federation.protocol.bodies import is_label
from federation.protocol.limits_content import LABELS_MAX
from federation.protocol.origins import check_member_name

VOCABULARY: Final[dict[str, str]] = {
    "tvec0": "looked at, and not terrorist or violent extremist content",
    "tvec.01": "educational, documentary, scientific, artistic or newsworthy; a person decides",
    "tvec1": "branded terrorist content, or content made by a perpetrator",
    "tvec2": "a credible threat to life",
    "tvec3": "a detailed description of tactics",
    "tvec4": "material support",
    "tvec5": "instructions for an attack",
    "tvec6": "recruitment",
    "tvec7": "support, praise or promotion",
    "tvec8": "incitement",
    "content:attacker-manifesto": "a document in which an attacker explains the attack",
    "content:branded-publication": "a periodical or book under an organisation's name",
    "content:livestream": "recorded from, or part of, an attacker's live stream",
    "content:url": "a link that leads to such content",
    "behaviour:glorification": "glorifies a terrorist act after the fact",
    "behaviour:graphic-violence": "graphic violence against defenceless people",
    "behaviour:imminent-credible-threat": "announces a specific, credible attack",
    "behaviour:recruitment-instruction": "recruits, radicalises or instructs",
}
_RESERVED_PREFIXES: Final = frozenset({"content", "behaviour", "incident", "tvec"})


def check_labels(labels: list[str]) -> tuple[str, ...]:
    """The local door: known labels only, normalised, sorted, each once.

    Args:
        labels: as typed; upper case is accepted and lowered.

    Returns:
        The labels as they are signed.

    Raises:
        LabelUnknown: a label of no vocabulary and not ``<member name>:<word>``, or too many.
    """
    normalised = sorted({label.strip().lower() for label in labels})
    if len(normalised) > LABELS_MAX:
        raise LabelUnknown(f"at most {LABELS_MAX} labels")
    for label in normalised:
        if not _is_known(label):
            raise LabelUnknown(
                "a label that is in no vocabulary",
                hint="use one of: " + ", ".join(VOCABULARY) + "; or <member name>:<word>",
            )
    return tuple(normalised)


def _is_known(label: str) -> bool:
    return label in VOCABULARY or is_own_label(label)


def is_own_label(label: str) -> bool:
    """Whether a label has the form of a member's own, ``<member name>:<word>``."""
    prefix, colon, _ = label.partition(":")
    if not colon or not is_label(label) or prefix in _RESERVED_PREFIXES:
        return False
    try:
        check_member_name(prefix)
    except MemberNameMalformed:
        return False
    return True
