"""The certificate: status, exposures, what is missing, what blocks where, and the JSON of it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from causeway.config import from_file
from causeway.errors import ConfigError
from causeway.model import certificate as module
from causeway.model.certificate import Certificate, certify
from causeway.model.closure import capped
from causeway.model.exposure import NoReturn
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
)
from causeway.model.remedy import replace_phase

V = Evidence(Status.VERIFIED, "contract tests, 2025-08-20")
X = Evidence(Status.INCOMPATIBLE, "fields were renamed")
STALE = replace(V, stale="expired on 2025-08-31")
ACCEPTED = Evidence(Status.VERIFIED, "accepted unknown: low traffic (until 2025-09-30)", accepted=True)
STACK = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"


def two(evidence: dict[Pair, Evidence], **more: object) -> Matrix:
    """A calls B; ladders of two rungs."""
    names = ("A", "B")
    interaction = Interaction("A", "B", evidence=evidence, **more)  # type: ignore[arg-type]
    return Matrix({n: Service(n, ladder=(50, 100)) for n in names}, (Phase("low", names),), (), (interaction,))


def crossed(certificate: Certificate, furthest: str, weights: dict[str, int]) -> tuple[NoReturn, ...]:
    return certificate.crossed(certificate.plan.at(furthest).weights, weights)


def blocked(certificate: Certificate) -> list[str]:
    return [position.name for position in certificate.plan if certificate.blocked(position.name)]


def test_every_exposed_pair_with_its_first_and_last_position() -> None:
    facts = certify(two({P_L: V, P_P: V})).as_dict()
    assert facts == {
        "status": "safe",
        "groups": [["A"], ["B"]],
        "exposures": [
            {
                "consumer": "A",
                "provider": "B",
                "kind": "call",
                "pair": "package->legacy",
                "first": "low/A/50",
                "last": "low/B/50",
                "evidence": "contract tests, 2025-08-20",
            },
            {
                "consumer": "A",
                "provider": "B",
                "kind": "call",
                "pair": "package->package",
                "first": "low/B/50",
                "last": "deprecation/retire-legacy",
                "evidence": "contract tests, 2025-08-20",
            },
        ],
        "missing": [],
        "no_return": [],
        "closures": {"A": ["A", "B"], "B": ["B"]},
        "conflict": [],
        "remedies": [],
    }


def test_missing_evidence_says_what_it_blocks_and_what_unblocks() -> None:
    certificate = certify(two({P_L: V}))
    assert certificate.status == "unknown"
    assert blocked(certificate) == ["low/B/50", "low/B/100", "deprecation/retire-legacy"]
    assert certificate.as_dict()["missing"] == [
        {
            "consumer": "A",
            "provider": "B",
            "kind": "call",
            "pair": "package->package",
            "first": "low/B/50",
            "last": "deprecation/retire-legacy",
            "steps": 3,
            "why": "A@package -> B@package (call) has no evidence",
            "unblock": [
                "add evidence for A -> B (call) package->package under causeway:matrix",
                "or accept the unknown by name, with reason and expiry, under causeway:accept",
            ],
        }
    ]


def test_what_is_known_to_break_is_unsafe_and_cannot_be_accepted() -> None:
    certificate = certify(two({P_L: V, P_P: X}))
    assert certificate.status == "unsafe"
    (missing,) = certificate.missing
    assert str(missing) == "A@package -> B@package (call) is incompatible: fields were renamed"
    assert not any("accept" in way for way in missing.unblock)


def test_stale_evidence_blocks_forward_and_nothing_else() -> None:
    certificate = certify(two({P_L: STALE, P_P: V}))
    assert certificate.status == "unknown"
    assert blocked(certificate) == ["low/A/50", "low/A/100", "low/B/50"]
    assert crossed(certificate, "low/B/50", {"A": 0, "B": 0}) == ()
    # The hold of B takes A along: what was known once is not known now.
    assert dict(certificate.closures())["B"] == {"A", "B"}


def circle_with_a_break() -> Matrix:
    """B before A for want of evidence, and A before B because B's package breaks A's legacy, which it never meets."""
    names = ("A", "B")
    rows = (
        Interaction("A", "B", evidence={L_P: V, P_P: V}),
        Interaction("B", "A", routing=Routing.INDEPENDENT, evidence={P_L: X, L_P: V, P_P: V}),
    )
    return Matrix({n: Service(n) for n in names}, (Phase("low", names),), (), rows)


def test_a_circle_with_what_is_known_to_break_is_unsafe_though_nothing_that_breaks_is_exposed() -> None:
    """Prevents: an order that only a repair could open is told as one that evidence could open (exit 3, not 4)."""
    certificate = certify(circle_with_a_break())
    assert certificate.conflict
    assert not any(each.incompatible for each in (*certificate.missing, *certificate.exposures))
    assert certificate.status == "unsafe"
    unknown = tuple(
        replace(i, evidence={p: e for p, e in i.evidence.items() if e is not X})
        for i in circle_with_a_break().interactions
    )
    assert certify(replace(circle_with_a_break(), interactions=unknown)).status == "unknown"


def test_an_accepted_unknown_moves_and_stays_visible() -> None:
    certificate = certify(two({P_L: ACCEPTED, P_P: V}))
    assert certificate.status == "safe"
    evidence = [each["evidence"] for each in certificate.as_dict()["exposures"]]  # type: ignore[attr-defined]
    assert evidence[0] == "accepted unknown: low traffic (until 2025-09-30)"


def test_a_position_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no position low/A/60"):
        certify(two({})).blocked("low/A/60")


def test_a_strategy_that_converts_state_needs_no_evidence_to_read_it() -> None:
    matrix = two({L_P: V, P_P: V}, kind=Kind.STATE)
    assert [str(each.pair) for each in certify(matrix).missing] == ["package->legacy"]
    services = {**matrix.services, "A": replace(matrix.services["A"], strategy="dual_write")}
    certificate = certify(replace(matrix, services=services))
    assert certificate.status == "safe"
    said = certificate.as_dict()["exposures"][0]["evidence"]  # type: ignore[index]
    assert said == "dual_write converts or dual-writes this state"


def test_state_of_a_dependency_is_not_converted() -> None:
    matrix = two({}, kind=Kind.STATE)
    services = {"A": Service("A", strategy="dual_write")}
    matrix = replace(matrix, services=services, dependencies=("B",), phases=(Phase("low", ("A",)),))
    assert [str(each.pair) for each in certify(matrix).missing] == ["package->legacy"]


class TestPointOfNoReturn:
    """Nothing says that A's legacy can read what B's package writes."""

    MATRIX = two({P_L: V, P_P: V}, kind=Kind.STATE)

    def test_it_blocks_until_acknowledged(self) -> None:
        certificate = certify(self.MATRIX)
        assert certificate.status == "unknown"
        assert blocked(certificate) == ["low/B/50", "low/B/100", "deprecation/retire-legacy"]
        assert certificate.missing[0].unblock == (
            "add evidence for A -> B (state) legacy->package under causeway:matrix",
            "or acknowledge under causeway:acknowledge that A cannot go back from there on",
        )

    def test_acknowledged_it_is_listed_and_safe(self) -> None:
        certificate = certify(replace(self.MATRIX, acknowledged=frozenset("A")))
        assert certificate.status == "safe"
        assert certificate.as_dict()["no_return"] == [
            {
                "service": "A",
                "provider": "B",
                "position": "low/B/50",
                "acknowledged": True,
                "why": "A@legacy -> B@package (state) has no evidence",
            }
        ]

    def test_from_there_on_the_service_does_not_go_back_but_others_do(self) -> None:
        certificate = certify(replace(self.MATRIX, acknowledged=frozenset("A")))
        assert crossed(certificate, "low/A/100", {"A": 0, "B": 0}) == ()
        assert [each.service for each in crossed(certificate, "low/B/50", {"A": 50, "B": 0})] == ["A"]
        assert crossed(certificate, "low/B/50", {"A": 100, "B": 0}) == ()

    def test_state_per_user_is_crossed_only_below_what_has_been_written(self) -> None:
        own = two({P_L: V, P_P: V}, kind=Kind.STATE, scope=Scope.COHORT)
        certificate = certify(replace(own, acknowledged=frozenset("A")))
        assert crossed(certificate, "low/B/50", {"A": 50, "B": 50}) == ()
        assert [each.service for each in crossed(certificate, "low/B/50", {"A": 0, "B": 0})] == ["A"]

    def test_it_says_where_readers_without_a_watcher_go_back_over_it(self) -> None:
        """Prevents: an operator acknowledges what no level goes back over, and an outage of the watcher does."""
        row = Interaction("A", "A", Kind.STATE, scope=Scope.COHORT, evidence={P_L: V, P_P: V})
        own = certify(replace(self.MATRIX, interactions=(row,)))
        assert own.as_dict()["no_return"][0]["unwatched"] is True  # type: ignore[index]
        assert "until A is complete, readers that hear no watcher go back" in str(own.no_return[0])
        (complete,) = certify(self.MATRIX).no_return
        assert not complete.unwatched and "watcher" not in str(complete)

    def test_unacknowledged_it_never_blocks_a_way_back(self) -> None:
        assert crossed(certify(self.MATRIX), "low/B/100", {"A": 0, "B": 0}) == ()


def test_a_cap_takes_along_who_must_not_be_ahead() -> None:
    """A is never ahead of B, C starts when A is complete: B capped at 25 caps A, and sends C back."""
    interactions = (
        Interaction("A", "B", evidence={L_P: V, P_P: V}),
        Interaction("C", "A", routing=Routing.INDEPENDENT, evidence={L_P: V, P_P: V}),
    )
    matrix = Matrix({n: Service(n) for n in "ABCD"}, (Phase("low", tuple("ABCD")),), (), interactions)
    assert capped(matrix, {"B": 25}) == {"B": 25, "A": 25, "C": 0}
    assert capped(matrix, {"B": 25, "A": 10}) == {"B": 25, "A": 10, "C": 0}
    assert capped(matrix, {"B": 100, "D": 50}) == {"D": 50}


def test_closures_beyond_what_can_be_listed_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    """All closures together may be quadratic; a certificate must not be."""
    monkeypatch.setattr(module, "LISTED", 2)
    assert certify(two({P_L: V, P_P: V})).as_dict()["closures"] == {"A": ["A", "B"], "B": None}


class TestCVPlus:
    """The stack's own matrix: safe with its evidence, and not without any one entry of it."""

    MATRIX = from_file(STACK, today=datetime.date(2025, 9, 1)).matrix

    @staticmethod
    def removals(matrix: Matrix) -> Iterator[tuple[Interaction, Pair, Matrix]]:
        for index, interaction in enumerate(matrix.interactions):
            for pair in interaction.evidence:
                kept = {p: e for p, e in interaction.evidence.items() if p != pair}
                rows = list(matrix.interactions)
                rows[index] = replace(interaction, evidence=kept)
                yield interaction, pair, replace(matrix, interactions=tuple(rows))

    def test_safe(self) -> None:
        certificate = certify(self.MATRIX)
        assert certificate.status == "safe"
        assert certificate.groups == tuple((name,) for name in self.MATRIX.services)

    def test_without_any_one_entry_unknown_and_says_what_is_blocked_and_how_to_mend_it(self) -> None:
        for interaction, pair, without in self.removals(self.MATRIX):
            certificate = certify(without)
            assert certificate.status == "unknown", (interaction, pair)
            assert blocked(certificate)
            assert any(
                (m.interaction.consumer, m.interaction.provider, m.pair)
                == (interaction.consumer, interaction.provider, pair)
                for m in certificate.missing
            )
            assert all(each.unblock for each in certificate.missing)
            assert len(certificate.remedies) == (2 if certificate.conflict else 0) or len(certificate.conflict) == 1

    def test_a_circle_across_weeks_without_evidence_is_impossible_and_moving_one_service_mends_it(self) -> None:
        gone = [
            without
            for interaction, pair, without in self.removals(self.MATRIX)
            if str(interaction) == "ImprovementOrchestrator -> ActionOrchestrator (call)" and pair == P_L
        ]
        certificate = certify(gone[0])
        assert [(arc.before, arc.after) for arc in certificate.conflict] == [
            ("ActionOrchestrator", "ImprovementOrchestrator"),
            ("ImprovementOrchestrator", "ActionOrchestrator"),
        ]
        by_phase = certificate.remedies[1]
        assert by_phase.phase is not None
        assert certify(replace_phase(gone[0], *by_phase.services, by_phase.phase)).status == "safe"

    def test_incompatible_both_ways_is_impossible_and_proven(self) -> None:
        ends = {"ActionOrchestrator", "ImprovementOrchestrator"}
        rows = tuple(
            replace(i, evidence={P_L: X, L_P: X, P_P: V}) if {i.consumer, i.provider} == ends else i
            for i in self.MATRIX.interactions
        )
        certificate = certify(replace(self.MATRIX, interactions=rows))
        assert certificate.status == "unsafe"
        assert json.dumps(certificate.as_dict()["conflict"], indent=1) == json.dumps(
            [
                {
                    "before": "ActionOrchestrator",
                    "after": "ImprovementOrchestrator",
                    "cause": "ImprovementOrchestrator@package -> ActionOrchestrator@legacy (call) "
                    "is incompatible: fields were renamed",
                },
                {
                    "before": "ImprovementOrchestrator",
                    "after": "ActionOrchestrator",
                    "cause": "phase low ends before phase critical begins",
                },
            ],
            indent=1,
        )
        assert [remedy.text for remedy in certificate.remedies] == [
            "move ImprovementOrchestrator to phase critical, beside ActionOrchestrator",
            "move ActionOrchestrator to phase low, beside ImprovementOrchestrator",
        ]
        together = certify(
            replace_phase(replace(self.MATRIX, interactions=rows), "ImprovementOrchestrator", "critical")
        )
        assert ("ImprovementOrchestrator", "ActionOrchestrator") in together.groups
        assert together.status == "safe"


def test_every_pair_of_a_verified_matrix_is_covered() -> None:
    assert certify(two(dict.fromkeys(MIXED, V))).status == "safe"
