"""Making a new node: keys, config, token and the request to join.

Nothing that exists is ever overwritten. The keys are raw: the names they sign under follow from the
federation's ``1.root.json``, which may not exist yet.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from federation.config import ApiSettings, KeySettings, NodeConfig, PeerSettings, render_config
from federation.daemon.keyring import mldsa44_file
from federation.local_errors.config import AlreadyInitialised, ConfigInvalid
from federation.net.identities import identity_der, make_identity
from federation.protocol.http_signatures import SIGNED_SCHEME
from federation.protocol.join_requests import REQUESTED_KEYS, JoinRequest, make_join_request
from federation.protocol.keys_signing import SigningKey, format_seed_text
from federation.protocol.keys_signing_mldsa import MldsaSigningKey, format_mldsa_seed_text
from federation.protocol.origins import Cosigner, Lane, check_member_name

SEED_BYTES: Final = 32
TOKEN_BYTES: Final = 32
"""256 random bits: guessing is not an attack."""

CONFIG_FILE: Final = "node.toml"
REQUEST_FILE: Final = "join-request.json"
MLDSA44_FOLDER: Final = "keys/mldsa44"
HTTPS_PORT: Final = 443
BALANCED_LISTEN: Final = "127.0.0.1:7001"
"""Where a node waits for the balancer in front of it, unless its operator says otherwise."""

API_PORT_ABOVE: Final = 1_000
"""The local API's default port above the peer listener's, so that several nodes fit one machine."""


def initialise(
    folder: Path,
    member: str,
    url: str | None,
    *,
    api_listen: str | None = None,
    post_quantum: bool = False,
    observer_of: str = "",
) -> JoinRequest:
    """Make a node's folder: keys (mode 0600), ``node.toml``, the API token, the join request.

    Args:
        folder: made when missing; refused when it holds any of the files already.
        member: the node's name.
        url: where peers will reach it, ``https://host[:port]``, or ``https+signatures://…`` for a
            node behind a balancer that ends TLS; None for a node that cannot be
            connected to, and only calls others.
        post_quantum: make ML-DSA-44 keys as well, and ask for their place in the roster.
        observer_of: makes an observer, which has no keys but its TLS identity: the member whose
            further machine it is, or its own name; empty: a member that publishes.
        api_listen: address of the local API; by default loopback, the peers' port plus 1,000.

    Returns:
        The join request, as written.

    Raises:
        MemberNameMalformed: the name is no lower-case DNS name.
        ConfigInvalid: the URL is no https URL, or the folder cannot be written.
        AlreadyInitialised: the folder holds a node already.
    """
    check_member_name(member)
    config = _config(folder, member, url, api_listen)
    if observer_of:
        check_member_name(observer_of)
        config = config.model_copy(update={"observer_of": observer_of})
        post_quantum = False
    if post_quantum:
        keys = config.keys.model_copy(update={"mldsa44_folder": MLDSA44_FOLDER})
        config = config.model_copy(update={"keys": keys})
    seconds = {name: secrets.token_bytes(SEED_BYTES) for name in REQUESTED_KEYS if post_quantum}
    wanted = () if observer_of else (*Lane, *Cosigner)
    seeds = {name: secrets.token_bytes(SEED_BYTES) for name in wanted}
    identity = make_identity(member, not_before=datetime.now(UTC))
    request = make_join_request(
        member,
        urls=() if url is None else (url,),
        keys={name: SigningKey.from_seed(seed) for name, seed in seeds.items()},
        tls_identity=identity_der(identity.certificate),
        mldsa44={name: MldsaSigningKey.from_seed(seed) for name, seed in seconds.items()},
    )
    keys = config.keys
    files = _seed_files(keys, seeds, seconds)
    files[keys.identity] = identity.private_key
    files[keys.identity_certificate] = identity.certificate
    files[config.api.token_file] = secrets.token_urlsafe(TOKEN_BYTES).encode("ascii") + b"\n"
    files[Path(REQUEST_FILE)] = request.request_bytes
    files[Path(CONFIG_FILE)] = render_config(config).encode("utf-8")
    write_new_files(folder, files)
    return request


def _seed_files(
    keys: KeySettings, seeds: Mapping[str, bytes], seconds: Mapping[str, bytes]
) -> dict[Path, bytes]:
    """The key files of Ed25519 seeds, and of ML-DSA-44 seeds where there are some."""
    paths = {
        Lane.CRISIS: keys.log_crisis,
        Lane.LIVE: keys.log_live,
        Lane.BULK: keys.log_bulk,
        Cosigner.WITNESS: keys.witness,
        Cosigner.MIRROR: keys.mirror,
    }
    files = {
        path: format_seed_text(seeds[name]).encode("ascii")
        for name, path in paths.items()
        if name in seeds
    }
    for name, seed in seconds.items():
        files[mldsa44_file(MLDSA44_FOLDER, name)] = format_mldsa_seed_text(seed).encode("ascii")
    return files


def write_new_files(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Write files of mode 0600, all of them new, or none.

    Raises:
        AlreadyInitialised: one of them exists.
        ConfigInvalid: the folder cannot be written.
    """
    for path in files:
        if (folder / path).exists():
            raise AlreadyInitialised(f"{folder / path} exists already")
    try:
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # O_EXCL: of two racing writers one fails, and neither overwrites.
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
    except FileExistsError as error:
        raise AlreadyInitialised(f"{error.filename} exists already") from None
    except OSError as error:
        raise ConfigInvalid(f"cannot write {error.filename}: {error.strerror}") from None


def _config(folder: Path, member: str, url: str | None, api_listen: str | None) -> NodeConfig:
    if url is None:
        return _settings(folder, member, "", api_listen or ApiSettings().listen)
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS_PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"https", SIGNED_SCHEME} or not parts.hostname:
        raise ConfigInvalid(
            "a node's URL is https://host[:port], as other members reach it; or "
            f"{SIGNED_SCHEME}://host[:port][/path] of a balancer that ends TLS"
        )
    if parts.scheme == SIGNED_SCHEME:
        api = api_listen or ApiSettings().listen
        return _settings(folder, member, BALANCED_LISTEN, api, listen_mode="http-signatures")
    host = parts.hostname if _is_address(parts.hostname) else "0.0.0.0"  # noqa: S104 - a listener
    host = f"[{host}]" if ":" in host else host
    api_port = port + API_PORT_ABOVE
    if api_port > 65_535:  # noqa: PLR2004 - the last port there is
        api_port = port - API_PORT_ABOVE
    return _settings(folder, member, f"{host}:{port}", api_listen or f"127.0.0.1:{api_port}")


def _settings(
    folder: Path,
    member: str,
    listen: str,
    api_listen: str,
    listen_mode: Literal["mutual-tls", "http-signatures"] = "mutual-tls",
) -> NodeConfig:
    try:
        return NodeConfig(
            member=member,
            peers=PeerSettings(listen=listen, listen_mode=listen_mode),
            api=ApiSettings(listen=api_listen),
            folder=folder.resolve(),
        )
    except ValueError as error:
        raise ConfigInvalid(f"{api_listen}: {error}") from None


def _is_address(host: str) -> bool:
    """Whether to listen on exactly that address: loopback names, and IP addresses."""
    return host == "localhost" or host.replace(".", "").isdecimal() or ":" in host
