"""A story as one self-contained page: a timeline that fetches nothing, runs nothing, and prints."""

from __future__ import annotations

from html import escape
from typing import Final

from federation import __version__
from federation.provenance.trace import format_ms
from federation.web.trace_schemas import EventAnswer, RosterChangeAnswer, TraceAnswer

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
  :root { color-scheme: light dark; --line: #8886; --quiet: #777; --confirm: #1a7f37;
    --endorse: #0a7ea4; --dispute: #9a6700; --withdraw: #c62828; --erase: #7b3fb3; --else: #777; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto;
    padding: 0 1rem; }
  h1 { font-size: 1.4rem; margin-bottom: .2rem; overflow-wrap: anywhere; }
  p.lead { margin-top: 0; color: var(--quiet); }
  .moment { border-radius: .6rem; padding: .8rem 1rem; margin: 1rem 0; color: #fff;
    background: var(--withdraw); overflow-wrap: anywhere; }
  .moment.active { background: var(--confirm); }
  .moment p { margin: .2rem 0; }
  ol { list-style: none; margin: 1.5rem 0; padding: 0 0 0 1.1rem;
    border-left: 2px solid var(--line); }
  li { position: relative; margin: 0 0 1.4rem; overflow-wrap: anywhere; }
  li::before { content: ""; position: absolute; left: calc(-1.1rem - 8px); top: .35rem; width: 14px;
    height: 14px; border-radius: 50%; background: var(--colour); border: 1px solid Canvas; }
  time { color: var(--quiet); font-size: .9rem; }
  .kind { color: var(--colour); font-weight: bold; }
  .standing { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .5rem;
    font-size: .8rem; }
  .gone { text-decoration: line-through; text-decoration-color: var(--quiet); }
  code, small { color: var(--quiet); font-size: .8rem; display: block; }
  .confirm { --colour: var(--confirm); } .endorse { --colour: var(--endorse); }
  .dispute { --colour: var(--dispute); } .withdraw { --colour: var(--withdraw); }
  .erase { --colour: var(--erase); } .roster, .else { --colour: var(--else); }
  li.then { border-top: 2px dashed var(--quiet); padding-top: .6rem; color: var(--quiet); }
  li.then::before { display: none; }
  footer { margin-top: 2rem; font-size: .85rem; color: var(--quiet); padding-top: .6rem;
    border-top: 1px solid var(--line); }
"""
_LEAD: Final = (
    "In the order of the members' own clocks, which are claims; beside each, since when others "
    "have held it, which their signatures prove."
)
_FOOT: Final = (
    "As one node holds it, told by federation {}. A page proves nothing: each statement has a "
    "bundle (<i>federation bundle ID</i>) that does."
)
_KNOWN: Final = frozenset({"confirm", "endorse", "dispute", "withdraw", "erase"})


def page_of(title: str, told: TraceAnswer, has_moment: bool) -> str:
    """The page as text.

    Args:
        title: what the story is of.
        told: the story.
        has_moment: whether a time was asked about; its place in the story is marked then.
    """
    words = "".join(f"<p>{escape(line)}</p>" for line in told.at.words)
    colour = "moment active" if told.at.was_active else "moment"
    items = [_roster(each) for each in told.roster]
    is_marked = not has_moment
    for event in told.events:
        if not is_marked and event.at_ms > told.at.at_ms:
            items.append(_then(told.at.at_ms))
            is_marked = True
        items.append(_event(event))
    if not is_marked:
        items.append(_then(told.at.at_ms))
    return "\n".join(
        (
            "<!doctype html>\n<html lang=en><meta charset=utf-8>",
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">',
            f"<title>The story of {escape(title)}</title><style>{_STYLE}</style>",
            f"<h1>The story of {escape(title)}</h1>",
            f"<p class=lead>{_LEAD}</p>",
            f"<div class='{colour}'>{words}</div>",
            f"<ol>{''.join(items)}</ol>",
            f"<footer>{_FOOT.format(escape(__version__))}</footer></html>\n",
        )
    )


def _event(event: EventAnswer) -> str:
    kind = event.kind if event.kind in _KNOWN else "else"
    standing = f" <span class=standing>{escape(event.standing)}</span>" if event.standing else ""
    about = "".join(f"<code>about {escape(each)}</code>" for each in event.about)
    held = ", ".join(
        f"{escape(each.member)} since {escape(format_ms(each.since_seconds * 1_000))}"
        for each in event.held_by
    )
    held = f"<small>held by {held}</small>" if held else ""
    words = escape(event.words)
    return (
        f"<li class={kind}><time>{escape(format_ms(event.at_ms))}</time><br>"
        f"<span class=kind>{escape(event.kind)}</span> <b>{escape(event.member)}</b>{standing}<br>"
        f"{words}<code>{escape(event.id)}</code>{about}{held}</li>"
    )


def _roster(change: RosterChangeAnswer) -> str:
    lines = "".join(f"<code>{escape(line)}</code>" for line in change.changes)
    return f"<li class=roster><span class=kind>roster version {change.version}</span>{lines}</li>"


def _then(at_ms: int) -> str:
    return f"<li class=then>asked about: {escape(format_ms(at_ms))}</li>"
