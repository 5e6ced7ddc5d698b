"""Evidence of an interface check is about all that was read for it: a change behind a re-export makes it stale."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import pytest

from causeway.evidence import proofs, python, typescript
from causeway.evidence.tsc import compiler
from causeway.model.matrix import Interaction, Matrix, Phase, Service

PINNED = Path("examples/cvplus/interfaces")
TODAY = date(2025, 9, 1)
Check = Callable[[], proofs.Checked]


def lay_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "interfaces"


def about(folder: Path, check: Check, suffixes: tuple[str, ...]) -> str:
    """The version that evidence of the service S is about."""
    checked = check()
    digests = proofs.digests(folder, ["S"], suffixes, checked.read)
    matrix = Matrix({n: Service(n) for n in "SC"}, (Phase("p", ("S", "C")),), (), (Interaction("C", "S"),))
    found = proofs.evidence(checked, matrix, proofs.about(digests, {}), TODAY)
    (version,) = {entry.evidence.about["S"] for entry in found.entries}
    return version


def goes_stale(files: dict[str, str], folder: Path, check: Check, suffixes: tuple[str, ...]) -> Iterable[str]:
    """The files whose change changes what the evidence is about."""
    before = about(folder, check, suffixes)
    for name, text in files.items():
        lay_out(folder.parent, {name: f"{text}\n"})
        if about(folder, check, suffixes) != before:
            yield name
        lay_out(folder.parent, {name: text})
    assert about(folder, check, suffixes) == before


TYPESCRIPT = {
    "interfaces/legacy/S.ts": 'export { S } from "../../old/s";',
    "interfaces/package/S.ts": 'export { S } from "../../new/s";',
    "interfaces/tsconfig.json": '{"compilerOptions": {"target": "es2022", "module": "esnext"}}',
    "old/s.ts": 'import type { T } from "./types";\nexport class S { f(t: T): string { return t } }',
    "old/types.ts": "export type T = string;",
    "new/s.ts": '/// <reference path="./more.d.ts" />\nexport class S { f(t: string): string { return t } }',
    "new/more.d.ts": "declare const more: number;",
    "old/unread.ts": "export const nobody = 1;",
    "interfaces/legacy/Other.ts": "export function f(): string { return '' }",
    "interfaces/package/Other.ts": "export function f(): string { return '' }",
}


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js is not installed")
def test_typescript_evidence_is_about_what_the_compiler_read(tmp_path: Path) -> None:
    """Prevents: the file that re-exports the real code never changes, and its evidence never goes stale."""
    folder = lay_out(tmp_path, TYPESCRIPT)

    def check() -> proofs.Checked:
        return typescript.check(folder, ["Other", "S"], compiler(PINNED, None, print))

    unread = {"old/unread.ts", "interfaces/legacy/Other.ts", "interfaces/package/Other.ts"}
    assert set(goes_stale(TYPESCRIPT, folder, check, typescript.SUFFIXES)) == {*TYPESCRIPT} - unread


PYTHON = {
    "interfaces/legacy/S.py": "from app.old import T\ndef f(t: T) -> str: ...\n",
    "interfaces/package/S.py": "import app.new\ndef f(t: app.new.T) -> str: ...\n",
    "lib/app/__init__.py": "",
    "lib/app/old.py": "from .types import T as T\n",
    "lib/app/new.py": "from app.types import T as T\n",
    "lib/app/types.py": "class T:\n    a: int\n",
    "lib/app/unread.py": "x: int = 1\n",
    "interfaces/legacy/Other.py": "from app.unread import x\ndef f(a: int) -> str: ...\n",
    "interfaces/package/Other.py": "def f(a: int) -> str: ...\n",
}


def test_python_evidence_is_about_what_the_checker_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: the same, where an interface takes its types from other modules."""
    folder = lay_out(tmp_path, PYTHON)
    monkeypatch.setenv("MYPYPATH", str(tmp_path / "lib"))
    checked = python.check(folder, ["Other", "S"], python.mypy)
    assert {str(path.relative_to(tmp_path)) for path in checked.read["S"]} == {*PYTHON} - {
        "lib/app/unread.py",
        "interfaces/legacy/Other.py",
        "interfaces/package/Other.py",
    }
    before = about(folder, lambda: checked, (".py",))
    (tmp_path / "lib/app/types.py").write_text("class T:\n    a: str\n")
    assert about(folder, lambda: checked, (".py",)) != before


def test_the_same_project_elsewhere_has_the_same_digest(tmp_path: Path) -> None:
    """Prevents: evidence that was made on another machine is stale on this one."""
    found = []
    for place in ("here", "there"):
        folder = lay_out(tmp_path / place, TYPESCRIPT)
        read = {"S": frozenset({(tmp_path / place / "old" / "s.ts").resolve()})}
        found.append(proofs.digests(folder, ["S"], typescript.SUFFIXES, read)["S"])
    assert found[0] == found[1]


def test_what_npm_has_installed_and_what_is_generated_is_not_the_project_s(tmp_path: Path) -> None:
    files = ("project/a.ts", "project/b.ts", "project/node_modules/c/index.d.ts", "work/check0.ts")
    lay_out(tmp_path, dict.fromkeys(files, ""))
    output = "\n".join(
        [
            "../project/node_modules/c/index.d.ts",
            "   Imported via \"c\" from file '../project/b.ts' with packageId 'c/index.d.ts@1.0.0'",
            "../project/b.ts",
            "   Imported via \"./b\" from file '../project/a.ts'",
            "../project/a.ts",
            "   Imported via \"/project/a.ts\" from file 'check0.ts'",
            "check0.ts",
            "   Part of 'files' list in tsconfig.json",
        ]
    )
    a, b = (tmp_path / name for name in files[:2])
    found = typescript.imported(output, tmp_path / "work")
    assert {path: each for path, each in found.items() if path in (a, b)} == {a: {b}, b: set()}
    assert proofs.reached([a], lambda file: found.get(file, ())) == {a, b}
