"""Where a pair is first and last exposed. (That it is right everywhere is what brute force checks.)"""

from __future__ import annotations

import pytest

from causeway.model.exposure import exposed, wording
from causeway.model.matrix import (
    L_P,
    MIXED,
    P_L,
    P_P,
    Evidence,
    Interaction,
    Kind,
    Matrix,
    Phase,
    Routing,
    Scope,
    Service,
    Status,
)
from causeway.model.plan import build

V = Evidence(Status.VERIFIED, "tests")
ALL = dict.fromkeys(MIXED, V)
#: 0 infrastructure, 1 A/50, 2 A/100, 3 B/50, 4 B/100, 5 retire-legacy
END = 5


def where(
    interaction: Interaction, *, ladder: tuple[int, ...] = (50, 100), together: bool = False
) -> dict[str, object]:
    matrix = Matrix(
        {name: Service(name, ladder=ladder) for name in "AB"},
        (Phase("low", ("A", "B")),),
        ("X",),
        (interaction,),
        side_by_side=together,
    )
    return {str(each.pair): (each.first, each.last) for each in exposed(build(matrix))[0]}


@pytest.mark.parametrize(
    ("interaction", "expected"),
    [
        (Interaction("A", "B", evidence=ALL), {P_L: (1, 3), P_P: (3, END)}),
        (Interaction("B", "A", evidence=ALL), {L_P: (1, 3), P_P: (3, END)}),
        (Interaction("A", "A", evidence=ALL), {P_P: (1, END)}),
        (Interaction("A", "A", routing=Routing.INDEPENDENT, evidence=ALL), {P_L: (1, 1), L_P: (1, 1), P_P: (1, END)}),
        (Interaction("A", "B", Kind.STATE, evidence=ALL), {P_L: (1, END), L_P: (3, END), P_P: (3, END)}),
        (
            Interaction("A", "A", Kind.STATE, scope=Scope.COHORT, evidence=ALL),
            {P_L: (1, END), L_P: (1, END), P_P: (1, END)},
        ),
        (Interaction("A", "X", evidence=ALL), {P_L: (1, END)}),
        (Interaction("X", "B", evidence=ALL), {L_P: (3, END)}),
    ],
)
def test_first_and_last(interaction: Interaction, expected: dict[object, tuple[int, int]]) -> None:
    assert where(interaction) == {str(pair): span for pair, span in expected.items()}


def test_one_write_keeps_one_decision_together() -> None:
    assert where(Interaction("A", "B", evidence=ALL), together=True) == {"package->package": (1, 3)}


def test_two_decisions_see_one_write_at_different_times() -> None:
    """Even on a ladder of one rung, where nothing is mixed before or after."""
    apart = Interaction("A", "B", routing=Routing.INDEPENDENT, evidence=ALL)
    found = where(apart, ladder=(100,), together=True)
    assert found == {"package->legacy": (1, 1), "legacy->package": (1, 1), "package->package": (1, 2)}


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (None, None),
        (V, "tests"),
        (Evidence(Status.INCOMPATIBLE, "renamed"), "incompatible: renamed"),
        (Evidence(Status.VERIFIED, "low traffic", accepted=True), "accepted: low traffic"),
        (Evidence(Status.VERIFIED, "tests", stale="expired"), "tests; stale: expired"),
    ],
)
def test_evidence_in_words(evidence: Evidence | None, words: str | None) -> None:
    assert wording(evidence) == words


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("routing", Routing)
def test_two_dependencies_never_meet_in_another_version(kind: Kind, routing: Routing) -> None:
    """Prevents: a pair exposed behind the plan's end, at which `check` fell over."""
    matrix = Matrix(
        {"A": Service("A")}, (Phase("low", ("A",)),), ("X", "Y"), (Interaction("X", "Y", kind, routing=routing),)
    )
    assert exposed(build(matrix)) == ((), ())
