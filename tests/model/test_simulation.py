"""Simulated rollouts: the same gates as a soak's, and error rates that are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.model.budget import Budget
from causeway.model.guardrails import Guardrail, Guardrails, Measure
from causeway.model.matrix import Matrix, Phase, Service
from causeway.model.observation import Soak as SoakRules
from causeway.model.plan import build
from causeway.model.risk import ALPHA, BETA
from causeway.model.simulation import NEVER, Outcome, Scenario, follow, play
from causeway.model.soak import Soak
from causeway.model.strategies import RECIPES
from causeway.model.verdict import Decision
from causeway.model.window import Tally, Window

ERRORS = Guardrail(Measure.ERROR_RATE, 0.02, 0.05)
RULES = SoakRules(interval=30, checks=10, requests=500)


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def soaked(bad: list[int], total: list[int], rules: SoakRules) -> tuple[int, int]:
    """When a real soak rolls back, and when it first says that the service may advance."""
    state = Soak.begin(["A"], Guardrails(ERRORS, None, None, None), rules, {})
    advanced = NEVER
    for number, (failed, requests) in enumerate(zip(bad, total, strict=True), start=1):
        state = state.observe([Window("A", Tally(failed, requests))])
        decision = state.verdict().decision
        if decision is Decision.ROLL_BACK:
            return number, advanced
        if decision is Decision.ADVANCE and advanced == NEVER:
            advanced = number
    return NEVER, advanced


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.01, 0.03, 0.08, 0.2, 1.0]),
    st.sampled_from([0.5, 5.0, 30.0, 100.0]),
    st.sampled_from([SoakRules(30, 3, 50), SoakRules(30, 10, 500)]),
)
def test_a_simulated_gate_does_what_a_soak_does(seed: int, rate: float, requests: float, rules: SoakRules) -> None:
    bad, total = Scenario(rate, requests, 80).draw(2, rng(seed))
    outcome = play(bad, total, ERRORS, rules)
    for run in range(2):
        expected = soaked(bad[:, run].tolist(), total[:, run].tolist(), rules)
        assert (outcome.rolled_back[run], outcome.advanced[run]) == expected


def test_error_rates_are_kept_at_the_threshold() -> None:
    """1,000 services at the rollback threshold for 120 windows; `benchmarks/gates.py` has the full figure."""
    outcome = play(*Scenario(0.05, 50, 120).draw(1000, rng()), ERRORS, RULES)
    assert np.mean(outcome.rolled_back != NEVER) <= ALPHA
    assert np.mean(outcome.advanced != NEVER) <= BETA


def test_healthy_services_advance_and_broken_ones_go_back() -> None:
    healthy = play(*Scenario(0.005, 60, 30).draw(200, rng()), ERRORS, RULES).facts(None)
    assert healthy == {"rolled_back": 0.0, "advanced": 1.0, "median_windows": None}
    scenario = Scenario(0.2, 10, 60)
    broken = play(*scenario.draw(200, rng()), ERRORS, RULES).facts(scenario.fault_at(0.05))
    assert (broken["rolled_back"], broken["advanced"]) == (1.0, 0.0)
    assert broken["median_windows"] is not None and broken["median_windows"] <= 6


def test_a_late_fault_is_counted_from_its_start() -> None:
    scenario = Scenario(0.01, 50, 60, then=0.5, change_at=40)
    outcome = play(*scenario.draw(100, rng()), ERRORS, RULES)
    assert outcome.median_detection(scenario.fault_at(0.05)) == 1.0


@pytest.mark.parametrize(
    ("rolled_back", "fault_at", "median"),
    [
        ([5, 6, 7], 5, 2.0),
        ([5, 6, NEVER], 5, 2.0),
        ([5, NEVER, NEVER], 5, None),
        ([1, 2, 7], 5, 3.0),  # false alarms before the fault found nothing
        ([1, 2], 5, None),
        ([1, 2], None, None),
    ],
)
def test_the_median_counts_runs_never_found_as_infinite(
    rolled_back: list[int], fault_at: int | None, median: float | None
) -> None:
    assert Outcome(np.array(rolled_back), np.zeros(len(rolled_back), dtype=int)).median_detection(fault_at) == median


def test_the_same_seed_draws_the_same_traffic() -> None:
    scenario = Scenario(0.1, 20, 10, burst=0.1)
    for one, other in zip(scenario.draw(5, rng(3)), scenario.draw(5, rng(3)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bursts_keep_the_mean_and_spread_it() -> None:
    even, bursty = (Scenario(0.1, 50, 200, burst=burst).draw(100, rng()) for burst in (0.0, 0.2))
    means = [bad.sum() / total.sum() for bad, total in (even, bursty)]
    assert means == pytest.approx([0.1, 0.1], abs=0.01)
    assert bursty[0].var() > 4 * even[0].var()


def test_no_traffic_does_nothing() -> None:
    outcome = play(*Scenario(1.0, 0, 20).draw(3, rng()), ERRORS, RULES)
    assert not outcome.rolled_back.any() and not outcome.advanced.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_rate": 1.5},
        {"error_rate": math.nan},
        {"then": 0.1},
        {"change_at": 3},
        {"then": 0.1, "change_at": 0},
        {"then": 0.1, "change_at": 99},
        {"then": -0.1, "change_at": 3},
        {"requests": -1.0},
        {"requests": math.nan},
        {"requests": 1e12},
        {"windows": 0},
        {"burst": 1.0},
    ],
)
def test_scenarios_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        Scenario(**{"error_rate": 0.1, "requests": 10.0, "windows": 10} | wrong)  # type: ignore[arg-type]


def test_following_a_run_ends_where_playing_it_does() -> None:
    bad, total = Scenario(0.15, 10, 60).draw(1, rng())
    trace = follow(bad[:, 0], total[:, 0], ERRORS, RULES)
    crossed = next(window for window, odds in enumerate(trace.harm, start=1) if odds >= trace.needed_for_harm)
    assert crossed == play(bad, total, ERRORS, RULES).rolled_back[0]


def test_the_budget_of_a_stack() -> None:
    assert str(Budget(guardrails=4, services=7, soaks=185)) == (
        "false-alarm budget: at most 0.28 false rollbacks are to be expected in one soak (1 % x 4 guardrails x "
        "7 services), 15 over the whole plan (185 times a service is soaked, the monitor's watch beside it) and 2.2 "
        "a day while a place is held, and that only if all services stood at all limits all the time"
    )
    assert "x 3 starts of the tests" in str(Budget(guardrails=4, services=1, soaks=2, starts=3))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(RECIPES)), min_size=1, max_size=6))
def test_the_budget_counts_every_soak_of_the_plan(strategies: list[str]) -> None:
    """Prevents: the bound of one soak is told as that of a whole rollout, which has dozens."""
    services = {f"S{number}": Service(f"S{number}", strategy) for number, strategy in enumerate(strategies)}
    plan = build(Matrix(services=services, phases=(Phase("low", tuple(services)),)))
    budget = Budget.of(plan, Guardrails(throughput=None), RULES, timeout=RULES.interval * 361)
    soaked = sum(weight > 0 for position in plan for weight in plan.at(position.name).weights.values())
    assert (budget.guardrails, budget.services, budget.soaks, budget.starts) == (3, len(services), soaked, 2)
    assert budget.a_day == pytest.approx(0.01 * 3 * len(services) * 86400 / (RULES.interval * 360))
