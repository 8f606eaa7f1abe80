"""What ``init`` does, as seen from the terminal."""

from __future__ import annotations

from pathlib import Path

from federation.cli.answers import Answer, plain
from federation.config import ApiSettings, load_config
from federation.daemon.initialise import CONFIG_FILE, REQUEST_FILE, initialise
from federation.local_errors.config import ConfigInvalid


def initialise_node(
    folder: Path,
    member: str,
    url: str | None,
    api: str | None,
    *,
    post_quantum: bool = False,
    only_calls: bool = False,
    observer_of: str = "",
) -> Answer:
    """Make a node's folder, and say what to do with it.

    Raises:
        FederationError: the name, URL or address is wrong, or a node is there already.
    """
    if only_calls == (url is not None):
        raise ConfigInvalid("a node has a --url, or is --only-calls because peers cannot reach it")
    try:
        ApiSettings(listen=api or ApiSettings().listen)
    except ValueError:
        raise ConfigInvalid("--api is HOST:PORT on loopback, such as 127.0.0.1:8001") from None
    if observer_of and post_quantum:
        raise ConfigInvalid("an observer signs nothing: --post-quantum is for those who publish")
    request = initialise(
        folder, member, url, api_listen=api, post_quantum=post_quantum, observer_of=observer_of
    )
    config_path = folder / CONFIG_FILE
    config = load_config(config_path)
    root_file = config.path(config.root_file)
    fields = {
        "member": request.member,
        "urls": list(request.urls),
        "config": str(config_path),
        "join_request": str(folder / REQUEST_FILE),
        "root_file": str(root_file),
        "api": config.api.listen,
        "listen": config.peers.listen,
        "observer_of": config.observer_of,
    }
    lines = (
        f"{request.member} is made in {plain(str(folder))}",
        f"  config        {plain(str(config_path))}",
        f"  join request  {plain(str(folder / REQUEST_FILE))}",
        f"  peers         {_reach(config.peers.listen, request.urls)}",
        f"  local API     {config.api.listen}",
    )
    role = " (propose add … --role observer)" if observer_of else ""
    following = (
        f"next: give {folder / REQUEST_FILE} to the federation's governors{role},",
        f"      put their 1.root.json at {root_file},",
        f"      then run federation serve --config {config_path}",
    )
    return Answer(fields, lines, talk=following)


def _reach(listen: str, urls: tuple[str, ...]) -> str:
    if not listen:
        return "none reach it; it calls them, and waits at each for what they have to say"
    return f"{listen}, reached as {', '.join(urls)}"
