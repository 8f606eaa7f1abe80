"""What ``log export`` and ``log fetch`` do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from federation.cli.answers import Answer, progress
from federation.cli.files import read_file, write_file
from federation.config import load_config
from federation.daemon.log_export import Exported, open_exporter
from federation.daemon.log_fetch import Fetch, Fetched
from federation.errors import KeyMalformed, RequestMalformed
from federation.local_errors.proofs import Fork
from federation.net.log_client import LogClient
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.keys_foreign import parse_vkey

VKEY_BYTES_MAX = 4 * 1024
"""A vkey is about 150 bytes."""


def export(config_path: Path, folder: Path) -> Answer:
    """Write every log that a node holds.

    Raises:
        FederationError: the config is wrong, the database cannot be read, or the folder written.
    """
    done = asyncio.run(_export(config_path, folder))
    lines = [
        f"{each.size:>10,} entries  {each.name}  ({each.tiles_written} files written)"
        for each in done
    ]
    return Answer(
        {
            "folder": str(folder),
            "logs": [
                {
                    "log": each.log.origin,
                    "name": each.name,
                    "vkey": f"{each.name}.vkey",
                    "size": each.size,
                    "files_written": each.tiles_written,
                }
                for each in done
            ],
        },
        tuple(lines) or ("the node holds no log yet",),
    )


async def _export(config_path: Path, folder: Path) -> list[Exported]:
    async with open_exporter(load_config(config_path)) as exporter:
        heads = await exporter.heads()
        total = sum(head.size for head in heads.values())
        with progress("exporting entries", total) as advance:
            return [
                await exporter.export(log, head, folder, advance) for log, head in heads.items()
            ]


@dataclass(frozen=True, slots=True)
class _Source:
    url: str
    vkey: VerifierKey
    second: VerifierKey | None


def fetch(
    url: str, vkey_text: str, folder: Path, entries_max: int, second_text: str | None = None
) -> Answer:
    """Get a public log and verify all of it.

    Raises:
        FederationError: it is not what the key signed, or did not come whole.
    """
    second = None if second_text is None else _read_vkey(second_text, KeyType.COSIGNATURE_MLDSA44)
    source = _Source(_checked_url(url), _read_vkey(vkey_text, KeyType.ED25519), second)
    try:
        fetched = asyncio.run(_fetch(source, folder, entries_max))
    except Fork as fork:
        _keep_fork(folder, fork)
        raise
    head = fetched.checkpoint
    before = "" if fetched.was_size is None else f", {fetched.was_size:,} of them known before"
    return Answer(
        {
            "log": head.origin,
            "size": head.size,
            "root_hash": head.root_hash.hex(),
            "was_size": fetched.was_size,
            "files_fetched": fetched.files_fetched,
            "folder": str(folder),
        },
        (
            f"verified  {head.origin}",
            f"{head.size:,} entries{before}; root {head.root_hash.hex()}",
            f"{fetched.files_fetched} files fetched into {folder}",
        ),
    )


async def _fetch(source: _Source, folder: Path, entries_max: int) -> Fetched:
    async with LogClient(source.url) as client:
        first = Fetch(client, folder, source.vkey, second=source.second)
        checkpoint, note = await first.head()
        with progress("fetching entries", checkpoint.size) as advance:
            return await Fetch(client, folder, source.vkey, advance).run(
                checkpoint, note, entries_max=entries_max
            )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise RequestMalformed("a log's URL is http(s)://host[:port]/path, without query")
    return url.rstrip("/")


def _read_vkey(text: str, wanted: KeyType) -> VerifierKey:
    """A vkey, given as such or as the file that ``log export`` wrote."""
    if text.count("+") < 2:  # noqa: PLR2004 - name+key id+key
        try:
            text = read_file(Path(text), VKEY_BYTES_MAX).decode("utf-8").removesuffix("\n")
        except UnicodeDecodeError:
            raise KeyMalformed("the file holds no verifier key") from None
    vkey = parse_vkey(text)
    if vkey.type is not wanted:
        raise KeyMalformed(f"that is a key of type {vkey.type:02x}; {wanted:02x} is needed here")
    return vkey


def _keep_fork(folder: Path, fork: Fork) -> None:
    """Both notes beside the folder: with its tiles they prove that the log's key signed both."""
    write_file(folder.with_name(f"{folder.name}.fork-1.note"), fork.first)
    write_file(folder.with_name(f"{folder.name}.fork-2.note"), fork.second)
