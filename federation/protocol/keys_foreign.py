"""What other logs and cosigners bring along: verifier keys as text.

The logs of this protocol are signed by keys that the roster holds. A witness from elsewhere is
named by its vkey text.

Source: docs/spec/keys.md; C2SP signed-note (vkeys, key ids), tlog-cosignature.
"""

from __future__ import annotations

from federation.errors import KeyMalformed
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.texts import parse_base64


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key in the one form that ``VerifierKey.format`` writes.

    Args:
        text: one vkey without a newline, of type 01, 04 or 06.

    Raises:
        KeyMalformed: any other text, another type, or a key id that is not this key's.
        KeyWeak: an Ed25519 key of low order or not in canonical form.
    """
    # Base64 may contain '+', so only the first two are separators; a name has none.
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    typed = parse_base64(encoded, KeyMalformed, "the verifier key")
    try:
        key_type = KeyType(typed[0])
    except (IndexError, ValueError):
        raise KeyMalformed("the verifier key is of no type known here (01, 04, 06)") from None
    key = VerifierKey(name, key_type, typed[1:])
    if key_id != key.key_id.hex():
        raise KeyMalformed("the key id is not the one of this name, type and key")
    return key
