"""This node's keys as the roster asks for them: the present ones, and those made to follow them.

A key is renewed in three steps: ``federation keys renew`` makes the next one beside the present one
(``….next``), governance puts it into the roster, and the running node signs with it from the moment
that version is adopted. The files then change places; a former key stays beside (``….former``),
because nobody but a person should throw a key away.

Which key signs is never this room's choice: it is asked for one by its public half.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from federation.config import NodeConfig
from federation.daemon.initialise import write_new_files
from federation.daemon.keyring import Keyring, load_keyring, load_signing_key, read_key_file
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.config import ConfigMissing, KeyFileInvalid
from federation.net.identities import PemPair, identity_der, make_identity
from federation.protocol.join_requests import JoinRequest, make_join_request
from federation.protocol.keys_signing import SEED_BYTES, SigningKey, format_seed_text
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.roster_amendments import PURPOSES, TLS
from federation.protocol.roster_members import Member

log_lines = logging.getLogger(__name__)

NEXT: Final = ".next"
FORMER: Final = ".former"

KeyOf = Callable[[bytes], SigningKey | None]
"""The secret half of a public key, where this node has it."""


def key_files(config: NodeConfig) -> dict[str, Path]:
    """The file of each Ed25519 key, by purpose."""
    keys = config.keys
    if config.is_observer:
        return {}
    files = {
        Lane.CRISIS: keys.log_crisis,
        Lane.LIVE: keys.log_live,
        Lane.BULK: keys.log_bulk,
        Cosigner.WITNESS: keys.witness,
        Cosigner.MIRROR: keys.mirror,
    }
    return {str(purpose): config.path(path) for purpose, path in files.items()}


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


class OwnKeys:
    """All keys in the key files, present and next.

    Args:
        config: says where they are.
        keyring: the present ones.
    """

    def __init__(self, config: NodeConfig, keyring: Keyring) -> None:
        self._config = config
        present = (*keyring.logs.values(), keyring.witness, keyring.mirror)
        self._held = {key.public: key for key in present if key is not None}

    def key_of(self, public: bytes) -> SigningKey | None:
        """The key with that public half; None where no file holds it."""
        if public not in self._held:
            self._read_again()
        return self._held.get(public)

    def _read_again(self) -> None:
        for path in key_files(self._config).values():
            for file in (_beside(path, NEXT), path):
                with suppress(ConfigMissing, KeyFileInvalid):
                    key = load_signing_key(file)
                    self._held[key.public] = key

    def settle(self, member: Member) -> tuple[str, ...]:
        """Put the next keys that the roster now holds into the place of the present ones.

        Args:
            member: this node's own, as the roster has it.

        Returns:
            The purposes whose files changed places.
        """
        settled = []
        for purpose, path in key_files(self._config).items():
            with suppress(ConfigMissing, KeyFileInvalid):
                if load_signing_key(_beside(path, NEXT)).public == _public(member, purpose):
                    _change_places([path])
                    settled.append(purpose)
        certificate, key = _identity_files(self._config)
        with suppress(ConfigMissing, KeyFileInvalid, FederationError):
            pem = read_key_file(_beside(certificate, NEXT), is_secret=False)
            if identity_der(pem) in member.tls_identities[-1:]:
                # The certificate last: while its next one is there, this is done again.
                _change_places([key, certificate])
                settled.append(TLS)
        if settled:
            log_lines.info("keys of this node that changed: %s", ", ".join(settled))
        return tuple(settled)


def _identity_files(config: NodeConfig) -> tuple[Path, Path]:
    return config.path(config.keys.identity_certificate), config.path(config.keys.identity)


def _change_places(paths: Sequence[Path]) -> None:
    """Each path's next file takes its place; at no moment is there none."""
    for path in paths:
        following, former = _beside(path, NEXT), _beside(path, FORMER)
        if not following.exists():
            continue
        unfinished = _beside(path, ".link")
        unfinished.unlink(missing_ok=True)
        os.link(path, unfinished)
        unfinished.replace(former)
        following.replace(path)


def _public(member: Member, purpose: str) -> bytes | None:
    """The public key in use for a purpose, as the roster has it."""
    if purpose in set(Lane):
        keys = [log.public for log in member.logs if log.lane == purpose]
    else:
        keys = list(member.cosigner_keys(Cosigner(purpose)))
    return keys[-1] if keys else None


# --- renewing -------------------------------------------------------------------------------------


def make_next_keys(config: NodeConfig, purposes: Sequence[str]) -> list[Path]:
    """Make the next key of each purpose, beside the present one.

    Args:
        config: says where.
        purposes: of ``PURPOSES``.

    Returns:
        The files made, each of mode 0600.

    Raises:
        RequestMalformed: an unknown purpose, or none.
        AlreadyInitialised: a next key is there already and waits for governance.
        ConfigInvalid: the folder cannot be written.
    """
    known = [TLS] if config.is_observer else PURPOSES
    unknown = [purpose for purpose in purposes if purpose not in known]
    if unknown or not purposes:
        raise RequestMalformed(f"keys are for: {', '.join(known)}; or say all")
    files: dict[Path, bytes] = {}
    paths = key_files(config)
    for purpose in purposes:
        if purpose == TLS:
            made = make_identity(config.member, not_before=datetime.now(UTC))
            certificate, key = _identity_files(config)
            files[_beside(certificate, NEXT)] = made.certificate
            files[_beside(key, NEXT)] = made.private_key
        else:
            seed = secrets.token_bytes(SEED_BYTES)
            files[_beside(paths[purpose], NEXT)] = format_seed_text(seed).encode("ascii")
    write_new_files(Path("/"), {path.resolve(): content for path, content in files.items()})
    return list(files)


def request_with_all_keys(config: NodeConfig, urls: Sequence[str]) -> JoinRequest:
    """The request for governance, under the next keys where there are some, else the present ones.

    Args:
        config: whose node.
        urls: where it is reached, best first; none for one that only calls others.

    Raises:
        ConfigError: a key file is missing or malformed.
        RosterMalformed: a URL is none.
    """
    keyring = load_keyring(config)
    keys = {str(lane): key for lane, key in keyring.logs.items()}
    for cosigner, key in ((Cosigner.WITNESS, keyring.witness), (Cosigner.MIRROR, keyring.mirror)):
        if key is not None:
            keys[str(cosigner)] = key
    for purpose, path in key_files(config).items():
        with suppress(ConfigMissing):
            keys[purpose] = load_signing_key(_beside(path, NEXT))
    return make_join_request(
        config.member,
        urls=tuple(urls),
        keys=keys,
        tls_identity=identity_der(_next_identity(config, keyring.identity)),
        mldsa44=keyring.mldsa44,
    )


def _next_identity(config: NodeConfig, present: PemPair) -> bytes:
    certificate, _ = _identity_files(config)
    with suppress(ConfigMissing):
        return read_key_file(_beside(certificate, NEXT), is_secret=False)
    return present.certificate
