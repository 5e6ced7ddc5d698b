"""Python modules compared by mypy through protocols: one run over a table, and what is said to be open."""

from __future__ import annotations

from pathlib import Path

import pytest

from causeway.evidence import python
from causeway.evidence.proofs import Outcome
from causeway.evidence.surface import surface

DATA = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass R:\n    a: str\n    b: int{default}\n"
ENUM = "from enum import Enum\nclass E(Enum):\n    A = 'a'\n    B = 'b'\n{more}\ndef f(e: E) -> E: ...\n"
# name -> legacy, package, package for legacy, legacy for package (None: inconclusive)
CASES: dict[str, tuple[str, str, bool | None, bool | None]] = {
    "removed_function": (
        "def f() -> int: ...\ndef g() -> int: ...\n",
        "def f() -> int: ...\n",
        False,
        True,
    ),
    "narrowed_parameter": ("def f(x: str | int) -> None: ...\n", "def f(x: str) -> None: ...\n", False, True),
    "widened_return": ("def f() -> str: ...\n", "def f() -> str | None: ...\n", False, True),
    "async_to_sync": ("async def f() -> int: ...\n", "def f() -> int: ...\n", False, False),
    "renamed_parameter": ("def f(x: int) -> None: ...\n", "def f(y: int) -> None: ...\n", False, False),
    "optional_parameter": ("def f(x: int) -> None: ...\n", "def f(x: int, y: int = 0) -> None: ...\n", True, False),
    "field_removed": (
        DATA.format(default="") + "def f() -> R: ...\n",
        DATA.format(default="").replace("    b: int\n", "") + "def f() -> R: ...\n",
        False,
        False,
    ),
    "same_by_another_name": (
        "class C:\n    def __init__(self, a: int) -> None:\n        self._a = a\n    def get(self) -> 'C': ...\n",
        "class C:\n    def __init__(self, a: int) -> None:\n        self.__b = a\n    def get(self) -> 'C': ...\n",
        True,
        True,
    ),
    "constructor": (
        "class C:\n    def __init__(self, a: int) -> None: ...\n",
        "class C:\n    def __init__(self, a: int, b: int) -> None: ...\n",
        False,
        False,
    ),
    "method_removed": (
        "class C:\n    def f(self) -> int: ...\n    def g(self) -> int: ...\n",
        "class C:\n    def f(self) -> int: ...\n",
        False,
        True,
    ),
    "enum_same": (ENUM.format(more=""), ENUM.format(more=""), True, True),
    "enum_added": (ENUM.format(more=""), ENUM.format(more="    C = 'c'\n"), False, False),
    "any": (
        "from typing import Any\ndef f() -> Any: ...\n",
        "from typing import Any\ndef f() -> Any: ...\n",
        None,
        None,
    ),
    "no_annotation": ("def f(x): ...\n", "def f(x): ...\n", None, None),
    "nothing": ("import os\n", "import os\n", None, None),
    "inherited_constructor": (
        "class B:\n    def __init__(self, a: int) -> None: ...\nclass C(B):\n    def f(self) -> int: ...\n",
        "class B:\n    def __init__(self, a: str) -> None: ...\nclass C(B):\n    def f(self) -> int: ...\n",
        False,
        False,
    ),
    "swapped_parameters": (
        "def f(x: int, y: int) -> None: ...\n",
        "def f(y: int, x: int) -> None: ...\n",
        False,
        False,
    ),
    "positional_only_renamed": ("def f(x: int, /) -> None: ...\n", "def f(y: int, /) -> None: ...\n", True, True),
}
EXPECTED = {True: Outcome.PROVEN, False: Outcome.BROKEN, None: Outcome.INCONCLUSIVE}


def lay_out(folder: Path, modules: dict[str, tuple[str, str]]) -> Path:
    for name, sources in modules.items():
        for version, source in zip(("legacy", "package"), sources, strict=True):
            (folder / version).mkdir(parents=True, exist_ok=True)
            (folder / version / f"{name}.py").write_text(source)
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Outcome, str]]]:
    folder = lay_out(tmp_path_factory.mktemp("python"), {name: case[:2] for name, case in CASES.items()})
    checked = python.check(folder, CASES, python.mypy)
    assert checked.compiler.startswith("mypy ")
    by_name: dict[str, list[tuple[Outcome, str]]] = {}
    for proof in checked.proofs:
        by_name.setdefault(proof.service, []).append((proof.outcome, proof.why))
    return by_name


@pytest.mark.e2e
@pytest.mark.parametrize("name", CASES)
def test_a_change_of_an_interface_is_judged(name: str, found: dict[str, list[tuple[Outcome, str]]]) -> None:
    assert [outcome for outcome, _ in found[name]] == [EXPECTED[each] for each in CASES[name][2:]], found[name]


@pytest.mark.e2e
def test_an_error_in_a_surface_leaves_its_service_open(tmp_path: Path) -> None:
    source = "def f(x: Gone) -> int: ...\n"
    folder = lay_out(tmp_path, {"S": (source, source)})
    assert {proof.outcome for proof in python.check(folder, ["S"], python.mypy).proofs} == {Outcome.INCONCLUSIVE}


def test_a_missing_file_is_open(tmp_path: Path) -> None:
    checked = python.check(tmp_path, ["S"], lambda modules: pytest.fail("nothing to check"))
    assert [proof.outcome for proof in checked.proofs] == [Outcome.INCONCLUSIVE] * 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import functools\n@functools.cache\ndef f() -> int: ...\n", "f is decorated with cache"),
        ("from base import B\nclass C(B): ...\n", "C inherits from B, which stands elsewhere"),
        ("class C:\n    def __init__(self) -> None:\n        self.x = 1\n", "C.x has no annotation"),
        ("LIMIT = 3\ndef f() -> int: ...\n", "LIMIT has no annotation"),
        ("def f(*rest) -> int: ...\n", "f: rest has no annotation"),
        ("__all__ = ['f']\ndef g() -> int: ...\n", "it offers nothing that is defined in its own file"),
    ],
)
def test_what_a_surface_cannot_speak_for_is_named(source: str, said: str) -> None:
    assert said in surface(source, "a.py").unclear


def test_a_surface_holds_what_is_public_and_runs_nothing() -> None:
    source = "raise SystemExit\n_x: int = 1\ny: int = 2\ndef _g() -> int: ...\ndef f(a: int = 3) -> int: ...\n"
    made = surface(source, "a.py")
    assert made.unclear == ()
    assert "def y(self) -> int" in made.source
    assert "def f(self, a: int=...) -> int" in made.source
    assert "_g" not in made.source and "_x" not in made.source and "SystemExit" not in made.source
