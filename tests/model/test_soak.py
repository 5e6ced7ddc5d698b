"""A soak over time: what adds up, and what starts it again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.model import sequential
from causeway.model.course import Backlog, Flow
from causeway.model.guardrails import Guardrails
from causeway.model.observation import Soak as SoakRules
from causeway.model.soak import Soak
from causeway.model.verdict import Cause, Decision
from causeway.model.window import Category, Check, Histogram, Missing, Tally, Throughput, Window

RULES = SoakRules(interval=30, checks=10, requests=500)
BOUNDS = (0.1, 0.2, 0.3, 0.5, math.inf)


def soak(*services: str, moving: list[str] | None = None, rules: SoakRules = RULES) -> Soak:
    names = services or ("A",)
    return Soak.begin(names, Guardrails(), rules, dict.fromkeys(names, 0.1), moving)


def window(
    service: str = "A", failed: int = 0, requests: int = 60, slow: int = 0, build: str | None = None, **throughput: int
) -> Window:
    flow = {"weight": 50, "offered": requests, "completed": requests, "legacy_offered": 60, "legacy_completed": 60}
    return Window(
        service,
        Tally(failed, requests),
        Histogram(BOUNDS, (requests - slow, 0, 0, slow, 0)),
        Throughput(**flow | throughput),
        Tally(0, 1),
        build,
    )


def test_a_healthy_service_advances_at_the_end_of_the_minimum_soak_and_not_before() -> None:
    state = soak()
    for _ in range(9):
        state = state.observe([window()])
        assert state.verdict().decision is Decision.HOLD
    assert state.observe([window()], closes=False).verdict().decision is Decision.HOLD
    assert state.observe([window()]).verdict().decision is Decision.ADVANCE


def test_little_traffic_advances_later_instead_of_never() -> None:
    """Blocks of one length ended before they could hold the 105 good requests that show safety."""
    state = soak(rules=replace(RULES, requests=100))
    decisions = []
    for _ in range(30):
        state = state.observe([window(requests=8)])
        decisions.append(state.verdict().decision)
    assert decisions.index(Decision.ADVANCE) == 26  # 10 windows of block 1, then 131 good requests of block 2


@pytest.mark.parametrize("weight", [10, 100])
def test_requests_longer_than_a_window_are_not_lost_work(weight: int) -> None:
    """Prevents: a healthy service whose requests take three windows goes back before it can have answered one."""
    state = Soak.begin(["A"], Guardrails(), RULES, {"A": 90.0})
    for number in range(30):
        state = state.observe([window(weight=weight, completed=60 if number > 3 else 0)])
        assert state.verdict().decision is Decision.HOLD
    (held,) = (reason for reason in state.verdict().reasons if reason.source == "throughput")
    assert held.cause is Cause.MISSING
    assert held.text.endswith("missing, requests take 90 s by the baseline, longer than the window of 30 s")


def test_the_minimum_of_requests_holds() -> None:
    state = soak(rules=replace(RULES, requests=1000))
    for _ in range(10):
        state = state.observe([window()])
    verdict = state.verdict()
    assert (verdict.decision, verdict.more_requests) == (Decision.HOLD, 400)


def test_a_service_that_does_not_move_needs_no_evidence_of_safety_but_may_not_be_harmed() -> None:
    state = soak("A", "B", moving=["A"])
    for _ in range(10):
        state = state.observe([window("A"), window("B", requests=0)])
    assert state.verdict().decision is Decision.ADVANCE
    harmed = state.observe([window("A"), window("B", failed=60)]).verdict()
    assert (harmed.decision, harmed.services) == (Decision.ROLL_BACK, ("B",))


def test_what_is_not_watched_is_ignored_and_what_is_watched_but_not_seen_is_missing() -> None:
    verdict = soak("A").observe([window("B", failed=60)]).verdict()
    assert verdict.decision is Decision.HOLD
    assert any(reason.cause is Cause.MISSING and reason.service == "A" for reason in verdict.reasons)


def test_an_empty_soak_holds() -> None:
    state = Soak.begin([], Guardrails(), RULES, {}).observe([])
    assert state.verdict().decision is Decision.HOLD


def test_total_failure_is_found_in_one_window_of_few_requests() -> None:
    assert soak().observe([window(failed=4, requests=4)], closes=False).verdict().decision is Decision.ROLL_BACK


def test_harm_once_shown_stays_shown() -> None:
    """A crossing between two judgements of the caller would be lost if evidence that fell again took it back."""
    state = soak().observe([window(failed=10, requests=20)])
    for _ in range(30):
        state = state.observe([window()])
    assert state.counted.log_evidence[0] < 0
    assert state.verdict().decision is Decision.ROLL_BACK


def test_the_figures_of_harm_are_those_of_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: evidence of 10^16 : 1 beside "0 of 0 failed", once the fault is over or the tests began anew."""
    monkeypatch.setattr(sequential, "LIFE", 20)
    state = soak()
    for _ in range(5):
        state = state.observe([window()])
    for _ in range(2):
        state = state.observe([window(failed=30, offered=60, completed=10)])
    shown = state.verdict().reasons[0].text
    assert "60 of 120 failed (50 %, limit 5 %)" in shown and shown.endswith("after 2 windows")
    for _ in range(30):
        state = state.observe([window()])
    harm = [reason.text for reason in state.verdict().decisive]
    assert harm[0] == f"{shown}, shown 30 windows ago"
    assert len({text.split("; evidence")[0] for text in harm}) == len(harm)


def test_the_figures_of_lost_work_are_those_of_its_peak() -> None:
    """Prevents: evidence against the throughput beside a block in which all was completed."""
    state = soak()
    for _ in range(4):
        state = state.observe([window(offered=60, completed=0)])
    shown = state.verdict().reasons[0].text
    assert state.verdict().reasons[0].source == "throughput"
    for _ in range(20):
        state = state.observe([window()])
    assert state.verdict().reasons[0].text == f"{shown}, shown 20 windows ago"


def test_a_new_build_starts_the_soak_again_without_the_look_that_mixes_both() -> None:
    state = soak()
    for _ in range(9):
        state = state.observe([window(build="1.4.0")])
    again = state.observe([window(build="1.4.1", failed=60)])
    assert again.looks == 0
    assert again.verdict().reasons[0].text == "build of A@package changed from 1.4.0 to 1.4.1; the soak began again"
    assert again.observe([window(build="1.4.1")]).courses[0].windows == 1


def test_a_build_that_comes_and_goes_hides_no_harm() -> None:
    """Prevents: one replica that crashes again and again starts the evidence anew for ever."""
    state = soak()
    labels = ["1", "1+2"] * 30
    for label in labels:
        state = state.observe([window(build=label, failed=3, requests=10)])
    assert state.verdict().decision is Decision.ROLL_BACK


def test_a_build_that_comes_and_goes_is_never_safe() -> None:
    """Prevents: windows in which another build ran count towards the shortest soak."""
    state = soak().observe([window(build="1")]).observe([window(build="1+2")])
    passed = Check(Category.FUNCTIONALITY, "probe", True, "A")
    for label in ["1+2", "1"] * 20:
        state = state.observe([window(build=label)], [passed])
        assert state.verdict().decision is Decision.HOLD
    assert not state.said(Category.FUNCTIONALITY, "probe", "A"), "it spoke of the other build"
    for _ in range(20):
        state = state.observe([window(build="1")], [passed])
    assert state.verdict().decision is Decision.ADVANCE


def test_data_that_is_lost_is_lost_under_a_new_build_as_well() -> None:
    """Prevents: a failed data integrity check is dropped with the look in which the build changed."""
    lost = Check(Category.DATA_INTEGRITY, "carts", False, "A")
    state = soak().observe([window(build="1")]).observe([window(build="2")], [lost]).observe([window(build="2")])
    assert state.verdict().level == 3


def test_a_build_that_is_not_exported_for_a_while_starts_nothing() -> None:
    state = soak().observe([window(build="1.4.0")]).observe([window(build=None)]).observe([window(build="1.4.0")])
    assert state.looks == 3


def test_a_window_is_complete_if_each_of_its_looks_is() -> None:
    """Prevents: a service that is seen in one look of six counts as watched."""
    state = soak()
    for _ in range(10):
        state = state.observe([replace(window(), probes=Missing("not made"))], closes=False).observe([window()])
    assert state.courses[0].windows == 0
    state = state.observe([window()], closes=False).observe([window()])
    assert state.courses[0].windows == 1


def test_windows_with_something_missing_do_not_count_towards_the_minimum() -> None:
    state = soak()
    for number in range(10):
        seen = window()
        state = state.observe([replace(seen, latency=Missing("not scraped")) if number == 3 else seen])
    assert state.courses[0].windows == 9
    assert state.verdict().decision is Decision.HOLD


def test_a_part_of_the_counts_shows_harm_and_never_health() -> None:
    """Prevents: a service advances on what its healthy processes say, or stays because a sick one cannot be seen."""
    state = soak()
    for _ in range(20):
        seen = window()
        part = replace(seen, errors=Missing("b is down", Tally(0, 60)), latency=Missing("b is down", seen.latency))  # type: ignore[arg-type]
        state = state.observe([part])
    assert not state.safe.total[:3].any()
    complete = state.observe([window()]).verdict()
    assert complete.decision is Decision.HOLD, "one look is not the minimum soak"
    slow = Missing("b is down", Histogram(BOUNDS, (0, 0, 0, 60, 0)))
    verdict = soak().observe([replace(window(), latency=slow)]).verdict()
    assert (verdict.decision, verdict.reasons[0].source) == (Decision.ROLL_BACK, "response_time")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40)), min_size=1, max_size=10))
def test_what_is_seen_in_part_never_adds_to_safety(parts: list[tuple[int, int]]) -> None:
    """Prevents: failures that were seen are forgotten because others could not be."""
    state = soak().observe([window(failed=1)])
    for bad, good in parts:
        following = state.observe(
            [replace(window(), errors=Missing("b is down", Tally(bad, bad + good)))], closes=False
        )
        assert following.safe.log_evidence()[0] <= state.safe.log_evidence()[0] + 1e-9
        state = following


numbers = st.integers(0, 40)
looks = st.builds(
    lambda failed, good, slow: window(failed=failed, requests=failed + good, slow=min(slow, failed + good)),
    numbers,
    numbers,
    numbers,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(looks, min_size=1, max_size=12), st.data())
def test_worse_counts_never_make_a_better_verdict(course: list[Window], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(course) - 1))
    errors = course[at].errors
    assert isinstance(errors, Tally)
    worse = replace(
        course[at], errors=Tally(min(errors.bad + data.draw(st.integers(1, 5)), errors.total), errors.total)
    )
    rules = SoakRules(interval=30, checks=2, requests=50)
    better_state, worse_state = soak(rules=rules), soak(rules=rules)
    for number, seen in enumerate(course):
        better_state = better_state.observe([seen])
        worse_state = worse_state.observe([worse if number == at else seen])
        assert worse_state.verdict().decision.rank >= better_state.verdict().decision.rank


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(looks, min_size=1, max_size=4), min_size=1, max_size=6))
def test_looks_in_the_middle_of_a_window_add_up(course: list[list[Window]]) -> None:
    """Evidence and counts after each window are those of one look at its end, however often it was looked into."""
    often, once = soak(), soak()
    for seen in course:
        for look in seen[:-1]:
            often = often.observe([look], closes=False)
        often = often.observe([seen[-1]])
        errors, latencies = [look.errors for look in seen], [look.latency for look in seen]
        flows = [look.throughput for look in seen]
        whole = Window(
            "A",
            sum((each for each in errors if isinstance(each, Tally)), Tally(0, 0)),
            sum((each for each in latencies if isinstance(each, Histogram)), Histogram(BOUNDS, (0,) * 5)),
            Throughput(
                50,
                sum(each.offered for each in flows if isinstance(each, Throughput)),
                sum(each.completed for each in flows if isinstance(each, Throughput)),
                60 * len(seen),
                60 * len(seen),
            ),
            Tally(0, len(seen)),
        )
        once = once.observe([whole])
        assert often.counted.log_evidence == pytest.approx(once.counted.log_evidence, abs=1e-9)
        assert (often.safe.block, often.safe.windows) == (once.safe.block, once.safe.windows)
        assert (often.safe.bad.tolist(), often.safe.total.tolist()) == (
            once.safe.bad.tolist(),
            once.safe.total.tolist(),
        )
        assert often.courses == once.courses


# Throughput


def test_work_in_progress_is_not_lost_work() -> None:
    """Requests of the last window are not due: with long requests the first looks of a soak have no answers at all."""
    backlog = Backlog()
    for offered, completed in [(10, 0), (10, 9), (10, 10), (10, 11)]:
        backlog = backlog.add(offered, completed).close()
    assert (backlog.due, backlog.late) == (30, 1)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30))
def test_lateness_never_exceeds_what_is_due_or_falls(course: list[tuple[int, int]]) -> None:
    backlog = Backlog()
    for offered, completed in course:
        following = backlog.add(offered, completed).close()
        assert backlog.late <= following.late <= backlog.late + following.due - backlog.due
        backlog = following


def test_requests_that_never_return_are_harm() -> None:
    """They are no errors and have no response time: only demand shows them."""
    state = soak()
    for _ in range(2):
        state = state.observe([window(requests=0, offered=60, completed=0)])
    verdict = state.verdict()
    assert (verdict.decision, verdict.reasons[0].source) == (Decision.ROLL_BACK, "throughput")


def test_a_cause_that_both_versions_share_is_not_the_package() -> None:
    state = soak()
    for _ in range(10):
        state = state.observe([window(requests=20, offered=60, completed=20, legacy_completed=20)])
    assert state.verdict().decision is Decision.HOLD  # by the requests only
    assert state.courses[0].flow.relative == pytest.approx(1.0)


def test_at_full_weight_completed_is_compared_with_offered() -> None:
    state = soak()
    for _ in range(3):
        state = state.observe(
            [window(requests=20, weight=100, offered=60, completed=20, legacy_offered=0, legacy_completed=0)]
        )
    assert state.verdict().decision is Decision.ROLL_BACK


def test_less_demand_is_no_harm_but_holds() -> None:
    state = soak()
    for _ in range(10):
        seen = window()
        assert isinstance(seen.throughput, Throughput)
        state = state.observe([replace(seen, throughput=replace(seen.throughput, expected=400.0))])
    verdict = state.verdict()
    assert verdict.decision is Decision.HOLD
    assert "demand is 30 % of the baseline's for this time" in verdict.decisive[0].text


def test_relative_throughput_without_anything_due_is_unknown() -> None:
    assert Flow().relative is None
    assert Flow(weight=50, package=Backlog(due=5)).relative is None


def test_a_histogram_whose_bounds_change_starts_over() -> None:
    state = soak().observe([window()])
    other = Histogram((0.2, 0.3, math.inf), (7, 0, 0))
    assert state.observe([replace(window(), latency=other)]).courses[0].latency == other
