"""Where the commands of ``federation-verify`` stand that judge more than one bundle."""

from __future__ import annotations

from federation.cli.auditor_telling import Command


def room_of(name: str) -> Command:
    """The command of that name: its room, and no other, is entered."""
    match name:
        case "log":
            from federation.cli.auditor_log import command
        case "compare":
            from federation.cli.auditor_compare import command
        case "roster":
            from federation.cli.auditor_roster import command
        case "evidence":
            from federation.cli.auditor_evidence import command
        case "conviction":
            from federation.cli.auditor_conviction import command
        case _:
            from federation.cli.auditor_monitor import command
    return command
