"""Differences of counters: exact where they can be, and otherwise with a reason."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.health.metrics import LARGEST_COUNT, Counts, Reading, Sample, Series, difference, remember

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)
A = Series("a:1", "requests_total", (("service", "X"),))
B = Series("b:1", "requests_total", (("service", "X"),))


def sample(number: int, values: dict[Series, float], started: float | None = None, b: str | None = None) -> Sample:
    at = T0 + timedelta(seconds=5 * number)
    origins = {series.origin for series in values}
    return Sample(at, values, {origin: Reading(at, started) for origin in origins}, {"b:1": b} if b else {})


def walk(*samples: Sample) -> list[Counts]:
    memory, found = None, []
    for each in samples:
        found.append(difference(memory, each))
        memory = remember(memory, each)
    return found


def test_the_first_reading_counts_nothing() -> None:
    (first,) = walk(sample(0, {A: 7}))
    assert first.total([A]) == 0
    assert first.missing([A]) == "read for the first time, nothing to compare with yet"


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_counts_of_a_counter_without_resets_add_up(increments: list[int]) -> None:
    values = [sum(increments[: n + 1]) for n in range(len(increments))]
    counts = walk(*(sample(n, {A: float(value)}) for n, value in enumerate(values)))
    assert [each.total([A]) for each in counts[1:]] == increments[1:]
    assert all(each.missing([A]) is None for each in counts[1:])


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=6), min_size=1, max_size=6))
def test_a_reset_counts_from_zero_when_the_process_says_when_it_began(lives: list[list[int]]) -> None:
    """Also when the new process has already passed the old value, which PromQL's `increase` would get wrong."""
    samples, expected, number = [], 0, 0
    for life in lives:
        began = (T0 + timedelta(seconds=5 * number)).timestamp() - 2
        value = 0
        for increment in life:
            value += increment
            samples.append(sample(number, {A: float(value)}, started=began))
            number += 1
    counts = walk(*samples)
    expected = sum(sum(life) for life in lives) - lives[0][0]
    assert sum(each.total([A]) for each in counts) == expected


def test_a_process_whose_clock_is_ahead_is_not_taken_for_new_when_ours_catches_up() -> None:
    """Prevents an hour of requests from being counted as one window."""
    ahead = T0.timestamp() + 7
    counts = walk(*(sample(n, {A: 1000.0 + n}, started=ahead) for n in range(4)))
    assert [each.total([A]) for each in counts[1:]] == [1, 1, 1]


def test_a_counter_that_fell_counts_from_zero() -> None:
    assert walk(sample(0, {A: 100}), sample(1, {A: 3}))[1].total([A]) == 3


def test_a_series_that_appears_in_a_known_process_counts_in_full() -> None:
    other = A._replace(name="errors_total")
    _, second = walk(sample(0, {A: 10}), sample(1, {A: 12, other: 2}))
    assert (second.total([A]), second.total([other])) == (2, 2)
    assert second.missing([A, other]) is None


def test_a_process_that_appears_is_missing_once_unless_it_has_just_begun() -> None:
    """Prevents the whole past of a process found late from being counted as one window."""
    old = walk(sample(0, {A: 1}), sample(1, {A: 2, B: 9000}), sample(2, {A: 3, B: 9004}))
    assert "read for the first time" in (old[1].missing([A, B]) or "")
    assert old[1].total([A, B]) == 1
    assert (old[2].missing([A, B]), old[2].total([A, B])) == (None, 5)
    began = (T0 + timedelta(seconds=3)).timestamp()
    new = walk(sample(0, {A: 1}), sample(1, {A: 2, B: 4}, started=began))
    assert new[1].missing([B]) is None
    assert new[1].total([B]) == 4


def test_a_process_that_does_not_answer_is_a_gap_and_loses_nothing() -> None:
    _, second, third = walk(
        sample(0, {A: 1, B: 10}), sample(1, {A: 2}, b="b:1 did not answer in time"), sample(2, {A: 3, B: 17})
    )
    assert second.missing([A, B]) == "b:1 did not answer in time"
    assert second.missing([A]) is None
    assert (third.missing([A, B]), third.total([A, B])) == (None, 8)


def test_a_process_that_restarted_while_it_was_out_of_sight_counts_from_zero() -> None:
    """Prevents 40 new requests from being counted as 40 - 10."""
    counts = walk(
        sample(0, {A: 1, B: 10}, started=T0.timestamp() - 60),
        sample(1, {A: 2}, b="b:1 is down"),
        sample(2, {A: 3}, b="b:1 is down"),
        sample(3, {A: 4, B: 40}, started=T0.timestamp() + 4),
    )
    assert counts[3].total([B]) == 40


def test_a_process_that_vanishes_is_a_gap_once() -> None:
    _, second, third = walk(sample(0, {A: 1, B: 10}), sample(1, {A: 2}), sample(2, {A: 3}))
    assert second.missing([A, B]) == "b:1 vanished"
    assert third.missing([A, B]) is None


def test_a_target_that_never_answered_may_concern_everything() -> None:
    _, second = walk(sample(0, {A: 1}), sample(1, {A: 2}, b="b:1 answered 500"))
    assert second.missing([A]) == "b:1 answered 500"


def test_a_blind_source_is_missing_and_loses_nothing() -> None:
    blind = Sample(T0 + timedelta(seconds=5), blind="prometheus answered 500")
    _, second, third = walk(sample(0, {A: 1}), blind, sample(2, {A: 9}))
    assert second.missing([A]) == "prometheus answered 500"
    assert (third.missing([A]), third.total([A])) == (None, 8)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (math.nan, "is not a number"),
        (math.inf, "is no exact count"),
        (-1.0, "is negative"),
        (1.5, "is no exact count"),
        (LARGEST_COUNT * 2, "is no exact count"),
    ],
)
def test_a_value_that_is_no_count_is_a_fault_and_the_next_one_is_compared_with_the_last_that_was(
    value: float, why: str
) -> None:
    """Prevents: what is counted around a value that is none is lost, though the last good one is known."""
    _, second, third, fourth = walk(sample(0, {A: 5}), sample(1, {A: value}), sample(2, {A: 8}), sample(3, {A: 9}))
    assert why in (second.missing([A]) or "")
    assert (third.missing([A]), third.total([A])) == (None, 3)
    assert (fourth.missing([A]), fourth.total([A])) == (None, 1)


def test_a_process_whose_first_value_is_no_count_counts_nothing_until_there_is_one() -> None:
    """Prevents: requests are counted in a look whose failures cannot be, or the other way round."""
    other = A._replace(name="errors_total")
    counts = walk(
        sample(0, {A: 5, other: math.nan}), sample(1, {A: 6, other: 1}), sample(2, {A: 8, other: 2}),
    )  # fmt: skip
    assert "no sane reading before" in (counts[1].missing([A]) or "")
    assert (counts[1].total([A, other]), counts[2].total([A, other])) == (0, 3)


def test_a_series_that_a_living_process_no_longer_sends_is_missing_until_it_is_back() -> None:
    """Prevents: the failures stop being told, and silence is taken for health."""
    errors = A._replace(name="errors_total")
    found = walk(
        sample(0, {A: 10, errors: 1}),
        sample(1, {A: 20}),
        sample(2, {A: 30}),
        sample(3, {A: 40, errors: 9}),
    )
    assert [each.missing([errors]) for each in found[1:3]] == [f"{errors} is no longer sent"] * 2
    assert (found[3].missing([A, errors]), found[3].total([errors])) == (None, 8)


def test_a_page_that_is_empty_all_of_a_sudden_is_missing() -> None:
    """Prevents: a proxy that answers 200 with nothing counts as no requests and no failures."""
    empty = Sample(T0 + timedelta(seconds=5), {}, {"a:1": Reading(T0 + timedelta(seconds=5))})
    _, second, third = walk(sample(0, {A: 10}), empty, sample(2, {A: 12}))
    assert second.missing([A]) == f"{A} is no longer sent"
    assert (third.missing([A]), third.total([A])) == (None, 2)


def test_a_source_that_knows_no_process_any_more_is_blind() -> None:
    """Prevents: a Prometheus that has lost its targets reports that nobody asks and nothing fails."""
    nothing = [Sample(T0 + timedelta(seconds=5 * number)) for number in (1, 2)]
    assert all(each.missing([A]) for each in walk(sample(0, {A: 10}), *nothing)[1:])


@pytest.mark.parametrize("started", [None, T0.timestamp() + 3])
def test_a_new_process_need_not_send_what_the_old_one_did(started: float | None) -> None:
    """Prevents: an error counter that has counted nothing yet is missed after every restart."""
    errors = A._replace(name="errors_total")
    found = walk(
        sample(0, {A: 10, errors: 1}, started=started and T0.timestamp() - 60),
        sample(1, {A: 4}, started=started),
        sample(2, {A: 5}, started=started),
        sample(3, {A: 6, errors: 1}, started=started),
    )
    assert [each.missing([A, errors]) for each in found[1:]] == [None] * 3
    assert [each.total([A]) for each in found[1:]] == [4, 1, 1]
    assert found[3].total([errors]) == 1


def test_what_is_counted_after_an_outage_is_about_all_of_it() -> None:
    """Prevents: ten minutes of requests are reported as the demand of five seconds."""
    blind = [Sample(T0 + timedelta(seconds=5 * number), blind="answered 500") for number in (2, 3)]
    found = walk(sample(0, {A: 0}), sample(1, {A: 50}), *blind, sample(4, {A: 200}), sample(5, {A: 250}))
    assert [(each.until - each.since).total_seconds() for each in found[4:] if each.since] == [15.0, 5.0]


def test_a_clock_that_runs_backwards_changes_no_count() -> None:
    later = Sample(T0 - timedelta(hours=1), {A: 9.0}, {"a:1": Reading(T0 - timedelta(hours=1))})
    _, second = walk(sample(0, {A: 5}), later)
    assert (second.missing([A]), second.total([A])) == (None, 4)


@given(st.lists(st.one_of(st.floats(), st.integers(0, 100).map(float)), min_size=1, max_size=15))
def test_no_value_makes_a_count_negative_or_raises(values: list[float]) -> None:
    for each in walk(*(sample(n, {A: value}) for n, value in enumerate(values))):
        assert each.total([A]) >= 0


def test_processes_are_forgotten_in_the_end() -> None:
    memory = remember(sample(0, {A: 1, B: 1}), sample(1, {A: 2}))
    assert B in memory.values
    late = Sample(T0 + timedelta(hours=2), {A: 3.0}, {"a:1": Reading(T0 + timedelta(hours=2))})
    assert B not in remember(memory, late).values
