"""Guardrails and the records of what was measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.model.guardrails import Guardrail, Guardrails, Limit, Measure, Pace, percent
from causeway.model.window import Histogram, Tally

BOUNDS = (0.1, 0.25, 0.5, 1.0, math.inf)


def test_the_guardrails_in_words() -> None:
    assert str(Guardrails()) == (
        "error rate: warning above 2 %, rollback above 5 %; "
        "response time (95 % quantile): warning and graceful rollback above 2 x baseline, "
        "immediate rollback above 3 x; "
        "throughput: warning below 80 % of demand, rollback below 60 %; "
        "availability: warning below 99.9 %, rollback below 99 %"
    )


def test_limits_are_what_the_thresholds_mean() -> None:
    assert [limit for guardrail in Guardrails() for limit in guardrail.limits] == [
        Limit(Measure.ERROR_RATE, 0.05, Pace.IMMEDIATE),
        Limit(Measure.RESPONSE_TIME, 0.05, Pace.GRACEFUL, 2.0),
        Limit(Measure.RESPONSE_TIME, 0.05, Pace.IMMEDIATE, 3.0),
        Limit(Measure.THROUGHPUT, 0.4, Pace.IMMEDIATE),
        Limit(Measure.AVAILABILITY, 0.01, Pace.IMMEDIATE),
    ]
    assert [guardrail.warning for guardrail in Guardrails()] == [0.02, 2.0, 0.2, 0.001]


@pytest.mark.parametrize(
    ("name", "warn", "roll_back", "quantile"),
    [
        (Measure.ERROR_RATE, 0.06, 0.05, None),
        (Measure.ERROR_RATE, 0.02, 5.0, None),
        (Measure.ERROR_RATE, 0.0, 0.0, None),
        (Measure.ERROR_RATE, 0.02, 0.05, 0.95),
        (Measure.ERROR_RATE, math.nan, 0.05, None),
        (Measure.RESPONSE_TIME, 2.0, 3.0, None),
        (Measure.RESPONSE_TIME, 2.0, 3.0, 1.0),
        (Measure.RESPONSE_TIME, 0.5, 3.0, 0.95),
        (Measure.THROUGHPUT, 0.6, 0.8, None),
        (Measure.AVAILABILITY, 0.99, 0.999, None),
        (Measure.AVAILABILITY, 99.9, 99.0, None),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(
    name: Measure, warn: float, roll_back: float, quantile: float | None
) -> None:
    with pytest.raises(ValueError, match=name):
        Guardrail(name, warn, roll_back, quantile)


def test_a_guardrail_that_is_not_watched_has_no_limits() -> None:
    assert Guardrails(throughput=None, response_time=None, availability=None).counted == (
        Limit(Measure.ERROR_RATE, 0.05),
    )


@pytest.mark.parametrize(("share", "text"), [(0.05, "5 %"), (0.1481, "14.8 %"), (0.9999, "99.99 %"), (0.0, "0 %")])
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("threshold", "bound"),
    [
        (0.25, 0.25),
        (0.21, 0.25),
        (0.2, 0.25),  # exactly 1.25 times
        (0.19, None),
        (1.0, 1.0),
        (1.01, None),  # only infinity lies above
        (0.0, None),
        (-1.0, None),
    ],
)
def test_the_bound_for_a_threshold_is_the_next_one_and_near(threshold: float, bound: float | None) -> None:
    assert Histogram(BOUNDS, (0,) * 5).bound_for(threshold) == bound


def test_rounding_does_not_skip_the_exact_bound() -> None:
    """3 x 0.1 is above 0.3 in binary: the bound 0.3 was passed over and the limit went missing."""
    assert 3 * 0.1 > 0.3
    assert Histogram((0.3, 0.5, math.inf), (0, 0, 0)).bound_for(3 * 0.1) == 0.3


def test_counting_slow_requests() -> None:
    histogram = Histogram.from_cumulative(BOUNDS, (50, 80, 95, 99, 100))
    assert histogram.counts == (50, 30, 15, 4, 1)
    assert histogram.slower_than(0.5) == Tally(5, 100)


@pytest.mark.parametrize(("q", "seconds"), [(0.5, 0.1), (0.65, 0.175), (0.95, 0.5), (0.999, math.inf)])
def test_quantiles_are_linear_within_a_bucket(q: float, seconds: float) -> None:
    estimate = Histogram.from_cumulative(BOUNDS, (50, 80, 95, 99, 100)).quantile(q)
    assert estimate == pytest.approx(seconds)


def test_no_requests_have_no_quantile() -> None:
    assert Histogram(BOUNDS, (0,) * 5).quantile(0.95) is None


@given(st.lists(st.integers(0, 10**9), min_size=5, max_size=5), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_quantiles_rise_with_q(counts: list[int], one: float, other: float) -> None:
    histogram = Histogram(BOUNDS, tuple(counts))
    if histogram.total:
        low, high = (histogram.quantile(q) for q in sorted((one, other)))
        assert low is not None and high is not None and low <= high


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [
        ((0.1, 0.2), (1, 2)),
        ((0.2, 0.1, math.inf), (1, 1, 1)),
        ((0.1, math.inf), (1, 2, 3)),
        ((0.1, math.inf), (1, -1)),
        ((math.nan, math.inf), (1, 1)),
        ((), ()),
    ],
)
def test_histograms_that_are_none_are_refused(bounds: tuple[float, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram(bounds, counts)


def test_falling_prometheus_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Histogram.from_cumulative((0.1, 0.2, math.inf), (5, 4, 6))


@pytest.mark.parametrize(("bad", "total"), [(-1, 5), (6, 5), (0, -1)])
def test_tallies_that_are_none_are_refused(bad: int, total: int) -> None:
    with pytest.raises(ValueError, match="tally"):
        Tally(bad, total)
