"""The plan as rows and as a table: every position with what changes there."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from causeway.config import Config
from causeway.model.plan import Position


def rows(config: Config, *, changes_only: bool = False) -> list[dict[str, Any]]:
    """For `--json`: name, phase, weights in percent (all of them, or those that change) and actions."""
    plan = config.plan
    running = dict.fromkeys(config.matrix.services, 0)
    found = []
    for position in plan:
        running.update(position.changes)
        weights = dict(position.changes) if changes_only else dict(running)
        found.append(
            {
                "name": position.name,
                "phase": position.phase,
                "services": list(position.services),
                "weights": weights,
                "actions": list(position.actions),
            }
        )
    return found


def render(config: Config) -> Table:
    """A table for the terminal; the config's own position is marked, if the plan has it."""
    plan = config.plan
    here = plan[config.position].index if config.position in plan else -1
    title = None if here >= 0 else f"causeway:position is {config.position}, which this plan does not have"
    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for heading in ("", "position", "what happens"):
        table.add_column(heading)
    for position in plan:
        mark = "▶" if position.index == here else "✓" if position.index < here else ""
        style = "bold" if position.index == here else "dim" if position.index < here else ""
        table.add_row(mark, Text(position.name), Text(_what(config, position)), style=style)
    return table


def _what(config: Config, position: Position) -> str:
    if position.shifts:
        return ", ".join(f"{name} to {weight} %" for name, weight in position.changes.items())
    acts = {action.name: action.does for _, action in config.plan.performs(position)}
    return "; ".join(acts.values()) or "backups, schedules, alerts, flag set; no traffic moves"
