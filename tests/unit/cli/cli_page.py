"""docs/reference/cli.md, written from the commands themselves: ``make docs``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from federation.cli.exits import INTERRUPTED, ExitCode
from federation.cli.operator import PROGRAM, app
from tests.architecture.sources import TREE

PAGE = Path("docs/reference/cli.md")

INTRODUCTION = """\
# The operator's program

Written by `make docs` from the commands of `federation`; a test holds the two together. The
auditor's program is `federation-verify`; `federation-verify --help` tells of it.

The answer is on stdout and all talk on stderr. With `--json` the answer is one JSON object, and an
error is one too: `{"error": {"code", "message", "hint"}}`, with the codes of [errors](errors.md).

"""

MEANINGS = {
    ExitCode.YES: "done; for a question, yes (`match`: something in force matches, block it)",
    ExitCode.NO: "no: nothing matches, no such thing, not proven, not allowed",
    ExitCode.MISUSE: "misuse: wrong arguments, malformed input, a config to put right",
    ExitCode.UNKNOWN: "could not tell: the node does not answer, the store fails, or a bug",
}

GOVERNANCE = """
## Governing, step by step

Governors need no network: they hand one file around. Each has a folder that holds the chain so far
(`1.root.json`, `2.root.json`, …), which is where `--roster` points.

```
federation roster governor governor.key                   # each governor; prints a public key
federation roster propose found acme/join-request.json nova/join-request.json \\
    --governor KEY --governor KEY --governor KEY          # 2 of 3 decide
federation roster show 1.root.proposal.json               # what is about to be signed
federation roster sign 1.root.proposal.json --key governor.key
federation roster publish 1.root.proposal.json --to chain --config acme/node.toml

federation roster propose add umbra/join-request.json --roster chain
federation roster show 2.root.proposal.json --roster chain
federation roster sign 2.root.proposal.json --key governor.key --roster chain
federation roster publish 2.root.proposal.json --to chain --config acme/node.toml
```

A new member needs `1.root.json` at its `root_file` and nothing else: its node asks its peers for
the versions since.
"""


def render() -> str:
    """The page as it should be."""
    program: Any = typer.main.get_command(app)
    codes = "".join(f"| {code.value} | {MEANINGS[code]} |\n" for code in ExitCode)
    codes += f"| {INTERRUPTED} | interrupted by Ctrl-C |\n"
    parts = [INTRODUCTION, "| exit code | meaning |\n|---|---|\n", codes]
    for words, command in _commands(program, (PROGRAM,)):
        parts += _describe(words, command)
    return "".join([*parts, GOVERNANCE])


def _commands(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield (*words, name), command


def _describe(words: tuple[str, ...], command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    chosen = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([*words, *map(_place, arguments), "[OPTIONS]"])
    yield f"\n## `{' '.join(words)}`\n\n    {usage}\n\n{inspect.cleandoc(command.help)}\n\n"
    if arguments or chosen:
        yield "| argument | meaning | default |\n|---|---|---|\n"
    for each in arguments:
        yield f"| `{each.metavar}` | {_cell(each.help)} |  |\n"
    for each in chosen:
        name = ", ".join(f"`{name}`" for name in each.opts)
        name += "" if each.is_flag else f" {each.metavar}"
        meaning = _cell(each.help) + (f" Environment: `{each.envvar}`." if each.envvar else "")
        yield f"| {name} | {meaning} | {_default(each)} |\n"


def _place(argument: Any) -> str:
    name = f"{argument.metavar}..." if argument.nargs == -1 else str(argument.metavar)
    return name if argument.required else f"[{name}]"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    return "" if option.is_flag or option.default is None else f"`{option.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write(root: Path) -> None:
    """Write the page below root."""
    (root / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (root / PAGE).write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    write(TREE)
