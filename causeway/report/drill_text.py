"""A drill's times as a table."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.rollout.drill import Rehearsal


def render(found: Sequence[Rehearsal]) -> str:
    """One line a level; times in seconds from the trigger."""
    rows = [("level", "from", "to", "traffic moved", "settled", "requests lost")]
    rows += [
        (
            str(each.level),
            each.start,
            each.end,
            f"{each.traffic_moved_s:.2f} s",
            f"{each.settled_s:.1f} s",
            str(each.requests_lost),
        )
        for each in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
