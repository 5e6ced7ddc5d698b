"""The plan as people read it, and that its rows are the plan."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from causeway.config import PLAN, from_file
from causeway.report import plan_text

LOCAL = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"
GOLDEN = Path(__file__).parent / "golden" / "plan.txt"


def printed(path: Path = LOCAL) -> str:
    console = Console(width=110, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(plan_text.render(from_file(path, needs=PLAN)))
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


def test_a_hold_shows_with_its_closure(tmp_path: Path) -> None:
    """Prevents: a breaker is open, and the plan shows the traffic that it would have sent."""
    path = tmp_path / "hold.yaml"
    path.write_text(
        "config:\n"
        "  causeway:position: one/B/100\n"
        "  causeway:hold: [A]\n"
        "  causeway:ladder: [50, 100]\n"
        "  causeway:phases: [{name: one, services: [A, B]}]\n"
        "  causeway:matrix:\n"
        "    services: {A: {strategy: direct}, B: {strategy: direct}}\n"
        "    interactions:\n"
        "      - {consumer: B, provider: A, "
        "evidence: {legacy->package: {verified: x}, package->package: {verified: x}}}\n"
    )
    config = from_file(path, needs=PLAN)
    assert plan_text.held(config) == {"A": 0, "B": 0}
    for changes_only in (True, False):
        running: dict[str, int] = {}
        for row in plan_text.rows(config, changes_only=changes_only):
            running |= row["weights"]
        assert running == {"A": 0, "B": 0}
    text = printed(path)
    assert "B to 100 %, held at 0 %" in text
    assert "hold A: as long as it stands, at most A at 0 %, B at 0 %" in text


if __name__ == "__main__":
    print(printed(), end="")
