"""Interfaces of TypeScript services, compared by the compiler.

Per service and direction one generated file assigns one module's surface to the other's, both seen through
`views/views.ts`, of which each side has a textual copy of its own. A canary in each file fails to fit unless the
target has degraded to something that anything fits. What the views see and do not see: `docs/reference/evidence.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from causeway.evidence.proofs import Checked, Direction, Outcome, Proof, entry_file, reached
from causeway.model.matrix import Version

#: Given a folder with a tsconfig.json: the version of the compiler, and what it printed.
Compiler = Callable[[Path], tuple[str, str]]

SUFFIXES = (".ts", ".tsx", ".d.ts")
_VIEWS = files("causeway.evidence").joinpath("views")
_ERROR = re.compile(r"^(?P<file>[^\s(][^(]*)\((?P<line>\d+),\d+\): error TS(?P<code>\d+): (?P<text>.*)$")
#: The codes that say "this does not fit that". Any other is about something else, and tells nothing.
_DOES_NOT_FIT = {2322, 2375, 2559, 2719, 2739, 2740, 2741}
_MEMBER = re.compile(r"(?:Types of property|The types of|The types returned by) '([^']*)'")
_UNUSED_EXPECTATION = 2578
_SOURCES = (".ts", ".tsx", ".mts", ".cts")
_IMPORTED_BY = re.compile(r" from file '([^']+)'")
_SUPPRESSION = re.compile(r"@ts-(?:nocheck|ignore|expect-error)\b")
_LONGEST = 300
#: Copies of the views a side. The compiler takes what comes three times through one declaration for endless and equal;
#: a prime number of copies, so that no repeating nesting (a method of a list of a promise, …) meets one of them sooner.
_DEPTHS = 13
_STRICT = (
    "strict",
    "strictNullChecks",
    "strictFunctionTypes",
    "strictBindCallApply",
    "strictPropertyInitialization",
    "noImplicitAny",
    "noImplicitThis",
    "alwaysStrict",
)


@dataclass(frozen=True, slots=True)
class Surface:
    """The files in which a service's two versions say what they export."""

    service: str
    legacy: Path
    package: Path

    def file(self, version: Version) -> Path:
        """The file of one version."""
        return self.legacy if version is Version.LEGACY else self.package


def find(folder: Path, services: Iterable[str]) -> tuple[list[Surface], list[Proof]]:
    """`legacy/<Service>.ts` and `package/<Service>.ts`; where one is missing, what that leaves open."""
    surfaces, missing = [], []
    for service in services:
        legacy, package = (entry_file(folder, service, version, SUFFIXES) for version in Version)
        if legacy is not None and package is not None:
            surfaces.append(Surface(service, legacy, package))
            continue
        lost = folder / (Version.PACKAGE if legacy else Version.LEGACY) / f"{service}.ts"
        missing += [Proof(service, way, Outcome.INCONCLUSIVE, f"there is no {lost}") for way in Direction]
    return surfaces, missing


def check(folder: Path, services: Iterable[str], compile_: Compiler) -> Checked:
    """Prove what can be proven of the services whose surfaces lie in `folder`, with one run of the compiler."""
    surfaces, missing = find(folder, services)
    if not surfaces:
        return Checked(tuple(missing), "")
    with TemporaryDirectory(prefix="causeway-evidence-") as work:
        checks = generate(surfaces, folder.resolve(), Path(work).resolve())
        compiler, output = compile_(Path(work).resolve())
        hidden = suppressed(output, Path(work).resolve())
        imports = imported(output, Path(work).resolve())
    own = {each for each in (folder.resolve() / "tsconfig.json",) if each.is_file()}
    read = {
        each.service: reached((each.legacy, each.package), lambda file: imports.get(file, ())) | own
        for each in surfaces
    }
    proofs = judge(checks, output, folder.resolve(), hidden)
    return Checked((*missing, *proofs), compiler, tuple(unseen(surfaces)), read)


# --- what the compiler is given -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckFile:
    """One generated file: what it settles, and the line on which its proof stands."""

    service: str
    direction: Direction
    name: str
    proof: int = 10


def generate(surfaces: Sequence[Surface], folder: Path, work: Path) -> list[CheckFile]:
    """Write the check files, the views and a tsconfig.json into `work`."""
    (work / "marks.ts").write_text(_VIEWS.joinpath("marks.ts").read_text(encoding="utf-8"), encoding="utf-8")
    for name, text in _views():
        (work / name).write_text(text, encoding="utf-8")
    checks = []
    for number, surface in enumerate(surfaces):
        for direction in Direction:
            check = CheckFile(surface.service, direction, f"check{number}-{direction.provider}.ts")
            (work / check.name).write_text(_source(surface, direction), encoding="utf-8")
            checks.append(check)
    config = _tsconfig(folder, [check.name for check in checks])
    (work / "tsconfig.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return checks


def _views() -> Iterator[tuple[str, str]]:
    text = _VIEWS.joinpath("views.ts").read_text(encoding="utf-8")
    for version in Version:
        mine = text.replace("AnyOfLegacy", f"AnyOf{version.capitalize()}")
        for depth in range(_DEPTHS):
            deeper = f"{version}{(depth + 1) % _DEPTHS}.ts"
            yield f"{version}{depth}.ts", mine.replace("./deeper.ts", f"./{deeper}")


def _source(surface: Surface, direction: Direction) -> str:
    provider = direction.provider
    expected = Version.LEGACY if provider is Version.PACKAGE else Version.PACKAGE
    return f"""import type * as Provider from {json.dumps(surface.file(provider).as_posix())};
import type * as Expected from {json.dumps(surface.file(expected).as_posix())};
import type {{ Out as Provided }} from "./{provider}0.ts";
import type {{ Out as Wanted }} from "./{expected}0.ts";
import type {{ Stray }} from "./marks.ts";
// @ts-expect-error
export const canary: Wanted<typeof Expected> = {{}} as Stray;

declare const provider: Provided<typeof Provider>;
export const proof: Wanted<typeof Expected> = provider;
"""


def _tsconfig(folder: Path, checks: list[str]) -> Mapping[str, object]:
    """The project's own settings where `folder` has some, else plain modern ones; strict in any case."""
    own = folder / "tsconfig.json"
    roots = [each / "node_modules" / "@types" for each in (folder, *folder.parents)]
    options: dict[str, object] = {
        "noEmit": True,
        "allowImportingTsExtensions": True,
        **dict.fromkeys(_STRICT, True),
        "noEmitOnError": False,
        "composite": False,
        "incremental": False,
        "noUnusedLocals": False,
        "skipLibCheck": False,  # in a .d.ts that is not checked, a type that cannot be found is a silent `any`
        "explainFiles": True,
        "typeRoots": [str(root) for root in roots if root.is_dir()],
    }
    plain = {"target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": []}
    base: dict[str, object] = {"extends": str(own)} if own.is_file() else {}
    return {**base, "compilerOptions": options if base else plain | options, "files": checks, "include": []}


# --- what it answers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something the compiler said, or would have."""

    file: str
    line: int
    code: int
    text: tuple[str, ...]


def imported(output: str, work: Path) -> Mapping[Path, set[Path]]:
    """Which files of the project import which, as the compiler explains them; not those that npm installed."""
    found: dict[Path, set[Path]] = {}
    file: Path | None = None
    for line in output.splitlines():
        if not line.startswith(" "):
            path = (work / line).resolve() if line.endswith(_SOURCES) else None
            theirs = path is None or work in path.parents or "node_modules" in path.parts or not path.is_file()
            file = None if theirs else path
            if file is not None:
                found.setdefault(file, set())
        elif file is not None and (by := _IMPORTED_BY.search(line)):
            found.setdefault((work / by[1]).resolve(), set()).add(file)
    return found


def suppressed(output: str, work: Path) -> Complaint | None:
    """The first comment that keeps the compiler silent, in the files of the project that it read."""
    for path in imported(output, work):
        if work in path.parents:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if found := _SUPPRESSION.search(line):
                return Complaint(str(path), number, 0, (f"{found[0]} hides what the compiler would say",))
    return None


def judge(checks: Sequence[CheckFile], output: str, folder: Path, hidden: Complaint | None = None) -> list[Proof]:
    """What the compiler's output says of each check.

    A complaint about anything but the check files (the code under check, an import, the settings) may have turned
    types into `any` anywhere, and leaves everything open; so does one that a comment hides.
    """
    complaints = list(_complaints(output))
    mine = {check.name for check in checks}
    stray = next((each for each in complaints if each.file not in mine), hidden)
    return [_verdict(check, stray, [c for c in complaints if c.file == check.name], folder) for check in checks]


def _verdict(check: CheckFile, stray: Complaint | None, complaints: list[Complaint], folder: Path) -> Proof:
    def proof(outcome: Outcome, why: str = "") -> Proof:
        return Proof(check.service, check.direction, outcome, why)

    if stray is not None:
        where = f"{Path(stray.file).name}:{stray.line}: " if stray.file else ""
        return proof(Outcome.INCONCLUSIVE, _tidy(f"{where}{stray.text[0]}", folder))
    for complaint in complaints:
        why = _line(complaint, folder)
        if complaint.code == _UNUSED_EXPECTATION:
            return proof(Outcome.INCONCLUSIVE, "the expected side exports no value, or anything fits it")
        if complaint.line != check.proof or complaint.code not in _DOES_NOT_FIT:
            return proof(Outcome.INCONCLUSIVE, f"TS{complaint.code}: {why}")
    if not complaints:
        return proof(Outcome.PROVEN)
    if any("AnyOfLegacy" in c.text[-1] and "AnyOfPackage" in c.text[-1] for c in complaints):
        return proof(
            Outcome.INCONCLUSIVE, f"`any` on both sides hides what is exchanged: {_line(complaints[0], folder)}"
        )
    return proof(Outcome.BROKEN, f"TS{complaints[0].code}: {_line(complaints[0], folder)}")


def _complaints(output: str) -> Iterator[Complaint]:
    """The errors of `tsc --pretty false`; what is indented belongs to the one above it."""
    current: list[str] = []
    head: tuple[str, int, int] | None = None
    for line in output.splitlines():
        if line.startswith(" "):
            current.append(line.strip())
            continue
        if head is not None:
            yield Complaint(*head, tuple(current))
        found = _ERROR.match(line)
        bare = re.match(r"^error TS(\d+): (.*)$", line)
        if found is not None:
            head, current = (found["file"], int(found["line"]), int(found["code"])), [found["text"]]
        elif bare is not None:
            head, current = ("", 0, int(bare[1])), [bare[2]]
        else:
            head = None
    if head is not None:
        yield Complaint(*head, tuple(current))


def _line(complaint: Complaint, folder: Path) -> str:
    """The member, then what does not fit about it: the path of a nested complaint, and its end."""
    members = [
        name for text in complaint.text for name in re.findall(r"(?:Types of property|The types of) '([^']*)'", text)
    ]
    where = ".".join(members)
    return _tidy(f"{where}: {complaint.text[-1]}" if where else complaint.text[-1], folder)


def _tidy(text: str, folder: Path) -> str:
    """One line without the paths of this machine."""
    short = " ".join(text.replace(folder.as_posix() + "/", "").split())
    return short if len(short) <= _LONGEST else short[: _LONGEST - 1] + "…"


# --- what it cannot see -------------------------------------------------------------------------------------------

_TYPE_ONLY = re.compile(r"^export\s+(?:declare\s+)?(?:interface|type)\s+([A-Za-z_$][\w$]*)", re.MULTILINE)


def unseen(surfaces: Iterable[Surface]) -> Iterator[str]:
    """Exported types that nothing else in their file mentions: no value leads to them, so no proof looks at them."""
    for surface in surfaces:
        for version in (Version.LEGACY, Version.PACKAGE):
            text = surface.file(version).read_text(encoding="utf-8")
            for name in _TYPE_ONLY.findall(text):
                if len(re.findall(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text)) == 1:
                    yield f"{surface.service}@{version}: nothing exported leads to the type {name}"
