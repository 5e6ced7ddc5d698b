"""Arcs, groups and proofs of conflict."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from causeway.model.matrix import (
    L_P,
    MIXED,
    P_L,
    P_P,
    Evidence,
    Interaction,
    Kind,
    Matrix,
    Pair,
    Phase,
    Routing,
    Scope,
    Service,
    Status,
    Traffic,
)
from causeway.model.order import PhaseOrder, Unproven, order
from causeway.model.remedy import Cost, remedies

V = Evidence(Status.VERIFIED, "tests")
X = Evidence(Status.INCOMPATIBLE, "fields were renamed")


def call(consumer: str, provider: str, missing: str = "", **more: object) -> Interaction:
    """A verified call, but for the pairs named."""
    gone = {Pair.parse(text) for text in missing.split()}
    return Interaction(consumer, provider, evidence={p: V for p in MIXED if p not in gone}, **more)  # type: ignore[arg-type]


def matrix(*interactions: Interaction, phases: tuple[str, ...] = ("A B C",), **more: object) -> Matrix:
    names = " ".join(phases).split()
    return Matrix(
        services={name: Service(name) for name in names},
        phases=tuple(Phase(f"p{n}", tuple(own.split())) for n, own in enumerate(phases)),
        interactions=interactions,
        **more,  # type: ignore[arg-type]
    )


def with_service(base: Matrix, name: str, **change: object) -> Matrix:
    return replace(base, services={**base.services, name: replace(base.services[name], **change)})  # type: ignore[arg-type]


def test_free_groups_keep_the_order_of_the_config() -> None:
    assert order(matrix(phases=("C A B",))).groups == (("C",), ("A",), ("B",))


@pytest.mark.parametrize(
    ("interaction", "groups"),
    [
        (call("A", "B", "package->legacy"), (("B",), ("A",), ("C",))),
        (call("B", "A", "legacy->package"), (("B",), ("A",), ("C",))),
        (call("A", "B", "package->legacy legacy->package"), (("A", "B"), ("C",))),
        (call("A", "B", "package->legacy", routing=Routing.INDEPENDENT), (("B",), ("A",), ("C",))),
        (call("B", "A", "legacy->package", kind=Kind.STATE), (("B",), ("A",), ("C",))),
        (call("A", "B", "package->legacy", kind=Kind.STATE), (("A",), ("B",), ("C",))),
        (call("A", "B", "package->package"), (("A",), ("B",), ("C",))),
    ],
)
def test_what_is_not_verified_orders(interaction: Interaction, groups: tuple[tuple[str, ...], ...]) -> None:
    found = order(matrix(interaction))
    assert (found.groups, found.conflict) == (groups, ())


def test_a_circle_of_three_moves_together() -> None:
    found = order(matrix(*(call(a, b, "package->legacy") for a, b in ("AB", "BC", "CA")), phases=("A B C D",)))
    assert found.groups == (("A", "B", "C"), ("D",))


@pytest.mark.parametrize("change", [{"cohort": "tenant"}, {"traffic": Traffic.URL_MAP}])
def test_other_cohorts_and_traffic_kinds_decide_for_themselves(change: dict[str, object]) -> None:
    """Two decisions from two keys cannot move in one write, so what had to move together cannot move at all."""
    base = with_service(matrix(call("A", "B", "package->legacy legacy->package")), "B", **change)
    conflict = order(base).conflict
    assert {(arc.before, arc.after, arc.strict) for arc in conflict} == {("A", "B", True), ("B", "A", True)}


def test_unequal_ladders_cannot_move_together() -> None:
    base = with_service(matrix(call("A", "B", "package->legacy legacy->package")), "B", ladder=(50, 100))
    conflict = order(base).conflict
    assert [(arc.before, arc.after, arc.strict) for arc in conflict] == [("B", "A", False), ("A", "B", False)]
    assert [way.cost for way in remedies(base, conflict)] == [Cost.EVIDENCE, Cost.EVIDENCE]
    broken = {P_L: X, L_P: X, P_P: V}
    base = replace(base, interactions=(replace(base.interactions[0], evidence=broken),))
    assert remedies(base, order(base).conflict)[0].text == "give B and A one ladder: they must move together"


def test_an_arc_against_the_phases_is_a_proof_of_two_arcs() -> None:
    base = matrix(call("A", "B", "package->legacy"), phases=("A", "B"))
    found = order(base)
    assert [(arc.before, arc.after) for arc in found.conflict] == [("B", "A"), ("A", "B")]
    assert found.conflict[0].cause == Unproven(base.interactions[0], P_L)
    assert found.conflict[1].cause == PhaseOrder("p0", "p1")
    assert [way.as_dict() for way in remedies(base, found.conflict)] == [
        {
            "kind": "evidence",
            "remedy": "add evidence for A -> B (call) package->legacy under causeway:matrix",
            "enough": True,
        },
        {
            "kind": "phase",
            "remedy": "move A to phase p1, beside B, and remove phase p0, which is then empty",
            "enough": True,
        },
    ]
    # Phases first, all the same: what has moved must find its way back.
    assert found.groups == (("A",), ("B",))


def test_a_phase_remedy_moves_the_service_that_has_the_fewest_arcs_against_it() -> None:
    """Moving A would run against C, so B is moved."""
    base = matrix(call("A", "B", "package->legacy"), call("C", "A", "package->legacy"), phases=("A", "C", "D", "B"))
    text = "move B to phase p0, beside A, and remove phase p3, which is then empty"
    assert remedies(base, order(base).conflict)[1].text == text


def test_a_phase_remedy_that_ends_in_another_circle_is_not_offered() -> None:
    """Prevents: somebody moves a service to another phase, where unequal ladders would have to move together."""
    broken = replace(call("Q", "Z"), evidence={P_L: X, L_P: X, P_P: V})
    base = with_service(matrix(broken, phases=("Q A", "Z B")), "Q", ladder=(100,))
    (way,) = remedies(base, order(base).conflict)
    assert (way.cost, way.enough) == (Cost.CODE, True)
    alike = with_service(base, "Q", ladder=base.services["Z"].ladder)
    assert [way.cost for way in remedies(alike, order(alike).conflict)] == [Cost.PHASE, Cost.PHASE]


def test_a_remedy_is_preferred_that_leaves_no_phase_empty() -> None:
    base = matrix(call("A", "B", "package->legacy"), phases=("A", "B C"))
    assert remedies(base, order(base).conflict)[1].text == "move B to phase p0, beside A"


def test_a_second_circle_elsewhere_is_said() -> None:
    """Prevents: a remedy reads as if an order existed after it."""
    base = matrix(call("A", "C", "package->legacy"), call("B", "D", "package->legacy"), phases=("A B", "C D"))
    ways = remedies(base, order(base).conflict)
    assert [way.enough for way in ways] == [False, False]
    assert ways[0].text.endswith("a circle of D, B is left then")


def test_a_strict_arc_inside_a_circle_is_impossible() -> None:
    base = matrix(
        call("A", "B", "package->legacy"),
        call("B", "C", "package->legacy"),
        call("C", "A", "package->legacy", routing=Routing.INDEPENDENT),
    )
    found = order(base)
    assert [(arc.before, arc.after) for arc in found.conflict] == [("B", "A"), ("A", "C"), ("C", "B")]
    assert found.groups == (("A",), ("B",), ("C",))


def test_shared_state_of_ones_own_that_legacy_cannot_read_is_a_circle_of_one() -> None:
    found = order(matrix(call("A", "A", "legacy->package", kind=Kind.STATE)))
    assert [(arc.before, arc.after) for arc in found.conflict] == [("A", "A")]


def test_state_of_one_user_follows_that_users_version() -> None:
    found = order(matrix(call("A", "A", "legacy->package", kind=Kind.STATE, scope=Scope.COHORT)))
    assert found.conflict == ()


def test_the_proof_goes_through_what_is_known_to_break() -> None:
    """The status is unsafe for it, so the proof must show it: not the other, unknown, circle."""
    unknown = call("A", "B", "package->legacy legacy->package", routing=Routing.INDEPENDENT)
    broken = replace(call("C", "D", routing=Routing.INDEPENDENT), evidence={P_L: X, L_P: X, P_P: V})
    found = order(matrix(unknown, broken, phases=("A B C D",)))
    assert {arc.before for arc in found.conflict} == {"C", "D"}


def test_going_stale_does_not_reorder_the_plan() -> None:
    """An expiry at night must not rename the position a stack stands at: there would be no way back from it."""
    base = matrix(call("A", "B"))
    stale = replace(V, stale="expired yesterday")
    assert order(replace(base, interactions=(Interaction("A", "B", evidence=dict.fromkeys(MIXED, stale)),))) == order(
        base
    )


def test_groups_that_no_path_joins_may_move_side_by_side() -> None:
    base = matrix(call("A", "B", "package->legacy"), phases=("A B C", "D"), side_by_side=True)
    assert order(base).side_by_side == ((("B",), ("C",)), (("A",),), (("D",),))
    assert order(replace(base, side_by_side=False)).side_by_side == ((("B",),), (("A",),), (("C",),), (("D",),))


@pytest.mark.parametrize("change", [{"ladder": (50, 100)}, {"traffic": Traffic.CLOUD_RUN}])
def test_only_one_write_moves_side_by_side(change: dict[str, object]) -> None:
    base = with_service(matrix(phases=("A B C",), side_by_side=True), "B", **change)
    assert order(base).side_by_side == ((("A",), ("C",)), (("B",),))


def test_no_matrix_is_too_deep() -> None:
    """A chain, and a circle, far longer than Python's recursion limit."""
    names = [f"S{n}" for n in range(5000)]
    chain = [call(a, b, "package->legacy") for a, b in pairwise(names)]
    assert order(matrix(*chain, phases=(" ".join(names),))).groups == tuple((name,) for name in reversed(names))
    circle = [*chain, call(names[-1], names[0], "package->legacy")]
    assert order(matrix(*circle, phases=(" ".join(names),))).groups == (tuple(names),)
