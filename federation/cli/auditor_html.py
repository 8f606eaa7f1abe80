"""A verdict as one self-contained page: nothing is fetched, nothing runs, and it prints.

It draws what was found and decides nothing: the judgement is over when this room is entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from federation import __version__
from federation.cli.auditor_telling import NOT_AT_HAND, PROGRAM, Told, conclusion_of
from federation.errors import RequestMalformed
from federation.provenance.report import Outcome, Step

_MARKS: Final = dict(zip(Outcome, "✓✗–·", strict=True))  # noqa: RUF001

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
  :root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #c62828; --quiet: #777;
    --open: #9a6700; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto;
    padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: .2rem; }
  h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere; }
  p.lead { margin-top: 0; color: var(--quiet); }
  .verdict { border-radius: .6rem; padding: .8rem 1rem; margin: 1rem 0; color: #fff;
    overflow-wrap: anywhere; }
  .good { background: var(--good); }
  .bad { background: var(--bad); }
  .open { background: var(--open); }
  table { border-collapse: collapse; width: 100%; }
  td { border-top: 1px solid var(--line); padding: .45rem .6rem; vertical-align: top;
    overflow-wrap: anywhere; }
  td:first-child { width: 2.2rem; text-align: right; color: var(--quiet); }
  td:nth-child(2) { width: 1.5rem; font-weight: bold; }
  tr.passed td:nth-child(2) { color: var(--good); }
  tr.failed td:nth-child(2), tr.failed small { color: var(--bad); }
  tr.not-reached, tr.not-asked { color: var(--quiet); }
  td small { display: block; color: var(--quiet); }
  footer { margin-top: 2rem; font-size: .85rem; color: var(--quiet); padding-top: .6rem;
    border-top: 1px solid var(--line); }
"""


def write_page(path: Path, command: str, judged: Sequence[Told]) -> None:
    """Write the page.

    Raises:
        RequestMalformed: the file cannot be written.
    """
    try:
        path.write_text(page_of(command, judged), encoding="utf-8", errors="replace")
    except OSError as error:
        raise RequestMalformed(f"cannot write {path}: {error.strerror}") from None


def page_of(command: str, judged: Sequence[Told]) -> str:
    """The page as text."""
    title = f"{PROGRAM} {command}"
    parts = [
        "<!doctype html>\n<html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        f"<p class=lead>Judged offline by {PROGRAM} {escape(__version__)}.</p>",
    ]
    for each in judged:
        parts.append(f"<h2>{escape(each.heading)}</h2>")
        words = escape(conclusion_of(each.report))
        parts.append(f"<div class='verdict {_colour(each)}'>{words}</div>")
        parts.append(f"<table>{''.join(map(_row, each.report.steps))}</table>")
    parts.append(
        "<footer>A page proves nothing: whoever made it could have written anything. Run the"
        " program on the same files to see for yourself.</footer></html>"
    )
    return "\n".join(parts) + "\n"


def _colour(judged: Told) -> str:
    failed = judged.report.failed_step
    if failed is None:
        return "good"
    return "open" if failed.code and failed.code.endswith(NOT_AT_HAND) else "bad"


def _row(step: Step) -> str:
    code = f" ({step.code})" if step.code else ""
    told = f"<small>{escape(step.detail + code)}</small>" if step.detail or code else ""
    told += f"<small>hint: {escape(step.hint)}</small>" if step.hint else ""
    return (
        f"<tr class={step.outcome}><td>{step.number}<td>{_MARKS[step.outcome]}"
        f"<td>{escape(step.title)}{told}"
    )
