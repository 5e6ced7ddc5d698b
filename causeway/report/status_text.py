"""Status and journal for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

_BAR = 20
#: How many accepted unknowns are named; `--json` and `causeway check` have them all.
_ACCEPTED = 5


def status(facts: Mapping[str, Any]) -> RenderableType:
    """One screen: place, weights as bars, and what is in the way."""
    head = Table.grid(padding=(0, 2))
    rows = [
        ("stack", facts["stack"]),
        ("applied", facts["applied"] or "nothing yet"),
        ("config", facts["config"]),
        ("served", facts["served"] or "legacy"),
        ("judged", facts["judged"] or "–"),
        ("next", facts["next"] or "–"),
        ("certificate", facts["certificate"]),
        ("moved by", _lease(facts["lease"])),
        ("watched", "yes" if facts["watched"] else "no: applications fall back to legacy for services in progress"),
    ]
    rows += [("accepted", text) for text in _first(facts["accepted"] or ())]
    rows += [(name, facts[name]) for name in ("override", "maintenance", "frozen", "disarmed") if facts[name]]
    for name, value in rows:
        head.add_row(Text(name, style="dim"), Text(str(value)))
    weights = Table.grid(padding=(0, 2))
    for name, weight in facts["weights"].items():
        weights.add_row(Text(name), bar(weight), Text(f"{weight} %", justify="right"))
    return Group(head, Text(), weights)


def _first(texts: Sequence[str]) -> Iterator[str]:
    yield from texts[:_ACCEPTED]
    if len(texts) > _ACCEPTED:
        yield f"and {len(texts) - _ACCEPTED} more unknowns, in --json"


def bar(weight: int) -> Text:
    """A weight as a bar: package in front, legacy behind; full at 100 alone, and empty at 0 alone."""
    filled = max(weight * _BAR // 100, weight > 0)
    return Text("█" * filled, style="green") + Text("░" * (_BAR - filled), style="dim")


def log(records: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One line a move."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("seq", "when", "move", "to", "state", "verdict", "who", "why"):
        table.add_column(heading, no_wrap=heading in ("seq", "when", "move"))
    for record in records:
        when = f"{record['at']:%Y-%m-%d %H:%M:%S}" if record["at"] else ""
        texts = (
            record["direction"],
            record["to"],
            record["state"],
            record["verdict"] or "",
            record["who"],
            record["why"],
        )
        table.add_row(str(record["seq"]), when, *(Text(text) for text in texts))
    return table


def _lease(lease: Mapping[str, Any]) -> str:
    if not lease["holder"]:
        return "nobody"
    return f"{lease['holder']} ({'alive' if lease['alive'] else 'silent'}, fencing number {lease['fence']})"
