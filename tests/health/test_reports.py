"""Health reports: figures from exact sums, courses, trends, and what people read (golden files)."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.health.baselines import Baseline, Hour
from causeway.health.checker import Look
from causeway.health.history import COURSE, History
from causeway.health.reports import HealthReport, report
from causeway.health.trends import trend
from causeway.model.guardrails import Guardrails
from causeway.model.window import Category, Check, Histogram, Missing, Tally, Throughput, Window
from causeway.report import health as rendering

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
BOUNDS = (0.1, 0.2, 0.4, math.inf)
BASELINE = Baseline(
    "CacheManager", T0 - timedelta(days=1), T0 - timedelta(hours=1), 3600, Tally(36, 36_000),
    Histogram(BOUNDS, (0, 36_000, 0, 0)), Tally(1, 1000), {12: Hour(36_000, 3600)},
)  # fmt: skip


def window(number: int, total: int = 50) -> Window:
    """A package whose errors rise by a request every ten looks, and whose response time is 150 ms."""
    return Window(
        "CacheManager",
        errors=Tally(number // 10, total),
        latency=Histogram(BOUNDS, (0, total, 0, 0)),
        throughput=Throughput(25, total, total, 150, 150),
        probes=Tally(0, 1),
        build="7",
    )


def legacy(total: int = 150) -> Window:
    return Window(
        "CacheManager", Tally(0, total), Histogram(BOUNDS, (total, 0, 0, 0)), probes=Missing("nobody asks it")
    )


def look(number: int, package: Window, *checks: Check) -> Look:
    at = T0 + timedelta(seconds=5 * number)
    windows = {"CacheManager": package}
    return Look(at, at - timedelta(seconds=5), windows, {"CacheManager": legacy()}, checks, {"CacheManager": BASELINE})


def history(looks: int = 60) -> History:
    found = History(30)
    for number in range(1, looks + 1):
        found.add(look(number, window(number)))
    return found


def made(found: History, at: datetime, *notes: str) -> HealthReport:
    return report(found, "local", "medium/CacheManager/25", {"CacheManager": 25}, Guardrails(), at, notes)


def test_the_demand_after_an_outage_is_that_of_all_of_it() -> None:
    """Prevents: ten minutes of requests, counted by the first look after them, are drawn as a demand that never was."""
    found, gone = History(30), Missing("prometheus answered 500")
    for number in range(1, 55):
        at = T0 + timedelta(seconds=5 * number)
        blind = 10 <= number < 40
        seen = gone if blind else Tally(0, 50 * (31 if number == 40 else 1))
        since = at - timedelta(seconds=5 * (31 if number == 40 else 1))
        found.add(Look(at, since, {"X": Window("X", seen)}, {"X": Window("X", gone if blind else Tally(0, 0))}, ()))
    written = report(found, "s", "p", {"X": 10}, Guardrails(), T0 + timedelta(seconds=270))
    demand = written.services[0].demand
    assert demand.value == pytest.approx(10)
    assert [each for each in demand.course if each] == pytest.approx([10] * 5)


def test_figures_are_exact_sums_of_the_last_five_minutes() -> None:
    (service,) = made(history(), T0 + timedelta(minutes=5)).services
    figures = {figure.name: figure for figure in service.package}
    assert figures["error_rate"].value == sum(number // 10 for number in range(1, 61)) / 3000
    assert figures["error_rate"].baseline == 0.001
    assert figures["error_rate"].state == "rollback"
    assert figures["response_time"].value == pytest.approx(0.195)
    assert figures["response_time"].baseline == pytest.approx(0.195)
    assert figures["throughput"].value == 1.0
    assert figures["availability"].value == 1.0
    assert service.demand.value == 40.0  # 200 requests in five seconds
    assert service.demand.baseline == 10.0
    assert (service.weight, service.build) == (25, "7")
    assert [figure.name for figure in service.legacy] == ["error_rate", "response_time", "availability"]


def test_a_course_has_a_value_a_window_and_half_an_hour_at_most() -> None:
    found = history(looks=8 * 60)
    assert len(found.spans) == COURSE / timedelta(seconds=30)
    (service,) = made(found, T0 + timedelta(minutes=40)).services
    assert len(service.package[0].course) == 60
    assert all(span.seconds == 30 for span in found.spans)


def test_rising_errors_are_called_rising() -> None:
    (service,) = made(history(), T0 + timedelta(minutes=5)).services
    found = service.package[0].trend
    assert found is not None
    assert found.word == "rising"
    assert service.package[1].trend is not None
    assert service.package[1].trend.word == "steady"


def test_what_was_not_measured_is_missing_with_its_reason() -> None:
    found = History(30)
    found.add(look(1, Window("CacheManager", errors=Missing("app answered 500"))))
    (service,) = made(found, T0 + timedelta(seconds=5)).services
    assert [(figure.value, figure.state, figure.missing) for figure in service.package[:2]] == [
        (None, "missing", "app answered 500"),
        (None, "missing", "not measured"),
    ]


def test_an_empty_history_makes_a_report_that_says_so() -> None:
    (service,) = made(History(30), T0).services
    assert all(figure.state == "missing" for figure in (*service.package, service.demand))


def test_a_report_is_plain_values() -> None:
    document = made(history(), T0 + timedelta(minutes=5)).as_dict()
    assert json.loads(json.dumps(document, default=datetime.isoformat))["services"][0]["build"] == "7"
    assert document["passed"] == {"performance": 0, "functionality": 0, "integration": 0, "data_integrity": 0}


def full() -> HealthReport:
    """A report with everything in it, among it text that would break a table, a page or a terminal."""
    found = history()
    failing = Check(
        Category.FUNCTIONALITY, "analyze@package", False, "CacheManager", "answered 500 | <b>*no*</b>\x1b[2J"
    )
    missing = Check(Category.DATA_INTEGRITY, "cache parity", None, "CacheManager", "the database does not answer")
    passed = Check(Category.INTEGRATION, "A@package -> CacheManager@legacy", True, "A", "0 of 12 calls failed")
    found.add(look(61, window(61), failing, missing, passed))
    return made(found, T0 + timedelta(seconds=305), "metrics were missing for 20 s")


@pytest.mark.parametrize("form", ["md", "txt"])
def test_a_report_reads_as_it_should(form: str) -> None:
    said = rendering.markdown(full()) if form == "md" else rendering.text(full())
    golden = GOLDEN / f"report.{form}"
    assert said == golden.read_text(encoding="utf-8")


def test_baselines_read_as_they_should() -> None:
    said = rendering.baselines({"CacheManager": BASELINE}, 0.95, T0 + timedelta(days=30), 7 * 86400)
    assert said == (GOLDEN / "baselines.txt").read_text(encoding="utf-8")


def test_nothing_from_outside_reaches_a_page_or_a_terminal_as_it_is() -> None:
    assert "<b>" not in rendering.markdown(full())
    assert "\x1b" not in rendering.text(full())


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=40))
def test_a_sparkline_has_a_mark_for_each_of_the_last_values(values: list[float | None]) -> None:
    line = rendering.sparkline(values)
    assert len(line) == min(20, len(values))
    assert [mark == "·" for mark in line] == [value is None for value in values[-20:]]


def test_a_trend_is_the_least_squares_line_with_students_bounds() -> None:
    """By hand: y = 0, 2, 1, 3 at x = 0, 1, 2, 3: slope 0.8, residual variance 0.9, t(2) = 4.30265."""
    found = trend([0, 1, 2, 3], [0, 2, 1, 3])
    assert found is not None
    assert found.slope == pytest.approx(0.8)
    assert found.high - found.slope == pytest.approx(4.30265 * math.sqrt(0.9 / 5), rel=1e-5)
    assert trend([0, 1, 2], [1, 2, 3]) is None
    assert trend([1, 1, 1, 1], [1, 2, 3, 4]) is None


def test_a_steady_figure_is_called_rising_or_falling_one_time_in_twenty() -> None:
    random = np.random.default_rng(7)
    runs, hours = 2000, [n / 120 for n in range(60)]
    found = [trend(hours, random.normal(size=60).tolist()) for _ in range(runs)]
    moving = sum(each is not None and each.word != "steady" for each in found) / runs
    assert moving == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / runs))
