"""What ``federation join`` and ``federation keys renew`` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from federation.cli.answers import Answer, plain
from federation.cli.files import read_file, write_file
from federation.config import NodeConfig, load_config
from federation.daemon.initialise import REQUEST_FILE
from federation.daemon.own_keys import make_next_keys, request_with_all_keys
from federation.errors import RequestMalformed
from federation.protocol.join_requests import JoinRequest, parse_join_request
from federation.protocol.limits_messages import JOIN_REQUEST_BYTES_MAX
from federation.protocol.roster_amendments import PURPOSES


def join(
    config_path: Path, urls: Sequence[str] | None, out: Path | None, *, only_calls: bool
) -> Answer:
    """Write a node's request.

    Raises:
        FederationError: a key file or URL is wrong, or there is no earlier request to go by.
    """
    config = load_config(config_path)
    wanted = () if only_calls else urls or _former_urls(config)
    request = request_with_all_keys(config, wanted)
    path = out or config.folder / REQUEST_FILE
    write_file(path, request.request_bytes)
    following = (f"next: give {path} to the governors: federation roster propose add {path.name}",)
    return Answer(_fields(request, path), (_line(request, path),), talk=following)


def renew(
    purposes: Sequence[str], config_path: Path, urls: Sequence[str] | None, out: Path | None
) -> Answer:
    """Make the next keys, and write the request that asks for them.

    Raises:
        FederationError: an unknown purpose, or a next key that waits already.
    """
    config = load_config(config_path)
    wanted = urls or _former_urls(config)
    made = make_next_keys(config, PURPOSES if list(purposes) == ["all"] else purposes)
    request = request_with_all_keys(config, wanted)
    path = out or config.folder / REQUEST_FILE
    write_file(path, request.request_bytes)
    fields = {**_fields(request, path), "made": [str(each) for each in made]}
    lines = (*(f"made {plain(str(each))}" for each in made), _line(request, path))
    following = (
        f"next: give {path} to the governors: federation roster propose keys {path.name}",
        "      (after a theft: federation roster propose restore)",
    )
    return Answer(fields, lines, talk=following)


def _former_urls(config: NodeConfig) -> Sequence[str]:
    path = config.folder / REQUEST_FILE
    if not path.exists():
        raise RequestMalformed("where is this node reached?", hint="give --url https://host[:port]")
    return parse_join_request(read_file(path, JOIN_REQUEST_BYTES_MAX)).urls


def _fields(request: JoinRequest, path: Path) -> dict[str, object]:
    return {"member": request.member, "urls": list(request.urls), "join_request": str(path)}


def _line(request: JoinRequest, path: Path) -> str:
    reached = ", ".join(request.urls) or "a node that only calls others"
    return f"{request.member} asks in {plain(str(path))}: {reached}"
