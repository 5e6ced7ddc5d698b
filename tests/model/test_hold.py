"""Holds: what config writes, and what falls with a service. A hold never raises a weight."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.model.closure import closure
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.matrix import L_P, P_P, Interaction, Kind, Matrix, Phase, Routing, Service
from causeway.model.order import arcs
from causeway.model.plan import build
from tests.model.matrix_examples import VERIFIED, matrices

names = st.sampled_from(["A", "B", "C", "D"])
holds = st.builds(Hold, st.dictionaries(names, st.integers(0, 99)))


@given(holds)
def test_what_is_written_reads_back(hold: Hold) -> None:
    assert Hold.parse(hold.entries()) == hold
    assert hash(Hold.parse(reversed(hold.entries()))) == hash(hold)
    assert bool(hold) == bool(hold.entries())


@given(holds, st.lists(names))
def test_opening_breakers_never_raises_a_cap(hold: Hold, opened: list[str]) -> None:
    after = hold.opened(iter(opened))
    assert all(after.caps[name] == 0 for name in opened)
    assert all(after.caps[name] <= cap for name, cap in hold.caps.items())


@given(holds, st.lists(names), st.integers(0, 100))
def test_capping_concerns_the_named_services_alone(hold: Hold, named: list[str], cap: int) -> None:
    """Prevents: capping with no breaker open fails, and an iterator caps the first service only."""
    after = hold.capped(iter(named), cap)
    others = {name: value for name, value in hold.caps.items() if name not in named}
    assert after.caps == others | (dict.fromkeys(named, cap) if cap < 100 else {})


@pytest.mark.parametrize("entries", [["A@100"], ["A@-1"], ["A@"], ["A@x"], ["A@1@2"], ["A@²"]])
def test_a_cap_is_a_percentage_below_100(entries: list[str]) -> None:
    with pytest.raises(ValueError, match="a cap lies between 0 and 99"):
        Hold.parse(entries)


def test_one_service_has_one_cap() -> None:
    """Prevents: the later entry of `[A, A@50]` lets traffic onto an open breaker."""
    with pytest.raises(ValueError, match="A twice"):
        Hold.parse(["A", "A@50"])


@settings(max_examples=60)
@given(matrices(), st.data())
def test_caps_respect_the_order_of_the_certificate_at_every_position(matrix: Matrix, data: st.DataObject) -> None:
    """Under any hold, `after` is never ahead of `before`; a strict one waits until `before` is complete.

    Asked where the plan itself keeps the order, which an impossible matrix does not.
    """
    plan = build(matrix)
    caps = data.draw(st.dictionaries(st.sampled_from(sorted(matrix.services)), st.integers(0, 99), min_size=1))
    for position in plan:
        free, held = plan.at(position.name).weights, plan.at(position.name, Hold(caps)).weights
        assert all(held[name] <= min(free[name], caps.get(name, 100)) for name in held)
        for arc in arcs(matrix, stale_counts=False):
            if arc.strict:
                ordered, kept = (w[arc.after] == 0 or w[arc.before] == 100 for w in (free, held))
            else:
                ordered, kept = (w[arc.after] <= w[arc.before] for w in (free, held))
            assert kept or not ordered, f"{arc.before} before {arc.after} at {position.name}"


@settings(max_examples=60)
@given(matrices(), st.data())
def test_a_breaker_takes_its_closure_and_nobody_else(matrix: Matrix, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(matrix.services)))
    assert Hold().opened([name]).effective(matrix) == dict.fromkeys(closure(matrix, [name]), 0)


def test_no_hold_caps_nobody() -> None:
    matrix = Matrix({"A": Service("A")}, (Phase("low", ("A",)),))
    assert NO_HOLD.effective(matrix) == {}
    assert str(NO_HOLD) == ""


def test_a_cap_takes_a_follower_along_and_a_waiting_one_down() -> None:
    """A calls B and must not be ahead of it; C starts only once B is complete."""
    services = {name: Service(name) for name in "ABC"}
    interactions = (
        Interaction("A", "B", evidence={L_P: VERIFIED, P_P: VERIFIED}),
        Interaction("C", "B", Kind.CALL, Routing.INDEPENDENT, evidence={L_P: VERIFIED, P_P: VERIFIED}),
    )
    matrix = Matrix(services, (Phase("low", ("A", "B", "C")),), interactions=interactions)
    assert Hold({"B": 25}).effective(matrix) == {"B": 25, "A": 25, "C": 0}
