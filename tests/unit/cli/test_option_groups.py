"""Options written down once stand at each command that takes them, as if they were its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

from federation.cli.answers import Answer
from federation.cli.option_groups import Terms, grouped


@dataclass(frozen=True)
class Colour:
    """A further group."""

    colour: Annotated[str, typer.Option("--colour", help="Which.")] = "red"


def test_a_command_gets_its_own_arguments_and_each_group_as_one_value() -> None:
    seen: list[Any] = []

    @grouped
    def paint(
        what: Annotated[str, typer.Argument(metavar="WHAT")],
        often: Annotated[int, typer.Option("--often")] = 1,
        *,
        colour: Colour,
        terms: Terms,
    ) -> Answer:
        """Paint something."""
        seen.append((what, often, colour, terms))
        return Answer({})

    app = typer.Typer()
    app.command()(paint)
    for given in (["door"], ["--out", "x", "wall", "--often", "2", "--colour", "blue", "--json"]):
        assert 0 == CliRunner().invoke(app, given).exit_code
    assert [
        ("door", 1, Colour(), Terms()),
        ("wall", 2, Colour("blue"), Terms(out=Path("x"), json=True)),
    ] == seen
    told = CliRunner().invoke(app, ["--help"]).output
    assert "Paint something." in told
    assert 2 == CliRunner().invoke(app, ["--often", "2"]).exit_code, "WHAT is missing"
