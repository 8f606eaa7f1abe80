"""The files that an auditor gives: bounded, and named when they cannot be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from federation.errors import FederationError, RequestMalformed
from federation.protocol.limits import ROSTER_BYTES_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.roster_root import decode_root

STDIN: Final = Path("-")


def read_file(path: Path, bytes_max: int) -> bytes:
    """A file, or stdin: at most one byte over the limit, which is enough for a judge to refuse it.

    Raises:
        RequestMalformed: it cannot be read.
    """
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(bytes_max + 1)
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise RequestMalformed(f"cannot read {path}: {error.strerror}") from None


def read_known_roots(paths: Sequence[Path]) -> Iterator[bytes]:
    """Root files 2, 3 and so on up to the first gap, in whatever order they were given.

    Raises:
        RequestMalformed: one is no roster, or another one of the same version.
    """
    if len(paths) > ROSTER_VERSIONS_MAX:
        raise RequestMalformed(f"a roster chain has at most {ROSTER_VERSIONS_MAX} versions")
    roots: dict[int, bytes] = {}
    for path in paths:
        root = read_file(path, ROSTER_BYTES_MAX)
        try:
            version = decode_root(root).signed.version
        except FederationError as error:
            raise RequestMalformed(f"{path} is no roster: {error.message}") from None
        if roots.setdefault(version, root) != root:
            raise RequestMalformed(f"{path} is another version {version} than a file before it")
    for version in count(2):
        if version not in roots:
            return
        yield roots[version]
