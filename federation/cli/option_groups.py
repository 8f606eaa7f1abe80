"""Options that several commands take together, written down once as the fields of a dataclass."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, get_type_hints

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ExpiresDays

EXPIRES_DAYS: Final = 90
"""A quarter: governors meet as often."""

ProposalOut: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="The proposal; by default N.root.proposal.json here."
    ),
]


@dataclass(frozen=True)
class Terms:
    """How a proposal is made, whatever it proposes.

    Attributes:
        expires_days: how long the version may admit and govern.
        out: where it is written.
        json: read by whoever shows the answer.
    """

    expires_days: ExpiresDays = EXPIRES_DAYS
    out: ProposalOut = None
    json: AsJson = False


def grouped(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """A command whose parameters that are dataclasses became the options that these hold.

    Args:
        command: annotated as typer wants it, but for parameters whose type is a dataclass of
            annotated options, each with a default.
    """
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters
    groups: dict[str, Any] = {name: hints[name] for name in own if is_dataclass(hints[name])}
    parameters: list[inspect.Parameter] = []
    for name, parameter in own.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(kind=kind, annotation=hints[name]))

    @functools.wraps(command)
    def called(**given: Any) -> Answer:
        made = {
            name: group(**{each.name: given.pop(each.name) for each in fields(group)})
            for name, group in groups.items()
        }
        return command(**given, **made)

    # What typer reads.
    called.__signature__ = inspect.Signature(parameters, return_annotation=Answer)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]
