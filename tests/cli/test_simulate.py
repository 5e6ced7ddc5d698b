"""`causeway simulate`, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from causeway.cli import main
from causeway.cli.plan import check
from causeway.cli.simulate import simulate

STACK = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"


def facts(*arguments: str) -> dict[str, float | None]:
    result = CliRunner().invoke(simulate, [*arguments, "--runs", "200", "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document: dict[str, float | None] = json.loads(result.stdout)
    return document


def test_json_is_one_document_with_three_figures() -> None:
    found = facts("--error-rate", "0.2", "--requests", "10", "--windows", "60")
    assert list(found) == ["rolled_back", "advanced", "median_windows"]
    assert found["rolled_back"] == 1.0
    assert found["median_windows"] is not None and found["median_windows"] <= 6


def test_the_same_seed_says_the_same() -> None:
    arguments = ("--error-rate", "0.07", "--requests", "20", "--windows", "50", "--seed", "5")
    assert facts(*arguments) == facts(*arguments)


def test_a_change_is_counted_from_its_window() -> None:
    arguments = ("--error-rate", "0.01", "--then", "0.5", "--change-at", "30", "--windows", "60")
    assert facts(*arguments) == {"rolled_back": 1.0, "advanced": 1.0, "median_windows": 1.0}


def test_without_a_fault_there_is_no_detection() -> None:
    found = facts("--error-rate", "0.01", "--windows", "60")
    assert (found["rolled_back"], found["median_windows"]) == (0.0, None)


def test_thresholds_come_from_the_stack() -> None:
    arguments = ("--error-rate", "0.2", "--windows", "40", "--service", "CVAnalyzer", "--config", str(STACK))
    assert facts(*arguments)["rolled_back"] == 1.0


PLAN = """\
config:
  causeway:phases: [{name: low, services: [A]}]
  causeway:matrix: {services: {A: {strategy: direct}}}
  causeway:guardrails:
    error_rate: {warn: 0.02, roll_back: 0.05}
    response_time: {quantile: 0.95, warn: 2.0, roll_back: 3.0}
    throughput: {warn: 0.8, roll_back: 0.6}
    availability: {warn: 0.999, roll_back: 0.99}
"""


def test_a_file_with_matrix_and_guardrails_is_enough_and_its_budget_is_that_of_the_plan(tmp_path: Path) -> None:
    """Prevents: what `check` accepts is refused here for want of a position; a budget of one soak for all of them."""
    file = tmp_path / "Pulumi.try.yaml"
    file.write_text(PLAN)
    arguments = ["--error-rate", "0.01", "--runs", "5", "--windows", "12", "--config", str(file)]
    result = CliRunner().invoke(simulate, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "0.04 false rollbacks are to be expected in one soak" in result.stdout
    assert "0.48 over the whole plan (6 times a service is soaked" in result.stdout
    checked = CliRunner().invoke(check, ["--config", str(file)], catch_exceptions=False)
    assert "0.48 over the whole plan" in " ".join(checked.stdout.split())


def test_a_file_with_guardrails_alone_is_enough_for_its_thresholds(tmp_path: Path) -> None:
    """Prevents: whoever tries thresholds out has to write a matrix first."""
    file = tmp_path / "Pulumi.try.yaml"
    file.write_text("config:\n  causeway:guardrails:\n    error_rate: {warn: 0.2, roll_back: 0.3}\n")
    found = facts("--error-rate", "0.15", "--windows", "40", "--service", "Any", "--config", str(file))
    assert (found["rolled_back"], found["advanced"]) == (0.0, 1.0)


def test_the_picture() -> None:
    arguments = ["--error-rate", "0.01", "--then", "0.2", "--change-at", "16", "--windows", "24", "--runs", "20"]
    result = CliRunner().invoke(simulate, [*arguments, "--service", "CVAnalyzer"], catch_exceptions=False)
    golden = Path(__file__).parents[1] / "report" / "golden" / "simulation.txt"
    assert result.stdout == golden.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--error-rate", "2"], "an error rate lies between 0 and 1, not 2"),
        (["--error-rate", "0.1", "--then", "0.2"], "a change needs both its rate and its window"),
        (["--error-rate", "0.1", "--service", "Nobody", "--config", str(STACK)], "there is no service Nobody in local"),
        (["--error-rate", "0.1", "--runs", "0"], "--runs"),
        (["--error-rate", "0.1", "--requests", "-1"], "requests a window lie between 0 and 10^9, not -1"),
        (["--error-rate", "0.1", "--requests", "nan"], "requests a window lie between 0 and 10^9, not nan"),
        (["--error-rate", "0.1", "--windows", "0"], "a run has one window at least, not 0"),
        (["--error-rate", "0.1", "--windows", "100000000"], "are more than 40,000,000 windows"),
        ([], "--error-rate"),
    ],
)
def test_bad_input_is_refused_in_words(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["simulate", *arguments])
    assert exit_.value.code == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert said in streams.err
