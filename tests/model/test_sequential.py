"""The e-processes: exact values, validity at any time, and what must not matter."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from causeway.model import sequential
from causeway.model.betatail import log_above, log_below
from causeway.model.risk import BETA
from causeway.model.sequential import Bernoulli, Floats, Harm, Relative, Safe

THETA = 0.05
counts = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(sorted)  # (bad, total)
courses = st.lists(counts, min_size=1, max_size=30)


def harm(theta: float = THETA, rows: int = 1) -> Harm:
    return Harm.begin(Bernoulli(np.full(rows, theta)), rows)


def one(*numbers: float) -> Floats:
    return np.array([numbers], dtype=float)


def run(course: list[list[int]], state: Harm | None = None) -> Harm:
    state = state or harm()
    for bad, total in course:
        state = state.observe(one(bad, total))
    return state


# The evidence of one start


def exact_log_above(bad: int, good: int, theta: Fraction) -> float:
    """By the binomial sum of the incomplete beta function, in rational numbers."""
    n = bad + good + 1
    tail = sum(math.comb(n, k) * theta**k * (1 - theta) ** (n - k) for k in range(bad + 1))
    ratio = tail / (n * math.comb(n - 1, bad) * (1 - theta) * theta**bad * (1 - theta) ** good)
    return math.log(ratio.numerator) - math.log(ratio.denominator)


def test_golden_value_deep_in_the_tail() -> None:
    """A guarded underflow of the Beta tail once turned -10.60 into +539: a healthy service, rolled back."""
    assert float(log_above(500, 49_500, 0.05)) == pytest.approx(-10.5968, abs=1e-4)


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([Fraction(1, 100), Fraction(1, 20), Fraction(2, 5)]))
def test_it_is_the_exact_integral(bad: int, good: int, theta: Fraction) -> None:
    assert float(log_above(bad, good, float(theta))) == pytest.approx(exact_log_above(bad, good, theta), abs=1e-9)


@pytest.mark.parametrize("total", [10, 10**3, 10**6, 10**9])
def test_no_seam_between_fraction_and_tail(total: int) -> None:
    bad = np.unique(np.linspace(0, min(total, 0.2 * total), 400).astype(int))
    values = log_above(bad, total - bad, THETA)
    assert (np.diff(values) > 0).all()
    assert (np.diff(values, 2) > -1e-6 * np.abs(values[1:-1])).all()  # convex, so without a step


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.4, 0.999]))
def test_extreme_counts_are_finite_and_silent(bad: int, good: int, theta: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        above, below = log_above(bad, good, theta), log_below(bad, good, theta)
    assert np.isfinite(above) and np.isfinite(below)
    assert float(log_below(bad, good, theta)) == pytest.approx(float(log_above(good, bad, 1 - theta)))


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_failure_instead_of_a_success_raises_the_evidence(bad: int, good: int) -> None:
    assert log_above(bad + 1, good - 1, THETA) > log_above(bad, good, THETA)
    assert log_below(bad + 1, good - 1, THETA) < log_below(bad, good, THETA)


# Validity: E is a martingale at the limit and a supermartingale below it, thinning and all


@pytest.fixture
def three_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "STARTS", 3)


def conditional_expectations(p: float, windows: int, requests: int) -> tuple[Floats, Floats]:
    """Over every history of failures: E before and the expectation of E after the last window."""
    histories = np.array(list(itertools.product(range(requests + 1), repeat=windows)), dtype=float)
    state = harm(rows=len(histories))
    for window in range(windows):
        before = np.exp(state.log_evidence())
        state = state.observe(np.column_stack([histories[:, window], np.full(len(histories), requests)]))
    after = np.exp(state.log_evidence()) * binom.pmf(histories[:, -1], requests, p)
    shape = (-1, requests + 1)
    return before.reshape(shape)[:, 0], after.reshape(shape).sum(axis=1)


@pytest.mark.parametrize("windows", range(1, 8))
@pytest.mark.usefixtures("three_starts")
def test_at_the_limit_no_history_expects_evidence_to_change(windows: int) -> None:
    """Exactly enumerated with three live starts, so that from the third window on every window thins."""
    before, after = conditional_expectations(THETA, windows, 2)
    np.testing.assert_allclose(after, before, rtol=1e-9)


@pytest.mark.parametrize("p", [0.0, 0.01, 0.049])
@pytest.mark.usefixtures("three_starts")
def test_below_the_limit_every_history_expects_evidence_to_fall(p: float) -> None:
    for windows in range(1, 7):
        before, after = conditional_expectations(p, windows, 2)
        assert (after <= before * (1 + 1e-9)).all()


def test_evidence_starts_at_one_and_births_and_thinning_do_not_change_it() -> None:
    state = harm()
    assert state.log_evidence()[0] == pytest.approx(0.0)
    rng = np.random.default_rng(1)
    for _ in range(200):
        requests = rng.poisson(10)
        seen = one(rng.binomial(requests, 0.08), requests)
        open_, closed = state.observe(seen, closes=False), state.observe(seen)
        assert closed.log_evidence()[0] == pytest.approx(open_.log_evidence()[0])
        state = closed
    assert len(state.births) == sequential.STARTS
    assert state.births[0] == 1 and state.births[-1] == 201


@given(st.integers(0, 8), st.integers(0, 8), st.floats(1e-6, 1.0), st.floats(0.6, 1.0))
def test_throughput_evidence_expects_at_most_one(due: int, legacy_due: int, q: float, r: float) -> None:
    """Enumerated: legacy completes with probability q, the package with r q and r at or above the limit."""
    family = Relative.below(0.6)
    grid = np.array(list(itertools.product(range(due + 1), range(legacy_due + 1))), dtype=float)
    done, legacy_done = grid.T
    chance = binom.pmf(done, due, r * q) * binom.pmf(legacy_done, legacy_due, q)
    size = np.ones(len(grid))
    beside = family.beside(done, due * size, legacy_done, legacy_due * size)
    alone = family.alone(done, due * size)
    assert (chance @ np.exp(beside) <= 1 + 1e-9).all()
    if r * q >= 0.6:
        assert (chance @ np.exp(alone) <= 1 + 1e-9).all()


# What must not matter, and what must


@given(courses, st.data())
def test_where_a_window_is_cut_does_not_matter(course: list[list[int]], data: st.DataObject) -> None:
    cut = harm()
    for bad, total in course:
        first = data.draw(st.integers(0, bad))
        rest = data.draw(st.integers(first, total - (bad - first)))
        cut = cut.observe(one(first, rest), closes=False).observe(one(bad - first, total - rest))
    np.testing.assert_allclose(cut.log_evidence(), run(course).log_evidence(), rtol=1e-9)


@given(courses, st.data())
def test_more_errors_never_lower_the_evidence_of_harm(course: list[list[int]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(course) - 1))
    bad, total = course[at]
    worse = [*course[:at], [min(bad + 1, total), total], *course[at + 1 :]]
    assert run(worse).log_evidence()[0] >= run(course).log_evidence()[0] - 1e-9


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 5), st.just(10)), min_size=70, max_size=90))
def test_more_errors_now_never_lower_the_evidence_however_long_ago_it_began(course: list[tuple[int, int]]) -> None:
    state = run([list(window) for window in course])
    evidence = [state.observe(one(bad, 10), closes=False).log_evidence()[0] for bad in range(11)]
    assert evidence == sorted(evidence)


@given(st.lists(courses, min_size=2, max_size=4), st.floats(-3.0, 50.0))
def test_reaching_is_having_the_evidence(runs: list[list[list[int]]], odds: float) -> None:
    windows = max(map(len, runs))
    state = harm(rows=len(runs))
    for window in range(windows):
        state = state.observe(np.array([run[window] if window < len(run) else [0, 0] for run in runs], dtype=float))
    evidence = state.log_evidence()
    clear = np.abs(evidence - odds) > 1e-9
    assert (state.reaches(odds)[clear] == (evidence >= odds)[clear]).all()


def test_everything_begins_anew_after_a_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential, "LIFE", 5)
    course = [[3, 20]] * 5
    assert run(course).log_evidence()[0] > 0
    assert run([*course, [1, 10]]).log_evidence() == run([[1, 10]]).log_evidence()


def test_it_says_since_when() -> None:
    state = run([[0, 50]] * 40 + [[20, 50]] * 2)
    births, since = state.since()
    assert births[0] == 41
    assert since[0].tolist() == [40, 100]


def test_rows_are_independent() -> None:
    rng = np.random.default_rng(3)
    seen = np.stack([np.column_stack([rng.binomial(20, p, 100), np.full(100, 20)]) for p in (0.01, 0.3)], axis=1)
    together = harm(rows=2)
    for window in seen:
        together = together.observe(window.astype(float))
    apart = [run(seen[:, row].tolist()).log_evidence()[0] for row in range(2)]
    np.testing.assert_allclose(together.log_evidence(), apart)
    assert together.select(np.array([1])).log_evidence()[0] == pytest.approx(apart[1])


# Safety


def safe(course: list[list[int]], checks: int = 10) -> Safe:
    state = Safe.begin(np.array([THETA]), checks)
    for bad, total in course:
        state = state.observe(np.array([bad]), np.array([total]))
    return state


def test_old_health_does_not_vouch_for_the_present() -> None:
    state = safe([[0, 100]] * 10 + [[10, 100]])
    assert state.block == 2
    assert (state.bad[0], state.total[0]) == (10, 100)
    assert state.log_evidence()[0] < state.log_needed


def test_little_traffic_takes_longer_instead_of_for_ever() -> None:
    """Prevents: a service whose traffic never fills one block can never advance, however healthy (decision 20)."""
    states = (safe([[0, 10]] * windows, checks=3) for windows in range(1, 60))
    assert any(state.log_evidence()[0] >= state.log_needed for state in states)


def test_each_block_is_twice_as_long_as_the_one_before() -> None:
    ends = [n for n in range(1, 60) if safe([[0, 1]] * n, checks=4).fresh]
    assert ends == [4, 12, 28]


def test_blocks_share_beta() -> None:
    state = safe([[0, 1]] * 10)
    levels = [math.exp(-replace(state, block=block).log_needed) for block in range(1, 500)]
    assert levels[:3] == pytest.approx([BETA / 2, BETA / 6, BETA / 12])
    assert BETA * 0.99 < sum(levels) <= BETA


@given(st.integers(0, 40), st.integers(0, 2000))
def test_good_needed_is_the_least_that_suffices(bad: int, good: int) -> None:
    state = safe([[bad, bad + good]])
    needed = state.good_needed()[0]
    assert state.log_evidence(needed)[0] >= state.log_needed
    assert needed == 0 or state.log_evidence(needed - 1)[0] < state.log_needed


@given(st.integers(1, 200), st.floats(0.05, 1.0))
def test_at_or_beyond_the_threshold_safety_expects_at_most_one(total: int, p: float) -> None:
    bad = np.arange(total + 1)
    assert np.exp(log_below(bad, total - bad, THETA)) @ binom.pmf(bad, total, p) <= 1 + 1e-9
