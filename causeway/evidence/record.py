"""Evidence as importers find it, and the file that a stack names under `causeway:evidence`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causeway.errors import CausewayError, ConfigError, Exit
from causeway.model.matrix import Evidence, Kind, Matrix, Pair, Status


@dataclass(frozen=True, slots=True)
class Entry:
    """Evidence about one pair of versions of one interaction. `kind` None: whichever one joins the two."""

    consumer: str
    provider: str
    pair: Pair
    evidence: Evidence
    kind: Kind | None = None

    def __str__(self) -> str:
        return name_of(self.consumer, self.provider, self.pair) + (" (state)" if self.kind is Kind.STATE else "")

    def as_dict(self) -> dict[str, object]:
        """One row of an evidence file. Keys that say nothing are left out."""
        found = self.evidence
        optional: dict[str, object] = {
            "date": found.date and found.date.isoformat(),
            "expires": found.expires and found.expires.isoformat(),
            "about": dict(found.about),
        }
        return {
            "consumer": self.consumer,
            "provider": self.provider,
            **({"kind": str(self.kind)} if self.kind else {}),
            "pair": str(self.pair),
            str(found.status): found.source,
            **{key: value for key, value in optional.items() if value},
        }


@dataclass(frozen=True, slots=True)
class Open:
    """What was asked and not answered: it becomes no evidence, and is said."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What an importer made of its input."""

    entries: tuple[Entry, ...]
    unknown: tuple[Open, ...] = ()

    @property
    def code(self) -> Exit:
        """UNSAFE if something is known to break, HELD if something could not be told, else OK."""
        if any(entry.evidence.status is Status.INCOMPATIBLE for entry in self.entries):
            return Exit.UNSAFE
        return Exit.HELD if self.unknown or not self.entries else Exit.OK


def name_of(consumer: str, provider: str, pair: Pair) -> str:
    """`Consumer@package->Provider@legacy`."""
    return f"{consumer}@{pair.consumer}->{provider}@{pair.provider}"


def document(found: Found, facts: Mapping[str, object]) -> dict[str, Any]:
    """The evidence file: what config reads, and beside it what the evidence was made from."""
    return {
        "evidence": [entry.as_dict() for entry in found.entries],
        "unknown": [{"what": each.what, "why": each.why} for each in found.unknown],
        **facts,
    }


def summary(found: Found, out: Path | None) -> str:
    """The last line for people: how much of what, and where it went."""
    broken = sum(entry.evidence.status is Status.INCOMPATIBLE for entry in found.entries)
    counts = f"{len(found.entries) - broken} verified, {broken} incompatible, {len(found.unknown)} unknown"
    return f"{counts}; written to {out}" if out else f"{counts}; not written: give --out FILE"


def write(path: Path, content: Mapping[str, object]) -> None:
    """Put the file in place as a whole. Raises CausewayError where it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise CausewayError(f"{path} cannot be written: {error.strerror}", "the evidence is not kept") from None


def read_input(path: Path) -> bytes:
    """A file that was named on the command line. Raises ConfigError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "nothing was imported") from None


def check_names(found: Found, matrix: Matrix) -> None:
    """Raises ConfigError where evidence is about an interaction that the matrix does not have."""
    known = {(i.consumer, i.provider, kind) for i in matrix.interactions for kind in (i.kind, None)}
    for entry in found.entries:
        if (entry.consumer, entry.provider, entry.kind) not in known:
            raise ConfigError(
                f"{entry}{' (call)' if entry.kind is Kind.CALL else ''} is no interaction of causeway:matrix",
                "its evidence would count for nothing",
                "Correct the name where the test says it, or add the interaction.",
            )


def versions(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """`NAME=VERSION` of a repeated option. Raises ConfigError on anything else."""
    found = {}
    for text in pairs:
        name, equals, version = text.partition("=")
        if not (name and equals and version):
            raise ConfigError(f"{option} {text} is not NAME=VERSION", "nothing was imported")
        found[name] = version
    return found
