"""Answers compared with what is expected and with each other; edges judged without taking chance for failure."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.health.edges import CHANCE, chance, possible, responsible
from causeway.health.probes import first_difference, lacking, unexpected
from causeway.model.matrix import L_P, MIXED, P_L, P_P, Interaction, Kind
from causeway.model.observation import Expected
from causeway.model.window import Tally

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_an_answer_contains_itself_and_does_not_differ_from_itself(value: Any) -> None:
    assert lacking(value, value) is None
    assert first_difference(value, value) is None


@given(JSON, JSON)
def test_differing_is_symmetric_and_the_opposite_of_equal(one: Any, other: Any) -> None:
    assert (first_difference(one, other) is None) == (first_difference(other, one) is None)
    if first_difference(one, other) is None:
        assert one == other


@given(JSON, JSON)
def test_everything_may_be_ignored(one: Any, other: Any) -> None:
    assert first_difference(one, other, ignore=("",)) is None


@pytest.mark.parametrize(
    ("legacy", "package", "ignore", "found"),
    [
        ({"a": 1}, {"a": 1.0}, (), None),
        ({"a": 1}, {"a": True}, (), "/a differs from legacy"),
        ({"a": 1}, {}, (), "/a is missing in package"),
        ({}, {"a": 1}, (), "/a is missing in legacy"),
        ({}, {"a": 1}, ("/a",), None),
        ([1, 2], [1], (), "the answer differs from legacy"),
        ({"a": [{"b/c": 1}]}, {"a": [{"b/c": 2}]}, (), "/a/0/b~1c differs from legacy"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("/a/*/b",), None),
        ({"ab": 1}, {"ab": 2}, ("/a",), "/ab differs from legacy"),
        ("<html>", {"a": 1}, (), "the answer differs from legacy"),
    ],
)
def test_the_first_difference_is_named_by_its_pointer(
    legacy: Any, package: Any, ignore: tuple[str, ...], found: str | None
) -> None:
    assert first_difference(legacy, package, ignore) == found


def test_a_difference_never_shows_what_the_answers_hold() -> None:
    """Prevents somebody's data from reaching a report."""
    assert "secret" not in (first_difference({"mail": "secret@a"}, {"mail": "secret@b"}) or "")


@pytest.mark.parametrize(
    ("expected", "status", "text", "wrong"),
    [
        (Expected(), 200, "anything", None),
        (Expected(), 503, "", "answered 503, not 200"),
        (Expected(status=404), 404, "", None),
        (Expected(text="ready"), 200, "not yet", 'the answer lacks "ready"'),
        (Expected(json={"ok": True}), 200, '{"ok": true, "more": [1]}', None),
        (Expected(json={"ok": True}), 200, '{"ok": 1}', "/ok is not as expected"),
        (Expected(json={"a": {"b": 1}}), 200, '{"a": {}}', "/a/b is not in the answer"),
        (Expected(json=[1]), 200, "[1, 2]", "the answer is not as expected"),
        (Expected(json={}), 200, "<html>", "the answer is no JSON"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(expected: Expected, status: int, text: str, wrong: str | None) -> None:
    assert unexpected(expected, status, text) == wrong


def binomial_tail(bad: int, total: int, theta: float) -> float:
    return math.fsum(math.comb(total, n) * theta**n * (1 - theta) ** (total - n) for n in range(bad, total + 1))


@given(st.integers(0, 60).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), st.floats(0.01, 0.5))
def test_chance_is_the_binomial_tail(counts: tuple[int, int], theta: float) -> None:
    bad, total = counts
    assert chance(Tally(bad, total), theta) == pytest.approx(binomial_tail(bad, total, theta), rel=1e-6, abs=1e-12)


@given(st.integers(1, 200), st.floats(0.01, 0.5))
def test_a_service_at_the_allowed_rate_fails_less_than_one_look_in_a_hundred(total: int, theta: float) -> None:
    least = next((bad for bad in range(total + 1) if chance(Tally(bad, total), theta) < CHANCE), None)
    if least is not None:
        assert binomial_tail(least, total, theta) < CHANCE


def test_dependencies_are_always_legacy_and_state_is_no_call() -> None:
    call, dependency = Interaction("A", "B"), Interaction("A", "D")
    state = Interaction("A", "A", Kind.STATE)
    assert possible([call, dependency, state], ["D"]) == [*((call, pair) for pair in MIXED), (dependency, P_L)]


@pytest.mark.parametrize(("pair", "service"), [(P_L, "A"), (L_P, "B"), (P_P, "B")])
def test_the_service_to_go_back_is_the_one_on_its_package_that_came_less_far(pair: Any, service: str) -> None:
    assert responsible(Interaction("A", "B"), pair, {"A": 100, "B": 10}) == service
