"""Roster chains and proposals as files: a folder that holds ``1.root.json``, ``2.root.json``, ….

A governor works offline, so the chain comes from a folder and not from a node. Every file is judged
on the way in; a folder is not trusted more than a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from federation.cli.files import read_file, write_new_file
from federation.config import load_config
from federation.errors import RosterMalformed, RosterUnproven
from federation.local_errors.config import RosterMissing
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_walk import verify_chain

FIRST_FILE: Final = "1.root.json"
FOLDER_HINT: Final = "--roster names the folder that holds 1.root.json, 2.root.json and so on"

_VERSION_FILE = re.compile(r"([1-9][0-9]{0,5})\.root\.json\Z")


def version_file(version: int) -> str:
    """The name of a roster version's file."""
    return f"{version}.root.json"


def load_chain(folder: Path, first: Path | None = None) -> RosterChain:
    """The chain that a folder holds, every step of it judged.

    Args:
        folder: holds the versions.
        first: the root of trust, where it has another name or place than ``1.root.json`` in it.

    Raises:
        RosterMissing: there is no root of trust.
        RosterMalformed: a version between is missing, or a file is no roster.
        RosterUnproven: a version does not follow from the one before.
    """
    first = first or folder / FIRST_FILE
    if not first.is_file():
        raise RosterMissing(f"there is no root of trust {first}", hint=FOLDER_HINT)
    later = sorted(version for version in _versions_in(folder) if version > 1)
    if later != list(range(2, len(later) + 2)):
        missing = next(n for n, version in enumerate([*later, None], start=2) if n != version)
        raise RosterMalformed(
            f"{folder} holds version {later[-1]} of the roster but not version {missing}",
            hint="put every version there; any member can give them to you",
        )
    paths = [first, *(folder / version_file(version) for version in later)]
    return verify_chain(read_file(path, ROSTER_BYTES_MAX) for path in paths)


def chain_of_config(config_path: Path) -> RosterChain:
    """The chain that lies at a node's root of trust: the file of the config, and what is beside it.

    Raises:
        ConfigError: the config is missing or malformed, or there is no root of trust.
        RosterMalformed, RosterUnproven: see :func:`load_chain`.
    """
    config = load_config(config_path)
    first = config.path(config.root_file)
    return load_chain(first.parent, first)


def chain_before(chain: RosterChain, version: int) -> RosterChain:
    """The part of a chain below a version, which a folder may hold already.

    Raises:
        RosterUnproven: the chain does not reach that far.
    """
    if chain.newest.version < version - 1:
        raise RosterUnproven(
            f"version {version} does not follow version {chain.newest.version} of the roster",
            hint=FOLDER_HINT,
        )
    return chain if chain.newest.version < version else verify_chain(chain.versions[: version - 1])


def keep_version(folder: Path, chain: RosterChain) -> tuple[Path, bool]:
    """Write the newest version of a chain into a folder; another one of that number is not touched.

    Returns:
        The file, and whether it was written now.

    Raises:
        RequestMalformed: another version of that number is there: look at both.
        ConfigInvalid: it cannot be written.
    """
    path = folder / version_file(chain.newest.version)
    return path, write_new_file(path, chain.newest.root_bytes)


def _versions_in(folder: Path) -> Iterator[int]:
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise RosterMissing(f"cannot read {folder}: {error.strerror}", hint=FOLDER_HINT) from None
    for name in names:
        named = _VERSION_FILE.match(name)
        if named:
            yield int(named[1])
