"""The node's secret keys: read once at start, from files that nobody else may read.

Each Ed25519 key is one line of text (``protocol/keys.py``); the TLS identity is a PEM pair. Thefts
and what each key can do: docs/internals/THREAT_MODEL.md.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from federation.config import NodeConfig
from federation.errors import ProtocolError
from federation.local_errors.config import ConfigMissing, KeyFileInvalid
from federation.net.identities import PemPair, identity_der
from federation.protocol.keys_signing import SigningKey, parse_seed_text
from federation.protocol.keys_signing_mldsa import MldsaSigningKey, parse_mldsa_seed_text
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.roster import Roster
from federation.protocol.roster_members import Member

KEY_FILE_BYTES_MAX = 64 * 1024
"""A PEM chain fits many times over; a directory entry pointing elsewhere does not matter."""


@dataclass(frozen=True)
class Keyring:
    """All keys of one member's node. An observer's holds its TLS identity only.

    Attributes:
        logs: signs this member's checkpoints, a key for each lane.
        witness: cosigns as witness.
        mirror: cosigns as mirror: receipts.
        identity: TLS identity.
        mldsa44: signs second lines, by purpose: a lane or a cosigner; empty where there are none.
    """

    logs: dict[Lane, SigningKey]
    witness: SigningKey | None
    mirror: SigningKey | None
    identity: PemPair
    mldsa44: dict[str, MldsaSigningKey] = field(default_factory=dict)


def load_keyring(config: NodeConfig) -> Keyring:
    """Read every key the config names.

    Raises:
        ConfigMissing: a file is not there.
        KeyFileInvalid: a file is malformed, or readable by others.
    """
    if config.is_observer:
        return Keyring({}, None, None, load_identity(config))
    keys = config.keys
    logs = {Lane.CRISIS: keys.log_crisis, Lane.LIVE: keys.log_live, Lane.BULK: keys.log_bulk}
    return Keyring(
        logs={lane: load_signing_key(config.path(path)) for lane, path in logs.items()},
        witness=load_signing_key(config.path(keys.witness)),
        mirror=load_signing_key(config.path(keys.mirror)),
        identity=load_identity(config),
        mldsa44=_load_mldsa44(config),
    )


def load_identity(config: NodeConfig) -> PemPair:
    """Read the TLS identity the config names.

    Raises:
        ConfigMissing: a file is not there.
        KeyFileInvalid: a file is oversized, or the key readable by others.
    """
    return PemPair(
        read_key_file(config.path(config.keys.identity_certificate), is_secret=False),
        read_key_file(config.path(config.keys.identity)),
    )


def check_keys(member: str, keyring: Keyring, roster: Roster) -> None:
    """Accept key files that hold the keys which the roster holds: nobody would believe others.

    Raises:
        KeyFileInvalid: some are not.
    """
    known = roster.members.get(member)
    if known is None:
        return  # not yet: its node asks its peers for the versions since
    ours: list[tuple[str, bytes, Sequence[bytes]]] = [
        *(
            (f"log-{lane}", key.public, _logs_keys(known, lane))
            for lane, key in keyring.logs.items()
        ),
        *_cosigner_key("witness", keyring.witness, known.witness_keys),
        *_cosigner_key("mirror", keyring.mirror, known.mirror_keys),
        # Any of them: while an identity is being rotated, the former one still counts.
        ("identity", identity_der(keyring.identity.certificate), known.tls_identities),
    ]
    wrong = [name for name, in_file, in_roster in ours if in_roster and in_file not in in_roster]
    if wrong:
        raise KeyFileInvalid(
            f"not the keys that the roster holds for {member}: {', '.join(wrong)}",
            hint="put back this member's key files, or have governance rotate the keys",
        )


def _cosigner_key(
    name: str, key: SigningKey | None, in_roster: Sequence[bytes]
) -> list[tuple[str, bytes, Sequence[bytes]]]:
    return [] if key is None else [(name, key.public, in_roster[-1:])]


def _logs_keys(known: Member, lane: Lane) -> list[bytes]:
    """The key in use of a lane; none where the member has no log in it."""
    return [log.public for log in known.logs if log.lane is lane][-1:]


def mldsa44_file(folder: str, purpose: str) -> Path:
    """Where the ML-DSA-44 key for a lane or cosigner is."""
    return Path(folder) / f"{purpose}.key"


def _load_mldsa44(config: NodeConfig) -> dict[str, MldsaSigningKey]:
    """Every ML-DSA-44 key, or none where the config names no folder."""
    folder = config.keys.mldsa44_folder
    if not folder:
        return {}
    keys: dict[str, MldsaSigningKey] = {}
    for purpose in (*Lane, *Cosigner):
        path = config.path(mldsa44_file(folder, purpose))
        try:
            seed = parse_mldsa_seed_text(read_key_file(path).decode("ascii"))
        except (ProtocolError, UnicodeDecodeError):
            raise KeyFileInvalid(
                f"{path} holds no ML-DSA-44 seed",
                hint="it is one line: federation-mldsa44-seed:…",
            ) from None
        keys[purpose] = MldsaSigningKey.from_seed(seed)
    return keys


def load_signing_key(path: Path) -> SigningKey:
    """Read one Ed25519 key file.

    Raises:
        ConfigMissing: it is not there.
        KeyFileInvalid: it is malformed, or readable by others.
    """
    try:
        return SigningKey.from_seed(parse_seed_text(read_key_file(path).decode("ascii")))
    except (ProtocolError, UnicodeDecodeError):
        raise KeyFileInvalid(
            f"{path} holds no Ed25519 seed", hint="it is one line: federation-ed25519-seed:…"
        ) from None


def read_key_file(path: Path, *, is_secret: bool = True) -> bytes:
    """The bytes of a key file.

    Args:
        path: where it is.
        is_secret: whether it is refused when others may read it.

    Raises:
        ConfigMissing: it is not there.
        KeyFileInvalid: it is oversized, unreadable, or readable by others.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            if is_secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyFileInvalid(
                    f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})",
                    hint=f"chmod 600 {path}, and think about who may have read it",
                )
            raw = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ConfigMissing(f"there is no key file {path}") from None
    except OSError as error:
        raise KeyFileInvalid(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > KEY_FILE_BYTES_MAX:
        raise KeyFileInvalid(f"{path} is no key file: over {KEY_FILE_BYTES_MAX} bytes")
    return raw
