"""The certificate for people: nothing that an operator has accepted looks as if it were known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from causeway.model.certificate import Certificate, Safety, certify
from causeway.model.matrix import MIXED, P_L, Evidence, Interaction, Matrix, Phase, Service, Status
from causeway.report import certificate_section, certificate_text, matrix_table

V = Evidence(Status.VERIFIED, "contract tests")
ACCEPTED = Evidence(Status.VERIFIED, "accepted unknown: no time (until 2026-01-31)", accepted=True)


def certificate(evidence: Evidence, services: str = "AB") -> Certificate:
    """One service after the other calls the next, which stands behind it; package -> legacy is of `evidence`."""
    joints = pairwise(services)
    return certify(
        Matrix(
            {name: Service(name) for name in services},
            (Phase("low", tuple(services)),),
            interactions=tuple(
                Interaction(*ends, evidence={**dict.fromkeys(MIXED, V), P_L: evidence}) for ends in joints
            ),
        )
    )


def printed(found: Certificate) -> str:
    console = Console(width=200, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(certificate_text.render(found))
    return capture.get()


def test_an_accepted_unknown_is_seen_in_every_view() -> None:
    """Prevents: the operator accepts, and from then on the pull request says that every mixture is known to work."""
    found = certificate(ACCEPTED)
    assert (found.status, [str(each) for each in found.accepted]) == (Safety.SAFE, ["A@package -> B@legacy (call)"])
    assert "safe, 2 pairs of versions meet while 2 groups move, 1 of them accepted though nobody knows" in printed(
        found
    )
    assert "accepted unknown: no time (until 2026-01-31)" in printed(found)
    table = matrix_table.table(found)
    assert "known to work or accepted: 1 accepted unknown." in table
    assert "- ⚠️ A&#64;package -&#62; B&#64;legacy" in table
    assert "| ⚠️ accepted unknown" in table
    section = str(certificate_section.certificate_section(found))
    assert "1 accepted unknown" in section and "⚠ accepted" in section
    assert [row.get("accepted") for row in found.as_dict()["exposures"]] == [True, None]  # type: ignore[attr-defined]


def test_what_is_known_is_not_called_accepted() -> None:
    """Prevents: evidence, or an acceptance that has run out, counted among what an operator accepts."""
    for evidence in (V, replace(ACCEPTED, stale="acceptance expired on 2026-01-31")):
        found = certificate(evidence)
        assert found.accepted == ()
        assert "accepted though" not in printed(found)


def test_people_see_every_pair_and_what_a_hold_takes_along() -> None:
    """Prevents: what meets where, and what falls with a breaker, is known to programs that read JSON alone."""
    found = certify(replace(certificate(V).plan.matrix, interactions=(Interaction("B", "A", evidence={}),)))
    assert "pair: A@package -> B@legacy (call), low/A/10 … low/B/75: contract tests" in printed(certificate(V))
    assert dict(found.closures())["A"] == {"A", "B"}
    assert "hold closure: A takes along B" in printed(found)
    assert "**A hold takes along:**\n\n- A: B\n" in matrix_table.table(found)


@pytest.mark.parametrize("count", [20, 30])
def test_what_is_not_printed_is_counted(count: int) -> None:
    """Prevents: a list that ends without a word, and looks complete."""
    names = "".join(chr(0x4E00 + number) for number in range(count))
    text = printed(certificate(ACCEPTED, names))
    pairs = 2 * (count - 1)
    assert f"… and {pairs - 20} more, in --json" in text
    assert ("… and 9 more, in --json" in text) is (count == 30)
