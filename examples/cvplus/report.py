"""What a run of the load generator showed, from its records alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `at` is when it was sent, in seconds since the epoch; `seconds` how long it took.

    `status` is 0 where no answer came, and `package` None where the answer does not say which services came from
    their packages. `failed` names the service and version at fault, and `injected` says that it was on purpose.
    """

    at: float
    user: str
    status: int
    seconds: float
    package: frozenset[str] | None = None
    failed: str | None = None
    injected: bool = False
    error: str | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def by_fault(self) -> bool:
        """Failed because of a fault injected into a package: legacy would have served it."""
        return not self.ok and self.injected and (self.failed or "").endswith("@package")


@dataclass(frozen=True, slots=True)
class Flip:
    """A user who was on the package of a service and is on legacy again: last seen there, first seen here.

    Whether an advance did it or a rollback, whoever moved the traffic can tell by the two times.
    """

    user: str
    service: str
    package_at: float
    legacy_at: float


#: At most so many are listed one by one.
LISTED = 2000


def summarise(records: Sequence[Record]) -> dict[str, Any]:
    """All figures of a run. Times are seconds since the epoch, latencies seconds."""
    records = sorted(records, key=lambda record: record.at)
    failed = [record for record in records if not record.ok]
    unexplained = [record for record in failed if not record.by_fault]
    flipped = flips(records)
    return {
        "requests": len(records),
        "users": len({record.user for record in records}),
        "begun_at": records[0].at if records else None,
        "ended_at": records[-1].at if records else None,
        "failed": len(failed),
        "failed_by_injected_fault": len(failed) - len(unexplained),
        "failed_otherwise": len(unexplained),
        "failed_otherwise_list": [_plain(record) for record in unexplained[:LISTED]],
        "failed_by_service": dict(Counter(record.failed for record in failed if record.failed)),
        "first_injected_failure_at": next((record.at for record in failed if record.by_fault), None),
        "last_injected_failure_at": next((record.at for record in reversed(failed) if record.by_fault), None),
        "flips": len(flipped),
        "users_flipped": len({flip.user for flip in flipped}),
        "flip_list": [asdict(flip) for flip in flipped[:LISTED]],
        "latency": {f"p{q}": quantile([record.seconds for record in records if record.ok], q) for q in (50, 95, 99)},
        "per_second": per_second(records),
    }


def flips(records: Iterable[Record]) -> list[Flip]:
    """Every change of a user from the package of a service back to legacy. Records are in order of time."""
    last_seen: dict[str, dict[str, float]] = defaultdict(dict)
    found: list[Flip] = []
    for record in records:
        if record.package is None:
            continue
        seen = last_seen[record.user]
        left = sorted(seen.keys() - record.package)
        found.extend(Flip(record.user, service, seen.pop(service), record.at) for service in left)
        for service in record.package:
            seen[service] = record.at
    return found


def per_second(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Requests, failures and the services' share on package, second by second."""
    seconds: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        seconds[int(record.at)].append(record)
    return [
        {
            "at": second,
            "requests": len(found),
            "failed": sum(not record.ok for record in found),
            "by_fault": sum(record.by_fault for record in found),
            "on_package": dict(sorted(Counter(name for record in found for name in record.package or ()).items())),
            "p95": quantile([record.seconds for record in found if record.ok], 95),
        }
        for second, found in sorted(seconds.items())
    ]


def quantile(values: Sequence[float], percent: int) -> float | None:
    """The smallest value that `percent` of them do not exceed; None without values."""
    if not values:
        return None
    return round(sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)], 6)


def _plain(record: Record) -> dict[str, Any]:
    return asdict(record) | {"package": sorted(record.package or ())}
