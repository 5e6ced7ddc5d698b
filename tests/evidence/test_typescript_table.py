"""Every kind of change of an interface, judged by the real compiler: one run over the whole table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from causeway.evidence import typescript
from causeway.evidence.proofs import Direction, Outcome
from causeway.evidence.tsc import compiler
from tests.evidence.interface_cases import CASES, Case

PINNED = Path("examples/cvplus/interfaces")  # its lock file names the compiler
EXPECTED = {True: Outcome.PROVEN, False: Outcome.BROKEN, None: Outcome.INCONCLUSIVE}

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed")]


def lay_out(folder: Path, modules: dict[str, tuple[str, str]]) -> Path:
    for service, sources in modules.items():
        for version, source in zip(("legacy", "package"), sources, strict=True):
            (folder / version).mkdir(parents=True, exist_ok=True)
            (folder / version / f"{service}.ts").write_text(source)
    return folder


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Direction], tuple[Outcome, str]]:
    names = {f"Case{number}": case.name for number, case in enumerate(CASES)}
    folder = lay_out(
        tmp_path_factory.mktemp("table"), {f"Case{n}": (case.legacy, case.package) for n, case in enumerate(CASES)}
    )
    checked = typescript.check(folder, names, compiler(PINNED, None, print))
    assert checked.compiler == "tsc 7.0.2"
    return {(names[proof.service], proof.direction): (proof.outcome, proof.why) for proof in checked.proofs}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_of_an_interface_is_judged(
    case: Case, outcomes: dict[tuple[str, Direction], tuple[Outcome, str]]
) -> None:
    expected = {
        Direction.PACKAGE_FOR_LEGACY: EXPECTED[case.package_for_legacy],
        Direction.LEGACY_FOR_PACKAGE: EXPECTED[case.legacy_for_package],
    }
    found = {direction: outcomes[case.name, direction] for direction in Direction}
    assert {direction: outcome for direction, (outcome, _) in found.items()} == expected, found
    assert all(bool(why) is (outcome is not Outcome.PROVEN) for outcome, why in found.values())


def test_an_error_in_the_code_under_check_leaves_everything_open(tmp_path: Path) -> None:
    good = "export class S { f(): string { return '' } }"
    broken = "import { Gone } from './gone';\nexport class S { f(): Gone { return null! } }"
    folder = lay_out(tmp_path, {"Good": (good, good), "Broken": (broken, good)})
    checked = typescript.check(folder, ["Good", "Broken", "Missing"], compiler(PINNED, None, print))
    assert {proof.outcome for proof in checked.proofs} == {Outcome.INCONCLUSIVE}
    whys = {proof.service: proof.why for proof in checked.proofs}
    assert "Broken.ts:1" in whys["Good"] and "there is no" in whys["Missing"]


def test_a_projects_own_settings_cannot_weaken_the_proof(tmp_path: Path) -> None:
    folder = lay_out(
        tmp_path,
        {
            "S": (
                "export function f(): string { return '' }",
                "export function f(): string | undefined { return undefined }",
            )
        },
    )
    (folder / "tsconfig.json").write_text(
        '{"compilerOptions": {"target": "es2020", "strict": false, "strictNullChecks": false}}'
    )
    proof = typescript.check(folder, ["S"], compiler(PINNED, None, print)).proofs[0]
    assert proof.outcome is Outcome.BROKEN
    assert "undefined" in proof.why.lower()
    assert str(tmp_path) not in proof.why


@pytest.mark.parametrize(
    ("head", "suffix", "settings"),
    [
        ("", ".d.ts", '{"compilerOptions": {"skipLibCheck": true}}'),
        ("// @ts-ignore\n", ".ts", "{}"),
        ("// @ts-nocheck\n", ".ts", "{}"),
        ("/* @ts-expect-error */\n", ".ts", "{}"),
    ],
)
def test_what_the_compiler_is_told_not_to_say_proves_nothing(
    tmp_path: Path, head: str, suffix: str, settings: str
) -> None:
    """Prevents: types that could not be found, and so fit anything, are proven to fit because nobody complained."""
    folder = lay_out(tmp_path, {"S": ("", "export function f(a: string): number { return a.length }")})
    (folder / "legacy" / "S.ts").unlink()
    surface = f'{head}import {{Foo}} from "not-installed";\nexport declare function f(a: Foo): Foo;\n'
    (folder / "legacy" / f"S{suffix}").write_text(surface)
    (folder / "tsconfig.json").write_text(settings)
    checked = typescript.check(folder, ["S"], compiler(PINNED, None, print))
    assert {proof.outcome for proof in checked.proofs} == {Outcome.INCONCLUSIVE}


def test_the_interfaces_of_cvplus_stand_for_each_other() -> None:
    services = [path.stem for path in (PINNED / "legacy").glob("*.ts")]
    checked = typescript.check(PINNED, services, compiler(PINNED, None, print))
    assert len(checked.proofs) == 14
    assert {proof.outcome for proof in checked.proofs} == {Outcome.PROVEN}, checked.proofs
    assert checked.unseen == ()
