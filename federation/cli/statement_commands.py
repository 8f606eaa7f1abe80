# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about content and statements, from publish to bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath, Exact, Signals
from federation.protocol.limits import MEMBERS_MAX

CONFIG: Final = Path("node.toml")

Files: TypeAlias = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="FILE",
        help="Any: pictures, videos, PDFs, texts; hashed here, by confined processes.",
    ),
]

OwnIds: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="ID", help="Statements of this member: st_….")
]

OthersIds: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="ID", help="Statements of other members: st_….")
]

Expires: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--expires", metavar="WHEN", help="No longer to be acted on: 90d, 12h or a date (UTC)."
    ),
]

IncidentOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--incident", metavar="ID", help="The incident it belongs to; crisis lane while open."
    ),
]


def publish(
    files: Files = None,
    signals: Signals = None,
    quality: Annotated[
        int | None,
        typer.Option(
            "--quality", metavar="N", min=0, max=100, help="PDQ quality of the --signal given."
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL", help="What it is: tvec0 … tvec8, content:…."),
    ] = None,
    lane: Annotated[
        str, typer.Option("--lane", metavar="LANE", help="crisis, live or bulk.")
    ] = "live",
    item: Annotated[
        str | None,
        typer.Option(
            "--item", metavar="NAME", help="Your own name for it; other members see it, so opaque."
        ),
    ] = None,
    source: Annotated[
        Literal["user-report", "proactive", "partner", "referral"],
        typer.Option(
            "--source",
            metavar="HOW",
            help="How it came up: user-report, proactive, partner or referral.",
        ),
    ] = "proactive",
    automated: Annotated[
        bool, typer.Option("--automated", help="A process confirmed it, no person.")
    ] = False,
    educational: Annotated[
        bool, typer.Option("--educational", help="In an educational or news context.")
    ] = False,
    incident: IncidentOption = None,
    expires: Expires = None,
    exact: Exact = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Confirm content as violating, and tell the federation.

    Each FILE is one content. All --signal given together are one content as well. When one of them
    is refused, nothing is published.
    """
    from federation.cli import publishing

    particulars = publishing.Particulars(
        lane, tuple(labels or ()), item, source, automated, educational, expires, incident
    )
    return publishing.publish(
        config, files or [], signals or [], quality, particulars, is_exact=exact
    )


def withdraw(
    ids: OwnIds,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="CODE", help="Such as appeal-upheld, benign, wrong-label."
        ),
    ] = "mistake",
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Take back statements of this member, everywhere."""
    from federation.cli.saying import Saying, say_about

    return say_about(config, Saying.WITHDRAW, ids, reason)


def endorse(
    ids: OthersIds,
    reason: Annotated[
        str, typer.Option("--reason", metavar="CODE", help="A code of your own, or agrees.")
    ] = "agrees",
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Say that somebody here looked at other members' statements, and agrees."""
    from federation.cli.saying import Saying, say_about

    return say_about(config, Saying.ENDORSE, ids, reason)


def dispute(
    ids: OthersIds,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="CODE", help="Such as benign, wrong-label, collision."),
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Say that somebody here looked at other members' statements, and disagrees."""
    from federation.cli.saying import Saying, say_about

    return say_about(config, Saying.DISPUTE, ids, reason)


def erase(
    ids: OwnIds,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", metavar="CODE", help="Such as data-protection, court-order, mistake."
        ),
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Take statements of this member back, and have what they say removed everywhere.

    This cannot be undone. That they were made, by whom and when they were erased stays provable;
    what they said is gone at every honest member.
    """
    from federation.cli.saying import Saying, say_about

    return say_about(config, Saying.ERASE, ids, reason)


def match(
    files: Files = None,
    signals: Signals = None,
    distance_max: Annotated[
        int | None,
        typer.Option(
            "--distance-max",
            metavar="N",
            min=0,
            max=31,
            help="Largest PDQ distance that counts; by default the node's setting.",
        ),
    ] = None,
    exact: Exact = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Ask what to do about content: what this node's policy says, and why.

    Exit code 0: there is something to do (block, review, …). Exit code 1: no, allow it. Each FILE
    and each --signal is one content; the exit code is 0 when any of them is not to be allowed.
    """
    from federation.cli.looking_up import match as look_up

    return look_up(config, files or [], signals or [], distance_max, is_exact=exact)


def receipts(
    statement: Annotated[str, typer.Argument(metavar="ID", help="A statement: st_….")],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show who provably holds a statement, and since when.

    Each line is a member whose mirror signed a head over the statement. Exit code 1: nobody yet.
    """
    from federation.cli.holdings import receipts as ask

    return ask(config, statement)


def bundle(
    statement: Annotated[str, typer.Argument(metavar="ID", help="A statement: st_….")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there instead of to stdout."),
    ] = None,
    roster_by_hash: Annotated[
        bool,
        typer.Option(
            "--roster-by-hash", help="Name the roster by its hash; the auditor has the chain."
        ),
    ] = False,
    in_force: Annotated[
        int,
        typer.Option(
            "--in-force",
            metavar="K",
            min=0,
            max=MEMBERS_MAX,
            help="Ask the other members now; K of them must attest that it is in force.",
        ),
    ] = 0,
    mldsa44: Annotated[
        bool,
        typer.Option("--mldsa44", help="Ask for post-quantum lines too, for --quorum K+mldsa44."),
    ] = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Get the bundle that proves a statement to an auditor, offline.

    It shows that it was STATED, and with --in-force also that it is IN FORCE, by other members'
    signed word. Without --out the bundle itself, which is JSON, goes to stdout.
    """
    from federation.cli.publishing import bundle as fetch

    return fetch(config, statement, out, in_force, by_hash=roster_by_hash, second_lines=mldsa44)


def import_(
    path: Annotated[str, typer.Argument(metavar="FILE", help="The list; - for standard input.")],
    list_format: Annotated[
        Literal["csv", "jsonl", "threatexchange"] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, jsonl or threatexchange; by default told from the first line.",
        ),
    ] = None,
    signal_type: Annotated[
        str | None,
        typer.Option(
            "--signal-type", metavar="TYPE", help="Of threatexchange lines that name none."
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL", help="Of lines that have no labels."),
    ] = None,
    source: Annotated[
        Literal["user-report", "proactive", "partner", "referral"],
        typer.Option("--source", metavar="HOW", help="Of lines that do not say how it came up."),
    ] = "partner",
    automated: Annotated[
        bool, typer.Option("--automated", help="A process confirmed it, no person.")
    ] = False,
    lane: Annotated[
        str, typer.Option("--lane", metavar="LANE", help="crisis, live or bulk.")
    ] = "bulk",
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Publish a list of signals: CSV, JSON lines, or python-threatexchange's local file.

    Each line is one content. Lines that are refused are told with their numbers, and the others are
    published. Run again, it goes on where it stopped: what this member has published is left alone.
    """
    from federation.cli.importing import Defaults, import_list

    defaults = Defaults(tuple(labels or ()), source, automated)
    return import_list(config, path, list_format, signal_type, lane, defaults)


def trace(
    subject: Annotated[
        str, typer.Argument(metavar="SIGNAL|ID", help="pdq:HEX, sha256:HEX, url:…, or st_….")
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="What stood then: a date or time, in UTC."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as one page as well."),
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Tell the whole story of a signal or statement across members, and what stood at a time.

    Was it active, on whose word, under which labels, and what changed since? Exit code 1: it was
    not active at that time; without --at, it is not now.
    """
    from federation.cli.tracing import trace as tell

    return tell(config, subject, at, html)


def convict(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A bundle with attestations, or one of them.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there instead of to stdout."),
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Make the file that convicts a member who attested what it knew to be untrue.

    Each attestation is held against what this node holds under the heads that it names. Exit code
    1: nothing here contradicts any of them.
    """
    from federation.cli.convicting import convict as make

    return make(config, file, out)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the program."""
    for command in (
        publish,
        withdraw,
        endorse,
        dispute,
        erase,
        match,
        receipts,
        bundle,
        trace,
        convict,
    ):
        app.command()(command)
    app.command("import")(import_)
