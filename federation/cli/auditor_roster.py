"""``federation-verify roster``: who governs, and who is a member, by whose decision?"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from federation.cli.auditor_files import read_file
from federation.cli.auditor_telling import Told
from federation.errors import FederationError, RequestMalformed
from federation.protocol.limits import ROSTER_BYTES_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_changes import describe_changes, describe_roster, format_time
from federation.provenance.report import Examination, Report

TRUST: Final = "the root of trust is a roster that its own governors signed"
FOLLOWS: Final = "version {} follows, signed by the governors before it and its own"


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    add = parser.add_argument
    add("root", type=Path, metavar="1.root.json", help="the root of trust")
    add(
        "later", type=Path, nargs="*", metavar="N.root.json", help="the versions after it, in order"
    )
    add("--facts", action="store_true", help="say every fact of the newest version")
    return _run


def _run(given: argparse.Namespace) -> list[Told]:
    if len(given.later) >= ROSTER_VERSIONS_MAX:
        raise RequestMalformed(f"a roster chain has at most {ROSTER_VERSIONS_MAX} versions")
    files = [read_file(path, ROSTER_BYTES_MAX) for path in (given.root, *given.later)]
    report, chain = judge_chain(files)
    facts = [] if chain is None else describe_roster(chain.newest)
    fields: dict[str, object] = {
        "federation": None if chain is None else chain.federation_id,
        "version": None if chain is None else chain.newest.version,
        "expires_at_ms": None if chain is None else chain.newest.expires_at_ms,
        "facts": facts,
    }
    if given.facts and not given.json:
        print("\n".join(facts), end="\n\n" if facts else "")
    return [Told(str(given.root), report, fields)]


def judge_chain(files: Sequence[bytes]) -> tuple[Report, RosterChain | None]:
    """Judge root files in order, from the root of trust; the chain where all of them hold."""
    titles = [TRUST, *(FOLLOWS.format(version) for version in range(2, len(files) + 1))]
    examination = Examination(titles)
    try:
        chain = RosterChain.trust(files[0])
        roster = chain.newest
        examination.passed(
            f"federation {chain.federation_id}; {roster.threshold} of {len(roster.governors)} "
            f"governors decide; {len(roster.members)} members"
        )
        for file in files[1:]:
            before, chain = chain, chain.extend(file)
            changes = describe_changes(before.newest, chain.newest)
            examination.passed("; ".join(changes) or "nothing but its signatures changed")
    except FederationError as error:
        return examination.failed(error), None
    newest = chain.newest
    words = (
        f"PROVEN: federation {chain.federation_id}, roster version {newest.version}, with "
        f"{len(newest.members)} members, decided by {newest.threshold} of {len(newest.governors)} "
        f"governors. It admits nobody after {format_time(newest.expires_at_ms)}."
    )
    if newest.is_laptop_federation:
        words += " One person alone decides: fit for trying out, not for a federation."
    return examination.concluded(words), chain
