# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands by which the platform decides: policy, quarantine, and what it found itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")

uploads_app = typer.Typer(
    no_args_is_help=True, help="What is remembered of recent uploads, to be found later."
)

PolicyFile: TypeAlias = Annotated[
    Path, typer.Argument(metavar="FILE", help="A policy, as docs/guides/writing_a_policy.md says.")
]
Known: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="SIGNAL|ID",
        help="Known signals as a match shows them, type:value, or statements behind them: st_….",
    ),
]

policy_app = typer.Typer(
    no_args_is_help=True, help="This platform's own policy: what is done about a match."
)
quarantine_app = typer.Typer(
    no_args_is_help=True, help="Signals that go to review until a person decides."
)


@policy_app.command()
def check(file: PolicyFile, config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Say whether a policy means something; if not, what is wrong in which line.

    Asks the running node, which knows the federation's members. Without one everything else is
    checked, and that is said.
    """
    from federation.cli import policing

    return policing.check(config, file)


@policy_app.command("test")
def try_out(file: PolicyFile, config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show what a policy would change over stored signals and recent matches.

    Nothing is taken on. Exit code 1: it would change something.
    """
    from federation.cli import policing

    return policing.try_out(config, file)


@policy_app.command()
def reload(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Have the node read its policy and benign set again; SIGHUP does the same.

    What is refused leaves the old one in force.
    """
    from federation.cli import policing

    return policing.reload(config)


@policy_app.command()
def show(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show the policy in force."""
    from federation.cli import policing

    return policing.show(config)


@quarantine_app.command("list")
def list_held(
    everything: Annotated[bool, typer.Option("--all", help="Those decided about as well.")] = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show what waits for a person. Exit code 1: nothing does."""
    from federation.cli import holding

    return holding.list_held(config, everything=everything)


@quarantine_app.command()
def release(signals: Known, config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Let signals act again; no guard holds them back for the same once more."""
    from federation.cli import holding

    return holding.decide(config, "release", signals)


@quarantine_app.command("except")
def except_signals(signals: Known, config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Never act on these signals here, whatever anybody says of them."""
    from federation.cli import holding

    return holding.decide(config, "except", signals)


@uploads_app.command("status")
def uploads_status(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show how much is remembered of recent uploads."""
    from federation.cli import holding

    return holding.uploads(config)


@uploads_app.command("forget")
def forget_uploads(
    references: Annotated[
        list[str] | None, typer.Argument(metavar="REFERENCE", help="Your own names for uploads.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option("--older-than", metavar="HOURS", min=0.0, help="All that are older."),
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Erase remembered uploads, by reference or by age; what stood there is overwritten."""
    from federation.cli import holding

    return holding.forget(config, references or [], hours)


def confirm_match(
    signals: Known,
    reason: Annotated[
        str, typer.Option("--reason", metavar="CODE", help="A code of your own, or agrees.")
    ] = "agrees",
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Keep that somebody here looked at a match and it was right.

    It counts as this member's own word for the policy, and endorses the statements behind the
    signal where the policy says so.
    """
    from federation.cli import holding

    return holding.find(config, "confirmed", signals, reason)


def reject_match(
    signals: Known,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="CODE", help="Such as benign, collision, wrong-label."),
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Keep that somebody here looked at a match and it was wrong.

    From now on the signal goes to review here, and the statements behind it are disputed where the
    policy says so. To never act on it again: federation quarantine except.
    """
    from federation.cli import holding

    return holding.find(config, "rejected", signals, reason)


def verdict(
    signals: Annotated[
        list[str], typer.Argument(metavar="SIGNAL", help="Known signals: type:value.")
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show what the federation says of signals, with every member's statement behind it.

    Exit code 1: nobody says anything of any of them that stands.
    """
    from federation.cli import holding

    return holding.verdict(config, signals)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the program."""
    app.add_typer(policy_app, name="policy")
    app.add_typer(quarantine_app, name="quarantine")
    app.add_typer(uploads_app, name="uploads")
    app.command("confirm-match")(confirm_match)
    app.command("reject-match")(reject_match)
    app.command()(verdict)
