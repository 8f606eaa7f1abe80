"""Exported logs as an auditor has them: folders of files, each with the verifier key beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from federation.cli.auditor_files import read_file
from federation.errors import FederationError, RequestMalformed
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519
from federation.protocol.keys_foreign import parse_vkey
from federation.provenance.report import Report
from federation.provenance.tree_audit import CHECKPOINT_FILE, AuditedLog, ReadFile, audit_log

VKEY_BYTES_MAX: Final = 4 * 1024
"""A vkey is about 150 bytes, with ML-DSA-44 about 1,900."""

VKEY_SUFFIX: Final = ".vkey"
SECOND_VKEY_SUFFIX: Final = ".mldsa44.vkey"
LOGS_MAX: Final = 10_000
"""Logs in one folder: three for each of 1,000 members, and their epochs."""

_EVERY: Final = 1 << 16
"""Entries between two lines of progress: about a tenth of a second."""


def log_folders(folder: Path) -> list[Path]:
    """The logs of a folder: itself where it is one, else those in it, by name.

    Raises:
        RequestMalformed: it holds none, or too many.
    """
    if (folder / CHECKPOINT_FILE).is_file():
        return [folder]
    try:
        found = sorted(each.parent for each in folder.glob(f"*/{CHECKPOINT_FILE}"))
    except OSError as error:
        raise RequestMalformed(f"cannot read {folder}: {error.strerror}") from None
    if not 0 < len(found) <= LOGS_MAX:
        raise RequestMalformed(
            f"{folder} holds no exported log",
            hint="give a folder with a checkpoint in it, or one that federation log export wrote",
        )
    return found


def vkeys_of(folder: Path, given: str | None) -> tuple[VerifierKey, VerifierKey | None]:
    """A log's key, and that of its second line where there is one.

    Args:
        folder: the log's.
        given: the vkey as text, or a file that holds it; None for the file beside the folder.

    Raises:
        RequestMalformed: there is none, or it is no key of a log.
    """
    beside = folder.resolve()
    text = given
    if text is None or "+" not in text:
        path = beside.with_name(beside.name + VKEY_SUFFIX) if text is None else Path(text)
        text = _text(path)
    second = beside.with_name(beside.name + SECOND_VKEY_SUFFIX)
    has_second = given is None and second.is_file()
    return parse_vkey_of(text, KeyType.ED25519), (
        parse_vkey_of(_text(second), KeyType.COSIGNATURE_MLDSA44) if has_second else None
    )


def _text(path: Path) -> str:
    return read_file(path, VKEY_BYTES_MAX).decode("utf-8", "replace").removesuffix("\n")


def parse_vkey_of(text: str, wanted: KeyType) -> VerifierKey:
    """A verifier key of that type. Raises: RequestMalformed: it is none."""
    try:
        vkey = parse_vkey(text)
    except FederationError as error:
        raise RequestMalformed(f"not a verifier key: {error.message}") from None
    if vkey.type is not wanted:
        raise RequestMalformed(f"not a verifier key of type {wanted:02x}")
    return vkey


def audit_folder(
    folder: Path, vkey: VerifierKey, second: VerifierKey | None = None
) -> tuple[Report, AuditedLog | None]:
    """Audit one log, with progress on a terminal."""
    return audit_log(
        reader_of(folder), vkey, check_ed25519, second=second, advance=_progress(folder)
    )


def reader_of(folder: Path) -> ReadFile:
    """What reads a log's files; at most one byte over what is allowed."""

    def read(path: str, bytes_max: int) -> bytes | None:
        try:
            with (folder / path).open("rb") as file:
                return file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise RequestMalformed(f"cannot read {folder / path}: {error.strerror}") from None

    return read


def _progress(folder: Path) -> Callable[[int], None]:
    if not sys.stderr.isatty():
        return lambda _entries: None
    total = 0

    def advance(entries: int) -> None:
        nonlocal total
        total += entries
        if total // _EVERY != (total - entries) // _EVERY:
            print(f"{folder.name}: {total:,} entries", end="\r", file=sys.stderr, flush=True)

    return advance


def write_file(path: Path, content: bytes) -> None:
    """Write a file that was asked for.

    Raises:
        RequestMalformed: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RequestMalformed(f"cannot write {path}: {error.strerror}") from None
