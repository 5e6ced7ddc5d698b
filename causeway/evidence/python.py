"""Interfaces of Python services, compared by mypy.

Both versions' surfaces become protocols (`surface.py`), and per service and direction one generated module returns one
where the other is expected. A canary in each fails to fit unless the target is something that anything fits.
What this does not see: `docs/reference/evidence.md`.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from causeway.errors import Unreachable
from causeway.evidence.proofs import Checked, Direction, Outcome, Proof, entry_file, reached
from causeway.evidence.surface import SURFACE, surface
from causeway.model.matrix import Version

#: Given the generated modules: the version of the checker, and what it printed.
Checker = Callable[[Sequence[Path]], tuple[str, str]]

_LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+): (?P<kind>error|note): (?P<text>.*?)(?:  \[(?P<code>[\w-]+)\])?$")
_PARSED = re.compile(r"^LOG: +Parsing (?P<file>.+) \((?P<module>[\w.]+)\)$")
_INSTALLED = {"site-packages", "dist-packages", "typeshed"}
_LONGEST = 300
_PATIENCE_S = 300
_PROOF = 11


@dataclass(frozen=True, slots=True)
class _Service:
    """A service whose two files are there: its number in the generated names, and what no check of it can see."""

    name: str
    number: int
    unclear: tuple[str, ...]
    files: tuple[Path, ...]

    def module(self, version: Version) -> str:
        return f"causeway_{version}_{self.number}"

    def check(self, direction: Direction) -> str:
        return f"causeway_check_{self.number}_{direction.provider}"


def check(folder: Path, services: Iterable[str], checker: Checker) -> Checked:
    """Prove what can be proven of the services whose files lie in `folder`, with one run of the checker.

    Raises ConfigError where a file is no Python.
    """
    with TemporaryDirectory(prefix="causeway-evidence-") as name:
        work = Path(name).resolve()
        found, missing = _generate(folder, services, work)
        if not found:
            return Checked(tuple(missing), "")
        version, output = checker(sorted(work.glob("*.py")))
        modules = parsed(output, work)
    messages = list(_messages(output))
    proofs = [_verdict(each, direction, messages) for each in found for direction in Direction]
    read = {each.name: reached(each.files, lambda file: imports(file, modules)) for each in found}
    return Checked((*missing, *proofs), version, read=read)


def mypy(modules: Sequence[Path]) -> tuple[str, str]:
    """Run the installed mypy, strict and without anybody's settings. Raises Unreachable where it cannot be run."""
    if find_spec("mypy") is None:
        raise Unreachable("mypy is not installed", "no interface was compared", "`pip install mypy`.")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", os.devnull]
    command += ["--no-pretty", "--hide-error-context", "--no-color-output", "--no-error-summary", "--show-error-codes"]
    command += ["--verbose", "--follow-imports=silent", *map(str, modules)]
    paths = os.pathsep.join(filter(None, (str(modules[0].parent), os.environ.get("MYPYPATH"))))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "MYPYPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"mypy did not end within {_PATIENCE_S} s", "no interface was compared") from None
    if done.returncode not in (0, 1) or (done.returncode and not done.stdout.strip()):
        said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line and not line.startswith("LOG:")]
        last = said[-1] if said else f"exit code {done.returncode}"
        raise Unreachable(f"mypy itself failed: {last}", "no interface was compared")
    from importlib.metadata import version

    return f"mypy {version('mypy')}", f"{done.stdout}\n{done.stderr}"


# --- what the checker is given ------------------------------------------------------------------------------------


def _generate(folder: Path, services: Iterable[str], work: Path) -> tuple[list[_Service], list[Proof]]:
    found, missing = [], []
    for number, name in enumerate(services):
        files = {version: entry_file(folder, name, version, (".py",)) for version in Version}
        lost = [f"there is no {folder / version / name}.py" for version, file in files.items() if file is None]
        if lost:
            missing += [Proof(name, direction, Outcome.INCONCLUSIVE, lost[0]) for direction in Direction]
            continue
        unclear: list[str] = []
        for version, file in files.items():
            assert file is not None
            made = surface(file.read_text(encoding="utf-8"), str(file))
            (work / f"causeway_{version}_{number}.py").write_text(made.source, encoding="utf-8")
            unclear += [f"{version}: {what}" for what in made.unclear]
        service = _Service(name, number, tuple(unclear), tuple(file for file in files.values() if file))
        for direction in Direction:
            (work / f"{service.check(direction)}.py").write_text(_source(service, direction), encoding="utf-8")
        found.append(service)
    return found, missing


def _source(service: _Service, direction: Direction) -> str:
    provider = direction.provider
    expected = Version.LEGACY if provider is Version.PACKAGE else Version.PACKAGE
    return f"""from {service.module(provider)} import {SURFACE} as Provider
from {service.module(expected)} import {SURFACE} as Expected
class Stray:
    pass


def canary(stray: Stray) -> Expected:
    return stray  # type: ignore[return-value]

def proof(provider: Provider) -> Expected:
    return provider
"""


# --- what it read -------------------------------------------------------------------------------------------------


def parsed(output: str, work: Path) -> Mapping[str, Path]:
    """The modules of the project that the checker has read; not the generated ones, nor what is installed."""
    found = {}
    for line in output.splitlines():
        if match := _PARSED.match(line):
            path = (work / match["file"]).resolve()
            if work not in path.parents and not _INSTALLED & {*path.parts}:
                found[match["module"]] = path
    return found


def imports(file: Path, modules: Mapping[str, Path]) -> Iterator[Path]:
    """Those of the modules that a file imports."""
    own = next((name for name, path in modules.items() if path == file), "")
    package = own.split(".") if file.name.startswith("__init__.") else own.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(filter(None, (*above, node.module)))
            names = [f"{base}.{each.name}" for each in node.names]
        for name in names:
            parts = name.split(".")
            wanted = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
            yield from (modules[each] for each in wanted if each in modules)


# --- what it answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Message:
    module: str
    line: int
    error: bool
    text: str
    code: str


def _messages(output: str) -> Iterator[_Message]:
    for line in output.splitlines():
        if found := _LINE.match(line):
            yield _Message(
                Path(found["file"]).stem,
                int(found["line"]),
                found["kind"] == "error",
                found["text"],
                found["code"] or "",
            )


def _verdict(service: _Service, direction: Direction, messages: list[_Message]) -> Proof:
    def proof(outcome: Outcome, why: str = "") -> Proof:
        return Proof(service.name, direction, outcome, _tidy(why))

    check = service.check(direction)
    mine = {service.module(version) for version in Version}
    stray = next((m for m in messages if m.error and (m.module in mine or not m.module.startswith("causeway_"))), None)
    if stray is not None:
        return proof(Outcome.INCONCLUSIVE, f"{stray.module}:{stray.line}: {stray.text}")
    said = [m for m in messages if m.module == check]
    errors = [m for m in said if m.error]
    if any(m.code == "unused-ignore" for m in errors):
        return proof(Outcome.INCONCLUSIVE, "the expected side offers nothing, or anything fits it")
    odd = next((m for m in errors if m.line != _PROOF or m.code != "return-value"), None)
    if odd is not None:
        return proof(Outcome.INCONCLUSIVE, odd.text)
    if errors:
        return proof(Outcome.BROKEN, "; ".join(m.text.strip() for m in said if m.line == _PROOF))
    if service.unclear:
        return proof(Outcome.INCONCLUSIVE, "; ".join(service.unclear))
    return proof(Outcome.PROVEN)


def _tidy(text: str) -> str:
    """One line, with the modules named as versions."""
    short = re.sub(r"causeway_(legacy|package)_\d+", r"\1", " ".join(text.split()))
    return short if len(short) <= _LONGEST else short[: _LONGEST - 1] + "…"
