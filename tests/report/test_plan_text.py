"""The plan as people read it, and that its rows are the plan."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from causeway.config import from_file
from causeway.report import plan_text

LOCAL = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"
GOLDEN = Path(__file__).parent / "golden" / "plan.txt"


def printed() -> str:
    console = Console(width=110, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(plan_text.render(from_file(LOCAL)))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def test_the_table() -> None:
    """Golden: `python -m tests.report.test_plan_text > tests/report/golden/plan.txt` writes it again."""
    assert printed() == GOLDEN.read_text(encoding="utf-8")


def test_the_config_s_own_position_is_marked_once() -> None:
    lines = printed().splitlines()
    (here,) = [line for line in lines if line.startswith("▶")]
    assert from_file(LOCAL).position in here


def test_rows_are_the_plan_as_tables_and_as_changes() -> None:
    config = from_file(LOCAL)
    for table, change in zip(plan_text.rows(config), plan_text.rows(config, changes_only=True), strict=True):
        position = config.plan[table["name"]]
        assert table["weights"] == config.plan.at(position.name).weights
        assert change["weights"] == position.changes
        assert {**table, "weights": None} == {**change, "weights": None}


if __name__ == "__main__":
    print(printed(), end="")
