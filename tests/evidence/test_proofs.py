"""Proofs become evidence for the calls that they are about; the compiler's output is read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from causeway.errors import ConfigError, Exit, Unreachable
from causeway.evidence import proofs, tsc, typescript
from causeway.evidence.proofs import Checked, Direction, Outcome, Proof
from causeway.model.matrix import L_P, P_L, Interaction, Kind, Matrix, Phase, Service, Status

TODAY = date(2025, 9, 1)
MATRIX = Matrix(
    services={name: Service(name) for name in ("Front", "Back")},
    phases=(Phase("low", ("Front", "Back")),),
    dependencies=("Clock",),
    interactions=(
        Interaction("Front", "Back"),
        Interaction("Clock", "Back"),
        Interaction("Back", "Back", Kind.STATE),
    ),
)


def checked(*outcomes: tuple[Direction, Outcome]) -> Checked:
    return Checked(tuple(Proof("Back", way, outcome, "why") for way, outcome in outcomes), "tsc 5.9.3")


def test_a_package_that_stands_for_legacy_serves_legacy_consumers() -> None:
    found = proofs.evidence(
        checked((Direction.PACKAGE_FOR_LEGACY, Outcome.PROVEN)), MATRIX, {"Back": "1.2.0", "Front": "7"}, TODAY
    )
    assert [(entry.consumer, entry.pair) for entry in found.entries] == [("Front", L_P), ("Clock", L_P)]
    assert found.entries[0].as_dict() == {
        "consumer": "Front",
        "provider": "Back",
        "kind": "call",
        "pair": "legacy->package",
        "verified": "interface check, tsc 5.9.3",
        "date": "2025-09-01",
        "about": {"Back": "1.2.0"},
    }


def test_a_dependency_has_no_package_that_could_call() -> None:
    found = proofs.evidence(checked((Direction.LEGACY_FOR_PACKAGE, Outcome.BROKEN)), MATRIX, {}, TODAY)
    assert [(entry.consumer, entry.pair) for entry in found.entries] == [("Front", P_L)]
    assert (found.entries[0].evidence.status, found.entries[0].evidence.source) == (
        Status.INCOMPATIBLE,
        "tsc 5.9.3: why",
    )


def test_what_is_open_becomes_no_evidence_and_is_said() -> None:
    both = checked((Direction.PACKAGE_FOR_LEGACY, Outcome.INCONCLUSIVE))
    found = proofs.evidence(both, MATRIX, {}, TODAY)
    assert found.entries == ()
    assert found.unknown[0].what == "Back: package for legacy"
    assert both.code is Exit.HELD


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], Exit.OK),
        ([Outcome.PROVEN, Outcome.PROVEN], Exit.OK),
        ([Outcome.PROVEN, Outcome.INCONCLUSIVE], Exit.HELD),
        ([Outcome.BROKEN, Outcome.INCONCLUSIVE], Exit.UNSAFE),
    ],
)
def test_the_exit_code_is_the_worst_proof(outcomes: list[Outcome], code: Exit) -> None:
    assert checked(*((way, outcome) for way, outcome in zip(Direction, outcomes, strict=False))).code is code


def test_an_unknown_service_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="Bakc is no service"):
        proofs.chosen(MATRIX, ("Bakc",))


# --- the compiler's output ---


def compiler(*lines: str) -> Callable[[Path], tuple[str, str]]:
    return lambda work: ("tsc 9.9.9", "\n".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("legacy", "package"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "Back.ts").write_text("export function f(): void {}\nexport interface Alone { a: 1 }\n")
    return tmp_path


def outcomes(folder: Path, *lines: str) -> list[tuple[Outcome, str]]:
    return [(proof.outcome, proof.why) for proof in typescript.check(folder, ["Back"], compiler(*lines)).proofs]


def test_no_complaint_is_a_proof(folder: Path) -> None:
    assert outcomes(folder) == [(Outcome.PROVEN, "")] * 2


def test_a_misfit_is_one_line_that_names_the_member(folder: Path) -> None:
    found = outcomes(
        folder,
        "check0-package.ts(10,14): error TS2322: Type 'A' is not assignable to type 'B'.",
        "  Types of property 'f' are incompatible.",
        "    Type 'number' is not assignable to type 'string'.",
    )
    assert found == [
        (Outcome.BROKEN, "TS2322: f: Type 'number' is not assignable to type 'string'."),
        (Outcome.PROVEN, ""),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("check0-package.ts(6,1): error TS2578: Unused '@ts-expect-error' directive.", "anything fits"),
        ("check0-package.ts(1,30): error TS2307: Cannot find module 'x'.", "TS2307"),
        ("check0-package.ts(10,14): error TS2589: Type instantiation is excessively deep.", "TS2589"),
        ("../legacy/Back.ts(3,4): error TS2304: Cannot find name 'X'.", "Back.ts:3"),
        ("legacy0.ts(35,4): error TS2304: Cannot find name 'ReadonlyMap'.", "ReadonlyMap"),
        ("error TS5083: Cannot read file 'base.json'.", "base.json"),
        (
            "check0-package.ts(10,14): error TS2741: Property '[anyOfLegacy]' is missing in type 'AnyOfPackage' "
            "but required in type 'AnyOfLegacy'.",
            "`any` on both sides",
        ),
    ],
)
def test_any_other_complaint_proves_nothing(folder: Path, line: str, why: str) -> None:
    outcome, said = outcomes(folder, line)[0]
    assert outcome is Outcome.INCONCLUSIVE
    assert why in said


def test_missing_files_are_open_without_asking_the_compiler(tmp_path: Path) -> None:
    def never(work: Path) -> tuple[str, str]:
        raise AssertionError("there is nothing to compile")

    assert {proof.outcome for proof in typescript.check(tmp_path, ["Back"], never).proofs} == {Outcome.INCONCLUSIVE}


def test_types_to_which_nothing_leads_are_named(folder: Path) -> None:
    unseen = typescript.check(folder, ["Back"], compiler()).unseen
    assert unseen == tuple(f"Back@{v}: nothing exported leads to the type Alone" for v in ("legacy", "package"))


def test_a_compiler_that_fails_for_another_reason_is_no_proof(tmp_path: Path) -> None:
    """A crash prints no complaint; without a look at the exit code that would read as all proven."""
    script = tmp_path / "tsc"
    script.write_text(
        "#!/bin/sh\ntest \"$1\" = --version && echo Version 1 && exit 0\necho 'out of memory' >&2; exit 1\n"
    )
    script.chmod(0o755)
    with pytest.raises(Unreachable, match="out of memory"):
        tsc.compiler(tmp_path, script, print)(tmp_path)


def test_without_node_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match=r"npm is not on PATH.*Install Node\.js"):
        tsc.compiler(tmp_path, None, print)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads(Path("examples/cvplus/interfaces/package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
