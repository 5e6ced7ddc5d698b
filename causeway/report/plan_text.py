"""The plan as rows and as a table: every position with what changes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from causeway.config import Config
from causeway.model.bulk import bulk
from causeway.model.plan import Position


@bulk()
def rows(config: Config, *, changes_only: bool = False) -> list[dict[str, Any]]:
    """For `--json`: name, phase, weights in percent (all of them, or those that change) and actions.

    Weights are what they would be as long as the config's hold stands.
    """
    plan, caps = config.plan, held(config)
    running = dict.fromkeys(config.matrix.services, 0)
    found = []
    for position in plan:
        weights = {name: min(weight, caps.get(name, 100)) for name, weight in position.changes.items()}
        if not changes_only:
            running.update(weights)
            weights = dict(running)
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


def held(config: Config) -> Mapping[str, int]:
    """The cap of every service that is held, closures included."""
    return config.hold.effective(config.matrix)


def render(config: Config) -> Table:
    """A table for the terminal; the config's own position is marked, if the plan has it."""
    plan = config.plan
    caps = held(config)
    here = plan[config.position].index if config.position in plan else -1
    title = None if here >= 0 else f"causeway:position is {config.position}, which this plan does not have"
    table = Table(
        title=title, caption=_hold(config, caps), caption_justify="left", box=None, header_style="bold", pad_edge=False
    )
    for heading in ("", "position", "what happens"):
        table.add_column(heading)
    for position in plan:
        mark = "▶" if position.index == here else "✓" if position.index < here else ""
        style = "bold" if position.index == here else "dim" if position.index < here else ""
        table.add_row(mark, Text(position.name), Text(_what(config, position, caps)), style=style)
    return table


def _hold(config: Config, caps: Mapping[str, int]) -> Text | None:
    """What the config's hold comes to."""
    if not caps:
        return None
    together = ", ".join(f"{name} at {cap} %" for name, cap in sorted(caps.items()))
    return Text(f"hold {config.hold}: as long as it stands, at most {together}")


def _what(config: Config, position: Position, caps: Mapping[str, int]) -> str:
    if position.shifts:
        return ", ".join(_shift(name, weight, caps) for name, weight in position.changes.items())
    acts = {action.name: action.does for _, action in config.plan.performs(position)}
    return "; ".join(acts.values()) or "backups, schedules, alerts, flag set; no traffic moves"


def _shift(service: str, weight: int, caps: Mapping[str, int]) -> str:
    cap = caps.get(service, 100)
    return f"{service} to {weight} %" if weight <= cap else f"{service} to {weight} %, held at {cap} %"
