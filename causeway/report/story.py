"""What the journal tells of a migration: what moved when, what went back, and how the success criteria stand."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causeway.model.guardrails import Measure
from causeway.model.moves import Direction, Place
from causeway.model.plan import LAST, Plan
from causeway.model.window import Category
from causeway.rollout.journal import Record, State

#: A rollback is to be ready within so many seconds, at all times.
READY_S = 120.0


@dataclass(frozen=True, slots=True)
class Course:
    """One service's way: when its first user and when everybody was on the package, and how often it went back."""

    service: str
    began: datetime.datetime | None = None
    complete: datetime.datetime | None = None
    went_back: int = 0
    retired: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One success criterion as measured. `held` is None where the journal cannot tell."""

    name: str
    measured: str
    held: bool | None


def sentence(records: Sequence[Record]) -> str:
    """The whole story in a line."""
    if not records:
        return "Nothing has moved yet."
    back = len(rollbacks(records))
    told = f"{len(records)} moves since {when(records[0].began)} UTC, {back or 'none'} of them took traffic back."
    last = records[-1]
    if last.there.position == LAST and last.state is State.DONE:
        told += f" Over since {when(_moved_at(last))} UTC: every user is on the packages, and legacy is retired."
    return told


def when(at: datetime.datetime | None) -> str:
    """A time as people read it, to the second, in UTC."""
    return f"{at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S}" if at else "–"


def courses(plan: Plan, records: Sequence[Record]) -> list[Course]:
    """The way of every service, from the records of a journal, oldest first."""
    weights = dict.fromkeys(plan.matrix.services, 0)
    began: dict[str, datetime.datetime] = {}
    complete: dict[str, datetime.datetime] = {}
    back: dict[str, int] = dict.fromkeys(weights, 0)
    retired = None
    for record in records:
        at = _moved_at(record)
        if at is None or record.there.position not in plan:
            continue
        for name, weight in _weights(plan, record.there).items():
            if weight > weights[name]:
                began.setdefault(name, at)
                if weight == 100:
                    complete[name] = at
            elif weight < weights[name]:
                back[name] += 1
                complete.pop(name, None)
            weights[name] = weight
        retired = at if record.there.position == LAST else None
    return [Course(name, began.get(name), complete.get(name), back[name], retired) for name in weights]


def rollbacks(records: Sequence[Record]) -> list[Record]:
    """The moves that took traffic back, oldest first."""
    return [record for record in records if record.direction in (Direction.BACK, Direction.HOLD)]


def criteria(records: Sequence[Record]) -> list[Criterion]:
    """What success means, measured: nothing here is claimed that the journal does not show."""
    return [
        _judged(records, Measure.RESPONSE_TIME, "performance parity: soaks within the response time guardrail"),
        _judged(records, Category.DATA_INTEGRITY, "data integrity: soaks whose checks all passed"),
        _judged(records, Category.FUNCTIONALITY, "identical behaviour: soaks in which probes passed"),
        _ready(records),
        _repeatable(records),
    ]


def reasons(record: Record) -> Sequence[Mapping[str, Any]]:
    """What a record's verdict rests on, each with its arithmetic in words; of a rollback, what triggered it."""
    found: Mapping[str, Any] = record.facts.get("verdict") or record.facts.get("evidence") or {}
    return found.get("reasons") or ()


def _weights(plan: Plan, place: Place) -> Mapping[str, int]:
    return plan.at(place.position, place.hold).weights


def _moved_at(record: Record) -> datetime.datetime | None:
    """When the traffic of a move had moved: of a rollback before the stack followed; None if it never did."""
    if record.direction in (Direction.BACK, Direction.HOLD) and "traffic_moved_s" in record.facts:
        return record.began
    return next((entry["at"] for entry in record.history if entry["state"] == State.APPLIED), None)


def _advanced(records: Sequence[Record]) -> Iterator[Record]:
    return (record for record in records if record.verdict == "ADVANCE")


def _judged(records: Sequence[Record], source: str, name: str) -> Criterion:
    """In how many of the soaks that went on this was judged, and in how many of these it was in order."""
    seen = [
        all(reason["decision"] == "ADVANCE" for reason in found)
        for record in _advanced(records)
        if (found := [reason for reason in reasons(record) if reason["source"] == source])
    ]
    return Criterion(name, f"{sum(seen)} of {len(seen)}", all(seen) if seen else None)


def _ready(records: Sequence[Record]) -> Criterion:
    took = [record.facts["traffic_moved_s"] for record in rollbacks(records) if "traffic_moved_s" in record.facts]
    name = f"rollback within {READY_S:g} s: from trigger to traffic moved, the longest"
    if not took:
        return Criterion(name, "no traffic went back", None)
    count = f"{len(took)} rollback" + ("s" if len(took) > 1 else "")
    return Criterion(name, f"{max(took):.1f} s in {count}", max(took) <= READY_S)


def _repeatable(records: Sequence[Record]) -> Criterion:
    """A rollback to a place where the stack has stood must lead to the same resource inputs."""
    compared = [record.facts["differences"] for record in records if record.facts.get("differences") is not None]
    same = sum(not found for found in compared)
    name = "rollbacks that led to exactly the inputs kept before"
    return Criterion(name, f"{same} of {len(compared)}", same == len(compared) if compared else None)
