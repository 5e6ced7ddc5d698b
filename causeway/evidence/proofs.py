"""What an interface check proves, and the evidence that follows from it.

A service has two proofs: its package can stand where its legacy is expected (`PACKAGE_FOR_LEGACY`), and the reverse.
The first is what a legacy consumer needs of the package, the second what a package consumer needs of legacy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from causeway.errors import ConfigError, Exit
from causeway.evidence.record import Entry, Found, Open
from causeway.model.matrix import L_P, P_L, Evidence, Kind, Matrix, Pair, Status, Version


class Outcome(StrEnum):
    """What came of a proof. What is not proven is no evidence against it either."""

    PROVEN = "proven"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"


class Direction(StrEnum):
    """Which version stands in for which."""

    PACKAGE_FOR_LEGACY = "package for legacy"
    LEGACY_FOR_PACKAGE = "legacy for package"

    @property
    def provider(self) -> Version:
        """The version that answers."""
        return Version.PACKAGE if self is Direction.PACKAGE_FOR_LEGACY else Version.LEGACY

    @property
    def pair(self) -> Pair:
        """Whose question it settles: a consumer of the version that is stood in for."""
        return L_P if self is Direction.PACKAGE_FOR_LEGACY else P_L


@dataclass(frozen=True, slots=True)
class Proof:
    """One service, one direction, and what the compiler said about it (`why`, one line; empty if proven)."""

    service: str
    direction: Direction
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one run of a compiler gave: its proofs, its name and version, and what it cannot see, in words.

    `read` are the files of the project that it read for each service, those of both versions and what they import.
    """

    proofs: tuple[Proof, ...]
    compiler: str
    unseen: tuple[str, ...] = ()
    read: Mapping[str, frozenset[Path]] = field(default_factory=dict)

    @property
    def code(self) -> Exit:
        """UNSAFE if a proof is broken, HELD if one is open, else OK."""
        outcomes = {proof.outcome for proof in self.proofs}
        if Outcome.BROKEN in outcomes:
            return Exit.UNSAFE
        return Exit.HELD if Outcome.INCONCLUSIVE in outcomes else Exit.OK


def evidence(checked: Checked, matrix: Matrix, about: Mapping[str, str], today: date) -> Found:
    """Proofs of a provider as evidence for every call to it. `about` is the version of each service's code."""
    entries, unknown = [], []
    for proof in checked.proofs:
        if proof.outcome is Outcome.INCONCLUSIVE:
            unknown.append(Open(f"{proof.service}: {proof.direction}", proof.why))
            continue
        for interaction in matrix.interactions:
            if interaction.kind is not Kind.CALL or interaction.provider != proof.service:
                continue
            if proof.direction.pair.consumer is Version.PACKAGE and interaction.consumer not in matrix.services:
                continue  # a dependency has no package that could ask
            entries.append(
                Entry(
                    interaction.consumer,
                    proof.service,
                    proof.direction.pair,
                    _evidence(proof, checked, about, today),
                    Kind.CALL,
                )
            )
    return Found(tuple(entries), tuple(unknown))


def _evidence(proof: Proof, checked: Checked, about: Mapping[str, str], today: date) -> Evidence:
    code = {proof.service: about[proof.service]} if proof.service in about else {}
    if proof.outcome is Outcome.PROVEN:
        return Evidence(Status.VERIFIED, f"interface check, {checked.compiler}", date=today, about=code)
    return Evidence(Status.INCOMPATIBLE, f"{checked.compiler}: {proof.why}", date=today, about=code)


def chosen(matrix: Matrix, services: tuple[str, ...]) -> tuple[str, ...]:
    """The services to check: those named, else all. Raises ConfigError for a name that is none."""
    for name in services:
        if name not in matrix.services:
            raise ConfigError(
                f"{name} is no service of causeway:matrix",
                "nothing was checked",
                f"It has {', '.join(matrix.services)}.",
            )
    return services or tuple(matrix.services)


def digests(
    folder: Path, services: Iterable[str], suffixes: tuple[str, ...], read: Mapping[str, frozenset[Path]]
) -> dict[str, str]:
    """The SHA-256 of each service's two files, by `version/Service`, and by `Service` that of all that was read."""
    found: dict[str, str] = {}
    for service in services:
        entries = {version: entry_file(folder, service, version, suffixes) for version in Version}
        there = {version: file for version, file in entries.items() if file is not None}
        found |= {f"{version}/{service}": sha256(file) for version, file in there.items()}
        if there:
            found[service] = _all_of({*there.values(), *read.get(service, ())}, folder.resolve())
    return found


def _all_of(files: Iterable[Path], folder: Path) -> str:
    """One digest of many files, the same wherever the project lies."""
    lines = sorted(f"{os.path.relpath(file, folder)} {sha256(file)}\n" for file in files)
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def reached(entries: Iterable[Path], imports: Callable[[Path], Iterable[Path]]) -> frozenset[Path]:
    """The entries, and every file that they import, directly or not."""
    found: set[Path] = set()
    left = list(entries)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += imports(file)
    return frozenset(found)


def entry_file(folder: Path, service: str, version: Version, suffixes: tuple[str, ...]) -> Path | None:
    """The file in which one version of a service says what it offers, if there is one."""
    candidates = (folder / version / f"{service}{suffix}" for suffix in suffixes)
    return next((path.resolve() for path in candidates if path.is_file()), None)


def about(digests: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The version of each service's code: what was told, else the digest of all that was read of it."""
    return {name: value for name, value in digests.items() if "/" not in name} | dict(told)


def sha256(file: Path) -> str:
    """The content of a file in one word."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def facts(checked: Checked, digests: Mapping[str, str]) -> dict[str, object]:
    """What an evidence file says beside its evidence."""
    proofs = [
        {"service": each.service, "direction": each.direction, "outcome": each.outcome, "why": each.why}
        for each in checked.proofs
    ]
    return {"tool": checked.compiler, "digests": dict(digests), "proofs": proofs, "unseen": list(checked.unseen)}


def line(proof: Proof) -> str:
    """A proof for people."""
    return f"{proof.outcome:12} {proof.service}: {proof.direction}{': ' if proof.why else ''}{proof.why}"
