"""Every compatibility question of Pact Broker's own tests, answered at least as strictly.

What is in the environment is legacy, what is asked about is a package, and a version beside another of the same
application is a dependency of its own: each live version counts, whatever else is live.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway.model.certificate import certify
from causeway.model.matrix import L_P, P_L, P_P, Evidence, Interaction, Matrix, Pair, Phase, Service, Status

V = Evidence(Status.VERIFIED, "pact verification")
X = Evidence(Status.INCOMPATIBLE, "pact verification failed")
CASES = Path(__file__).parents[1] / "data" / "pact_matrix.md"


def _broker() -> dict[str, str]:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in CASES.read_text().splitlines() if "| P" in line
    ]
    return {row[0]: row[3].strip("*") for row in rows}


def _matrix(moving: str, *rows: tuple[str, str, dict[Pair, Evidence]]) -> Matrix:
    names = moving.split()
    ends = dict.fromkeys(name for consumer, provider, _ in rows for name in (consumer, provider))
    return Matrix(
        services={name: Service(name) for name in names},
        phases=(Phase("all", tuple(names)),),
        dependencies=tuple(name for name in ends if name not in names),
        interactions=tuple(Interaction(consumer, provider, evidence=said) for consumer, provider, said in rows),
    )


ASKED = {
    "P1": (_matrix("Foo", ("Foo", "Bar2", {P_L: V})), "safe"),
    "P2": (_matrix("Foo", ("Foo", "Bar2", {P_L: X})), "unsafe"),
    "P3": (_matrix("Foo", ("Foo", "no Bar yet", {})), "unknown"),
    "P4": (_matrix("Bar"), "safe"),
    "P5": (_matrix("Bar", ("Foo1", "Bar", {L_P: V}), ("Foo2", "Bar", {})), "unknown"),
    "P6": (_matrix("Bar", ("Foo1", "Bar", {L_P: V}), ("Foo2", "Bar", {L_P: V})), "safe"),
    "P7": (_matrix("Foo", ("Foo", "Bar10", {}), ("Foo", "Bar11", {})), "unknown"),
    "P8": (_matrix("Foo", ("Foo", "Bar10", {}), ("Foo", "Bar11", {P_L: V})), "unknown"),
    "P9": (_matrix("Foo", ("Foo", "Bar10", {P_L: X}), ("Foo", "Bar11", {P_L: V})), "unsafe"),
    "P10": (_matrix("Foo", ("Foo", "Bar10", {P_L: V}), ("Foo", "Bar11", {P_L: V})), "safe"),
    "P11": (_matrix("Foo", ("Foo", "Bar10", {P_L: X}), ("Foo", "Bar11", {P_L: V})), "unsafe"),
    "P12": (_matrix("Foo", ("Foo", "Bar10", {P_L: V}), ("Foo", "Bar11", {P_L: V})), "safe"),
    "P13": (_matrix("Foo", ("Foo", "Bar11", {P_L: V})), "safe"),
    "P14": (_matrix("A B", ("B", "A", {P_L: V}), ("A", "B", {P_P: V})), "unknown"),
    "P15": (_matrix("B", ("B", "A99", {P_L: V}), ("A99", "B", {})), "unknown"),
}
#: Where the broker says yes though a live version was never verified.
STRICTER = {"P8"}


def test_every_case_is_asked() -> None:
    assert set(_broker()) == set(ASKED)


@pytest.mark.parametrize("case", ASKED)
def test_answered_at_least_as_strictly(case: str) -> None:
    matrix, expected = ASKED[case]
    answer = certify(matrix).status
    assert answer == expected
    broker_says_yes = _broker()[case].startswith("true")
    assert (answer == "safe") == (broker_says_yes and case not in STRICTER)


def test_the_provider_goes_first_where_its_old_version_is_not_there() -> None:
    """P3 and P4 in one plan: nothing is verified against a Bar that is not there, so Bar moves before Foo."""
    matrix = _matrix("Foo Bar", ("Foo", "Bar", {L_P: V, P_P: V}))
    certificate = certify(matrix)
    assert certificate.status == "safe"
    assert certificate.groups == (("Bar",), ("Foo",))
