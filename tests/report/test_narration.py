"""What a person sees while a stack moves: lines for a log, one changing line on a terminal."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

from rich.console import Console

from causeway.health.checker import Look
from causeway.model.guardrails import Pace
from causeway.model.moves import Place
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.model.window import Histogram, Missing, Tally, Throughput, Window
from causeway.report.narration import Narrator, figures
from causeway.rollout.stack import Event

GOLDEN = Path(__file__).parent / "golden" / "narration.txt"
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PLACE = Place("low/Reader/50")
EARLY = Verdict.of([Reason(Decision.HOLD, Cause.EARLY, "error_rate", "not yet safe", "Reader", more_requests=1200)])
HARM = Verdict.of(
    Reason(Decision.ROLL_BACK, Cause.HARM, "error_rate", f"reason {n}", "Reader", Pace.IMMEDIATE) for n in range(9)
)
GOOD = Verdict.of([Reason(Decision.ADVANCE, Cause.SAFE, "error_rate", "safe")])


def window(name: str, errors: Tally | Missing) -> Window:
    return Window(name, errors, Histogram((0.1, float("inf")), (1, 0)), Throughput(50, 1, 1, 1, 1), Tally(0, 1), "1")


LOOK = Look(NOW, NOW, {"Reader": window("Reader", Tally(3, 40)), "Writer": window("Writer", Tally(0, 60))}, {}, ())


def told(terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None, highlight=False)
    narrator = Narrator(console)
    for event in (
        Event("moving", "forward: infrastructure -> low/Reader/50 [Reader 0 -> 50 %]", PLACE),
        Event("previewed", "preview: 1 to change", PLACE, 1.25),
        Event("acted", "backfill of Writer: copied [3] documents", PLACE),
    ):
        narrator.event(event)
    for _ in range(12):
        narrator.look(PLACE, LOOK, EARLY)
    for verdict in (GOOD, EARLY, HARM):
        narrator.event(Event("verdict", str(verdict), PLACE, 30.0))
    narrator.event(Event("traffic", "level 1: traffic is on legacy for Reader", PLACE, 0.3))
    narrator.event(Event("something new", "is told as well"))
    return out.getvalue()


def test_a_log_has_a_line_a_fact_and_a_line_now_and_then_for_a_soak() -> None:
    """Golden: `python -m tests.report.test_narration > tests/report/golden/narration.txt` writes it again."""
    assert told(terminal=False) == GOLDEN.read_text(encoding="utf-8")


def test_on_a_terminal_looks_replace_each_other_and_never_wrap() -> None:
    text = told(terminal=True)
    looks = [part for part in text.replace("\n", "\r").split("\r") if "requests failed" in part]
    assert len(looks) == 12
    assert all(len(look) < 80 for look in looks)
    assert text.count("\n") == told(terminal=False).count("\n") - 1, "the soak takes no line of its own"


def test_only_the_first_reasons_of_a_bad_verdict_are_shown() -> None:
    assert [f"reason {n}" in told(terminal=False) for n in range(9)] == [True] * 6 + [False] * 3


def test_figures_count_what_was_measured_and_say_where_it_failed() -> None:
    assert figures(LOOK) == "3 of 100 package requests failed (Reader 3 of 40)"
    silent = Look(NOW, NOW, {"Reader": window("Reader", Missing("nothing"))}, {}, ())
    assert figures(silent) == "0 of 0 package requests failed"


if __name__ == "__main__":
    print(told(terminal=False), end="")
