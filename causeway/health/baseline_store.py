"""Baselines in the collection `performance_baselines` of causeway's own database.

Every recording is a document of its own, so that what a rollout was judged by stays on record; the latest counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from causeway.asking import stream_once
from causeway.errors import IntegrityError, Unreachable
from causeway.health.baselines import Baseline, Hour
from causeway.model.window import Histogram, Tally

if TYPE_CHECKING:
    from google.cloud.firestore import Client

COLLECTION = "performance_baselines"
_TIMEOUT_S = 10.0


def save_baseline(client: Client, stack: str, baseline: Baseline) -> str:
    """Writes a baseline and returns its document's id. Raises Unreachable."""
    name = f"{stack}.{baseline.service}.{_stamp(baseline)}"
    with _reachable():
        client.collection(COLLECTION).document(name).set({"stack": stack, **as_document(baseline)})
    return name


def load_baselines(client: Client, stack: str) -> dict[str, Baseline]:
    """The latest baseline of each service; a service whose latest is damaged has none. Raises Unreachable."""
    return read_baselines(client, stack)[0]


def read_baselines(client: Client, stack: str) -> tuple[dict[str, Baseline], list[IntegrityError]]:
    """The same, and what is wrong with damaged recordings."""
    from google.cloud.firestore import FieldFilter

    latest: dict[str, tuple[str, Baseline | None]] = {}
    damaged: list[IntegrityError] = []
    with _reachable():
        query = client.collection(COLLECTION).where(filter=FieldFilter("stack", "==", stack))
        found = [(each.id, each.to_dict() or {}) for each in stream_once(query, _TIMEOUT_S)]
    for name, document in found:
        baseline: Baseline | None = None
        try:
            baseline = _parsed(name, document)
            service, stamp = baseline.service, _stamp(baseline)
        except IntegrityError as error:
            damaged.append(error)
            service, stamp = ("..", *name.split("."))[-2:]
        if stamp >= latest.get(service, ("", None))[0]:
            latest[service] = stamp, baseline
    return {service: baseline for service, (_, baseline) in latest.items() if baseline is not None}, damaged


def as_document(baseline: Baseline) -> dict[str, Any]:
    """Counts as they are, and the figures computed from them for whoever reads the collection."""
    rate = baseline.error_rate()
    return {
        "service": baseline.service,
        "version": "legacy",
        "since": baseline.since,
        "until": baseline.until,
        "seconds": baseline.seconds,
        "requests": baseline.errors.total,
        "failed": baseline.errors.bad,
        "error_rate": {"value": rate.value, "low": rate.low, "high": rate.high},
        "bounds": [bound for bound in baseline.latency.bounds if bound < math.inf],
        "counts": list(baseline.latency.counts),
        "probes": None if baseline.probes is None else {"failed": baseline.probes.bad, "total": baseline.probes.total},
        "hours": {
            str(hour): {"requests": each.requests, "seconds": each.seconds} for hour, each in baseline.hours.items()
        },
    }


def from_document(document: Mapping[str, Any]) -> Baseline:
    """The inverse of `as_document`. Raises KeyError, TypeError or ValueError for anything else."""
    probes = document["probes"]
    return Baseline(
        service=str(document["service"]),
        since=_time(document["since"]),
        until=_time(document["until"]),
        seconds=float(document["seconds"]),
        errors=Tally(int(document["failed"]), int(document["requests"])),
        latency=Histogram(
            (*(float(bound) for bound in document["bounds"]), math.inf), tuple(int(each) for each in document["counts"])
        ),
        probes=None if probes is None else Tally(int(probes["failed"]), int(probes["total"])),
        hours={
            int(hour): Hour(int(each["requests"]), float(each["seconds"])) for hour, each in document["hours"].items()
        },
    )


def _parsed(name: str, document: Mapping[str, Any]) -> Baseline:
    try:
        return from_document(document)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{COLLECTION}/{name} is no baseline: {error!r}",
            "packages would be compared with nonsense",
            "Delete that document and run `causeway baseline record`.",
        ) from error


def _stamp(baseline: Baseline) -> str:
    return f"{baseline.until:%Y%m%dT%H%M%SZ}"


def _time(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no time")
    return value


@contextmanager
def _reachable() -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPICallError, RetryError

    try:
        yield
    except (GoogleAPICallError, RetryError) as error:
        raise Unreachable(
            f"{COLLECTION} cannot be reached: {error}",
            "there is nothing to compare response times with",
            "Check the project, the database `causeway` and your credentials.",
        ) from error
