"""``federation-verify monitor``: exported logs held against what was seen of them before.

What was seen is kept in a file of the auditor's: of each log the largest head that stood, with its
note. A later export must begin with that. Where it does not, the two notes convict the log's key,
and what was seen stays as it was.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.cli.auditor_files import read_file
from federation.cli.auditor_telling import Told
from federation.cli.auditor_tree import (
    audit_folder,
    log_folders,
    parse_vkey_of,
    vkeys_of,
    write_file,
)
from federation.errors import FederationError, ProtocolError, RequestMalformed
from federation.local_errors.proofs import FileNotAtHand, Fork
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.evidence import encode_evidence
from federation.protocol.keys import KeyType, VerifierKey, check_ed25519
from federation.protocol.limits import NOTE_BYTES_MAX
from federation.protocol.merkle_proofs import root_from
from federation.provenance.comparing import fork_evidence
from federation.provenance.report import Examination, Report
from federation.provenance.tree_audit import STEPS as AUDIT_STEPS
from federation.provenance.tree_audit import AuditedLog

FORMAT: Final = "hash-federation/monitor/v1"
STATE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A note of 256 bytes for each of 10,000 logs takes 3 MB."""

STEPS: Final = (*AUDIT_STEPS, "the log begins with all that was seen of it before")


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    add = parser.add_argument
    words = "a folder that federation log export wrote, or a host's copy of one"
    add("folder", type=Path, metavar="DIR", help=words)
    words = "what was seen before, kept by this command; made at the first run"
    add("--state", type=Path, required=True, metavar="FILE", help=words)
    words = "where the evidence of a fork is written, as ORIGIN.evidence with _ for /"
    add("--evidence", type=Path, metavar="DIR", help=words)
    return _run


@dataclass(frozen=True)
class _Seen:
    """A head that stood: under which key, which a rotation leaves behind."""

    size: int
    note: bytes
    vkey: str | None  # None: kept by a release that did not write it down


def _run(given: argparse.Namespace) -> list[Told]:
    seen = _read_state(given.state)
    judged: list[Told] = []
    for folder in log_folders(given.folder):
        try:
            vkey, second = vkeys_of(folder, None)
        except RequestMalformed as error:  # of one log: the others are judged all the same
            judged.append(Told(folder.name, Examination(STEPS).failed(error), {"log": None}))
            continue
        report, log = audit_folder(folder, vkey, second)
        before = seen.get(vkey.name)
        written = None
        if log is not None:
            report, evidence = _follow(report, log, before, vkey)
            if evidence is not None and given.evidence is not None:
                path = given.evidence / f"{vkey.name.replace('/', '_')}.evidence"
                given.evidence.mkdir(parents=True, exist_ok=True)
                write_file(path, evidence)
                written = str(path)
        if log is not None and report.is_verified:
            seen[vkey.name] = _Seen(log.checkpoint.size, log.note, vkey.format())
        fields: dict[str, object] = {
            "log": vkey.name,
            "size": None if log is None else log.checkpoint.size,
            "was_size": None if before is None else before.size,
            "evidence": written,
        }
        judged.append(Told(vkey.name, report, fields))
    there = {each.heading for each in judged}
    judged += [_gone(origin) for origin in sorted(seen.keys() - there)]
    _write_state(given.state, seen)
    return judged


def _follow(
    audited: Report, log: AuditedLog, before: _Seen | None, vkey: VerifierKey
) -> tuple[Report, bytes | None]:
    """The audit and one step more; the evidence where it convicts."""
    examination = Examination(STEPS)
    for step in audited.steps:
        examination.passed(step.detail)
    size = log.checkpoint.size
    if before is None:
        examination.passed("seen for the first time")
        return examination.concluded(f"FIRST SEEN: {vkey.name} with {size} entries."), None
    try:
        key = vkey if before.vkey is None else parse_vkey_of(before.vkey, KeyType.ED25519)
        was = open_checkpoint(before.note, key, check_ed25519)
    except FederationError as error:
        return examination.failed(error), None
    if was.size > size:
        behind = FileNotAtHand(
            f"{was.size} entries were seen before, and here are {size}",
            hint="an old copy, or a host that lags behind; ask the log itself or another host",
        )
        return examination.failed(behind), None
    if was.size == 0 or root_from(was.size, log.nodes) == was.root_hash:
        under = "" if key == vkey else ", under the key before this one"
        examination.passed(f"{was.size} entries seen before{under}, {size - was.size} new")
        words = f"FOLLOWS: {vkey.name} grew by {size - was.size} to {size} entries."
        return examination.concluded(words), None
    evidence = None
    with suppress(ProtocolError):  # such as a head under a key that was replaced meanwhile
        evidence = encode_evidence(fork_evidence(before.note, was.size, log, vkey))
    words = f"of the {was.size} entries seen before, some are others now"
    fork = Fork(words, first=before.note, second=log.note)
    return examination.failed(fork, f"FORK: {vkey.name} signed two histories."), evidence


def _gone(origin: str) -> Told:
    examination = Examination(("the log is there",))
    error = FileNotAtHand(f"{origin} was seen before, and is not in this folder")
    return Told(origin, examination.failed(error), {"log": origin})


def _read_state(path: Path) -> dict[str, _Seen]:
    if not path.exists():
        return {}
    try:
        state = json.loads(read_file(path, STATE_BYTES_MAX))
        if state["format"] != FORMAT:
            raise RequestMalformed(f"{path} is not what this command keeps")
        seen = {
            str(origin): _Seen(
                size=int(kept["size"]),
                note=str(kept["note"]).encode(),
                vkey=kept.get("vkey") and str(kept["vkey"]),
            )
            for origin, kept in state["logs"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RequestMalformed(
            f"{path} is not what this command keeps",
            hint="give the file of the run before; without it all is seen for the first time",
        ) from None
    if any(len(each.note) > NOTE_BYTES_MAX for each in seen.values()):
        raise RequestMalformed(f"{path} holds a note that is too long")
    return seen


def _write_state(path: Path, seen: dict[str, _Seen]) -> None:
    """Whole or not at all: what was seen is never lost to a full disk."""
    logs = {
        origin: {"size": each.size, "note": each.note.decode("utf-8"), "vkey": each.vkey}
        for origin, each in sorted(seen.items())
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    write_file(beside, json.dumps({"format": FORMAT, "logs": logs}, indent=1).encode() + b"\n")
    try:
        beside.replace(path)
    except OSError as error:
        raise RequestMalformed(f"cannot write {path}: {error.strerror}") from None
