"""A package counts as slower only where chance is ruled out, and what costs users most comes first."""

from __future__ import annotations

from causeway.report.comparison import compare, to_optimise
from tests.report.accounts import baseline, window

LEGACY = {name: baseline(name, 900, 100, 0, 0) for name in ("A", "B", "C")}


def test_slower_beyond_chance_is_to_be_optimised_and_within_it_is_not() -> None:
    windows = {"A": window("A", 0, 0, 500, 0), "B": window("B", 18, 2, 0, 0)}
    a, b, c = compare("ABC", windows, LEGACY, 0.95)
    assert a.slower
    assert a.finding.startswith("slower than legacy was")
    assert b.finding == "no difference beyond chance"
    assert c.finding == "not compared: its package was not measured"
    assert to_optimise([a, b, c]) == [a]


def test_a_few_requests_prove_nothing() -> None:
    """Prevents one slow request of three, which is the quantile then, from being reported as a slow package."""
    (found,) = compare("A", {"A": window("A", 2, 0, 1, 0)}, LEGACY, 0.95)
    assert found.ratio is not None
    assert found.ratio > 2
    assert not found.slower


def test_failing_comes_before_slowness_and_waiting_counts_by_requests() -> None:
    windows = {
        "A": window("A", 0, 0, 200, 0),
        "B": window("B", 0, 0, 2000, 0),
        "C": window("C", 450, 50, 0, 0, bad=100),
    }
    assert [each.service for each in to_optimise(compare("ABC", windows, LEGACY, 0.95))] == ["C", "B", "A"]


def test_faster_is_said_and_asks_for_nothing() -> None:
    slow = {"A": baseline("A", 0, 0, 1000, 0)}
    (found,) = compare("A", {"A": window("A", 1000, 0, 0, 0)}, slow, 0.95)
    assert found.finding == "faster than legacy was"
    assert to_optimise([found]) == []


def test_what_cannot_be_compared_says_why() -> None:
    (never,) = compare("A", {"A": window("A", 1, 0, 0, 0)}, {}, 0.95)
    (silent,) = compare("A", {"A": window("A", 0, 0, 0, 0)}, LEGACY, 0.95)
    assert "baseline record" in never.finding
    assert silent.finding == "not compared: no requests while it was measured"
