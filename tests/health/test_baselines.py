"""Baselines: figures with honest bounds, and a refusal that says how much more is needed."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.errors import Held
from causeway.health.baselines import Hour, Recorder, quantile, requests_needed, share, words
from causeway.health.metrics import Reading, Sample, Series
from causeway.health.windows import Names
from causeway.model.observation import BaselineRules, MetricNames
from causeway.model.window import Histogram, Tally

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
RULES = BaselineRules(requests=1000, window=3600, max_age=7 * 86400)
NAMES = Names(
    MetricNames(
        requests='r_total{service="$service",version="$version"}',
        errors='r_total{service="$service",version="$version",outcome="error"}',
        latency='s{service="$service",version="$version"}',
    )
)


def sample(minute: int, ok: int, failed: int, buckets: dict[str, int], process: str = "a") -> Sample:
    at = T0 + timedelta(minutes=minute)
    of = (("service", "X"), ("version", "legacy"))
    values = {
        Series(process, "r_total", (("outcome", name), *of)): float(n) for name, n in (("ok", ok), ("error", failed))
    }
    values |= {Series(process, "s_bucket", (("le", bound), *of)): float(n) for bound, n in buckets.items()}
    return Sample(at, values, {process: Reading(at)})


def recorded(minutes: int, a_minute: int, failed: int = 0, bound: str = "0.2") -> Recorder:
    recorder = Recorder(NAMES, ["X"])
    for minute in range(minutes + 1):
        n, bad = 500 + minute * a_minute, minute * failed
        recorder.add(sample(minute, n, bad, {"0.1": 0, bound: n + bad, "+Inf": n + bad}))
    return recorder


def test_a_baseline_holds_what_was_counted_and_nothing_that_was_before() -> None:
    found = recorded(120, 30, failed=2).baseline("X", RULES, 0.95)
    assert (found.since, found.until, found.seconds) == (T0, T0 + timedelta(hours=2), 7200)
    assert found.errors == Tally(240, 3840)
    assert found.latency == Histogram((0.1, 0.2, math.inf), (0, 3840, 0))
    assert found.hours == {12: Hour(1920, 3600), 13: Hour(1920, 3600)}
    assert found.demand(T0 + timedelta(days=3, minutes=5)) == pytest.approx(1920 / 3600)
    assert found.demand(T0 - timedelta(hours=1)) is None
    assert found.response_time(0.95).value == pytest.approx(0.195)
    assert found.availability() is None


def test_too_few_requests_are_refused_with_how_many_more_and_how_long() -> None:
    with pytest.raises(Held) as refused:
        recorded(60, 10).baseline("X", RULES, 0.95)
    assert refused.value.fact == "no baseline of X@legacy: 600 requests in 1 h, 1000 are needed"
    assert refused.value.remedy == "Measure 400 requests more (about 40 min at this rate)."


def test_too_short_a_time_is_refused_with_how_much_longer() -> None:
    with pytest.raises(Held) as refused:
        recorded(20, 100).baseline("X", RULES, 0.95)
    assert refused.value.fact == "no baseline of X@legacy: 20 min observed, 1 h needed"
    assert refused.value.remedy == "Measure 40 min more."


def test_nothing_measured_is_refused_with_the_reason() -> None:
    recorder = Recorder(NAMES, ["X"])
    recorder.add(Sample(T0, blind="prometheus answered 500"))
    with pytest.raises(Held, match="prometheus answered 500"):
        recorder.baseline("X", RULES, 0.95)


@pytest.mark.parametrize(("bound", "why"), [("+Inf", "0.95 quantile is inf s"), ("0", "0.95 quantile is 0 s")])
def test_a_response_time_that_is_zero_or_beyond_the_histogram_is_refused(bound: str, why: str) -> None:
    """Prevents a package from being compared with a multiple of nothing, or of everything."""
    recorder = Recorder(NAMES, ["X"])
    for minute in range(61):
        buckets = {"0": 0, "0.1": 0, "+Inf": 100 * minute} | {bound: 100 * minute}
        if bound == "0":
            buckets["0.1"] = 100 * minute
        recorder.add(sample(minute, 100 * minute, 0, buckets))
    with pytest.raises(Held, match=why):
        recorder.baseline("X", RULES, 0.95)


def test_an_outage_loses_neither_requests_nor_their_time() -> None:
    """Prevents the demand of an hour with an outage from looking higher than it was."""
    recorder = Recorder(NAMES, ["X"])
    for minute in range(101):
        n = 100 * minute
        seen = sample(minute, n, 0, {"0.2": n, "+Inf": n})
        recorder.add(Sample(seen.at, down={"a": "a is down"}) if 10 <= minute < 20 else seen)
    found = recorder.baseline("X", RULES, 0.95)
    assert found.errors == Tally(0, 10_000)
    assert found.seconds == 100 * 60


def test_an_outage_of_one_process_loses_nothing_that_the_others_count() -> None:
    """Prevents: demand looks lower than it was, and a quiet night of the package is no longer told from a fault."""
    recorder = Recorder(NAMES, ["X"])
    for minute in range(101):
        n = 100 * minute
        both = [sample(minute, n, 0, {"0.2": n, "+Inf": n}, process=name) for name in "ab"]
        down = {"b": "b is down"} if 10 <= minute < 90 else {}
        seen = both[:1] if down else both
        values = {series: value for each in seen for series, value in each.values.items()}
        recorder.add(Sample(both[0].at, values, {o: Reading(both[0].at) for o in "ab" if o not in down}, down))
    found = recorder.baseline("X", RULES, 0.95)
    assert (found.errors, found.latency.total) == (Tally(0, 20_000), 20_000)
    assert sum(hour.requests for hour in found.hours.values()) / found.seconds == pytest.approx(200 / 60)


def test_bounds_that_change_are_left_out() -> None:
    recorder = recorded(100, 20)
    recorder.add(sample(101, 99_999, 0, {"0.1": 0, "0.2": 99_999, "0.5": 99_999, "+Inf": 99_999}))
    found = recorder.baseline("X", RULES, 0.95)
    assert (found.latency.total, found.seconds) == (2000, 100 * 60)


def test_a_baseline_is_stale_beyond_its_age() -> None:
    found = recorded(60, 30).baseline("X", RULES, 0.95)
    assert found.stale(found.until + timedelta(days=7), RULES.max_age) is None
    assert found.stale(found.until + timedelta(days=8), RULES.max_age) == (
        "the baseline of X is 8 d old, the limit is 7 d"
    )


def test_the_bounds_of_a_share_are_clopper_and_pearsons() -> None:
    """Published values for 10 of 100 and for 0 of 50."""
    assert share(10, 100).low == pytest.approx(0.04900, abs=5e-5)
    assert share(10, 100).high == pytest.approx(0.17622, abs=5e-5)
    assert share(0, 50).high == pytest.approx(0.07112, abs=5e-5)
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.floats(0.01, 0.99))
def test_a_quantile_lies_between_its_bounds(counts: list[int], q: float) -> None:
    bounds = (*(0.1 * (n + 1) for n in range(len(counts) - 1)), math.inf)
    found = quantile(Histogram(bounds, tuple(counts)), q)
    assert found.low <= found.value <= found.high


@given(st.floats(0.5, 0.999))
def test_the_least_number_of_requests_gives_the_quantile_an_upper_bound(q: float) -> None:
    """One request fewer and even the slowest of all would not bound the quantile from above."""
    least = requests_needed(BaselineRules(1, 0, 0), q)
    assert q**least <= 0.025 * (1 + 1e-9)
    assert q ** (least - 1) > 0.025 * (1 - 1e-9)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.6, "1 min"), (3700, "1 h 1 min"), (90061, "1 d 1 h"), (-5, "0 s")]
)
def test_times_are_said_by_their_two_largest_units(seconds: float, said: str) -> None:
    assert words(timedelta(seconds=seconds)) == said
