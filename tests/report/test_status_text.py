"""Status and log as people read them; whatever text is in them is shown and never obeyed as markup."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from causeway.report import status_text

GOLDEN = Path(__file__).parent / "golden" / "status.txt"
FACTS: dict[str, Any] = {
    "stack": "prod",
    "config": "medium/CacheManager/50",
    "applied": "medium/CacheManager/50",
    "served": "medium/CacheManager/50 (hold CacheManager)",
    "override": "level 1: errors [bold]above[/bold] 5 %",
    "weights": {"CVAnalyzer": 100, "CacheManager": 0, "ActionOrchestrator": 3},
    "judged": "the verdict was ROLL_BACK",
    "next": "medium/CacheManager/75",
    "lease": {"holder": "anna@desk:1", "fence": 7, "alive": True},
    "watched": False,
    "maintenance": None,
    "frozen": None,
    "disarmed": None,
    "certificate": "safe",
    "accepted": ["A@package -> B@legacy (call): accepted unknown: low [traffic] (until 2026-02-01)"] * 6,
}
RECORDS = [
    {
        "seq": 2,
        "at": datetime.datetime(2026, 1, 1, 12, 0, 5, tzinfo=datetime.UTC),
        "direction": "hold",
        "to": "medium/CacheManager/50 (hold CacheManager)",
        "state": "done",
        "verdict": None,
        "who": "anna@desk:1",
        "why": "errors [red]",
    },
    {
        "seq": 1,
        "at": None,
        "direction": "forward",
        "to": "infrastructure",
        "state": "failed",
        "verdict": "HOLD",
        "who": "anna@desk:1",
        "why": "",
    },
]


def printed(what: RenderableType) -> str:
    console = Console(width=130, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def both() -> str:
    return printed(status_text.status(FACTS)) + "\n" + printed(status_text.log(RECORDS))


def test_status_and_log() -> None:
    """Golden: `python -m tests.report.test_status_text > tests/report/golden/status.txt` writes it again."""
    assert both() == GOLDEN.read_text(encoding="utf-8")


def test_a_fresh_stack_is_legacy_and_nobody_moves_it() -> None:
    fresh = dict.fromkeys(FACTS) | {
        "stack": "prod",
        "config": "infrastructure",
        "weights": {},
        "lease": {"holder": None, "fence": 0, "alive": False},
        "watched": True,
        "certificate": "unknown",
    }
    text = printed(status_text.status(fresh))
    assert "nothing yet" in text and "nobody" in text and "legacy" in text
    assert "override" not in text and "frozen" not in text


@pytest.mark.parametrize(("weight", "filled"), [(0, 0), (3, 1), (10, 2), (50, 10), (99, 19), (100, 20)])
def test_a_bar_is_empty_only_at_0_and_full_only_at_100(weight: int, filled: int) -> None:
    assert status_text.bar(weight).plain == "█" * filled + "░" * (20 - filled)


if __name__ == "__main__":
    print(both(), end="")
