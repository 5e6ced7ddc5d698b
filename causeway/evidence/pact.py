"""Pact Broker's matrix, and what `can-i-deploy --output json` prints, as evidence.

Both are `{"matrix": [{"consumer", "provider", "verificationResult"}, …]}`. Which version is legacy and which is the
package is not in them and is said beside them. Stricter than the broker: every combination of the versions that are
named must be verified, also where another version of the same provider is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

from causeway.errors import ConfigError
from causeway.evidence.record import Entry, Found, Open, name_of, read_input, versions
from causeway.model.matrix import MIXED, Evidence, Kind, Pair, Status, Version


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix. `success` is None where the broker has no verification."""

    consumer: str
    consumer_version: str
    provider: str
    provider_version: str | None
    success: bool | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Names:
    """Which versions of a pacticipant are legacy and package, and which service it is."""

    versions: Mapping[tuple[str, Version], tuple[str, ...]]
    services: Mapping[str, str]

    @classmethod
    def parse(cls, legacy: tuple[str, ...], package: tuple[str, ...], services: tuple[str, ...]) -> Names:
        """From options `NAME=VERSION` and `NAME=SERVICE`. Raises ConfigError on anything else."""
        found: dict[tuple[str, Version], tuple[str, ...]] = {}
        for version, texts in ((Version.LEGACY, legacy), (Version.PACKAGE, package)):
            for text in texts:
                ((name, number),) = versions((text,), f"--{version}").items()
                found[name, version] = (*found.get((name, version), ()), number)
        for name, _ in found:
            if both := {*found.get((name, Version.LEGACY), ())} & {*found.get((name, Version.PACKAGE), ())}:
                raise ConfigError(
                    f"--legacy and --package both say {name}={min(both)}",
                    "one verification would count for either version",
                    "Name the numbers under which the two versions are published.",
                )
        return cls(found, versions(services, "--name"))

    def service(self, pacticipant: str) -> str:
        """The service that a pacticipant is: its own name, unless told otherwise."""
        return self.services.get(pacticipant, pacticipant)


def read(paths: Iterable[Path], names: Names, today: date) -> Found:
    """Evidence for each pair of pacticipants in the files, for the versions that are named.

    Raises ConfigError for what is no such file.
    """
    rows = [row for path in paths for row in _rows(path)]
    entries, unknown = [], []
    for consumer, provider in sorted({(row.consumer, row.provider) for row in rows}):
        for pair in MIXED:
            asked = list(
                product(
                    names.versions.get((consumer, pair.consumer), ()), names.versions.get((provider, pair.provider), ())
                )
            )
            if not asked:
                continue
            verdict = _judge(asked, [row for row in rows if (row.consumer, row.provider) == (consumer, provider)])
            ends = names.service(consumer), names.service(provider)
            if isinstance(verdict, str):
                unknown.append(Open(name_of(*ends, pair), verdict))
                continue
            about = dict(_about(pair, consumer, provider, names))
            entries.append(Entry(*ends, pair, Evidence(*verdict, today, about=about), Kind.CALL))
    if not entries and not unknown:
        unknown.append(Open("every pair", "none of the versions in it is named by --legacy or --package"))
    return Found(tuple(entries), tuple(unknown))


def _judge(asked: list[tuple[str, str]], rows: list[Row]) -> tuple[Status, str] | str:
    """A failure anywhere is incompatible; else whatever has no verification leaves all of it open."""
    missing = ""
    for consumer, provider in asked:
        mine = [row for row in rows if (row.consumer_version, row.provider_version) == (consumer, provider)]
        success = _latest(mine)
        if success is False:
            return Status.INCOMPATIBLE, f"Pact verification failed: {_pair(rows[0], consumer, provider)}"
        if success is None:
            missing = missing or f"no verification of {_pair(rows[0], consumer, provider)}"
    return missing or (
        Status.VERIFIED,
        "Pact: " + ", ".join(_pair(rows[0], *versions) for versions in asked),
    )


def _latest(rows: list[Row]) -> bool | None:
    """The last verification's result. Where the times do not tell which is the last, the worst."""
    if not rows or any(row.success is None for row in rows):
        return False if any(row.success is False for row in rows) else None
    times = [row.at for row in rows]
    if None in times:
        return all(row.success for row in rows)
    last = max(time for time in times if time is not None)
    return all(row.success for row in rows if row.at == last)


def _pair(row: Row, consumer: str, provider: str) -> str:
    return f"{row.consumer} {consumer} -> {row.provider} {provider}"


def _about(pair: Pair, consumer: str, provider: str, names: Names) -> Iterator[tuple[str, str]]:
    """The version of each package that takes part, where there is one."""
    for pacticipant, version in ((consumer, pair.consumer), (provider, pair.provider)):
        found = names.versions.get((pacticipant, version), ())
        if version is Version.PACKAGE and len(found) == 1:
            yield names.service(pacticipant), found[0]


# --- the file -----------------------------------------------------------------------------------------------------


def _rows(path: Path) -> list[Row]:
    try:
        matrix = json.loads(read_input(path))["matrix"]
        return [_row(row) for row in matrix]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no matrix of a Pact Broker: {error!r}",
            "nothing was imported",
            "Save the answer of its /matrix resource, or of `pact-broker can-i-deploy --output json`.",
        ) from None


def _row(row: Mapping[str, Any]) -> Row:
    result = row.get("verificationResult") or {}
    success = result.get("success")
    at = result.get("verifiedAt")
    return Row(
        consumer=row["consumer"]["name"],
        consumer_version=row["consumer"]["version"]["number"],
        provider=row["provider"]["name"],
        provider_version=((row["provider"].get("version") or {}).get("number")),
        success=success if isinstance(success, bool) else None,
        at=_instant(at) if at else None,
    )


def _instant(text: str) -> datetime:
    """A time without a zone is the broker's, which is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
