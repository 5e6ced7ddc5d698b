"""Everything that a report shows of a stack beside its config, read once: journal, baselines, measures, backups."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from causeway.backup.archive import Archive
from causeway.backup.status import Line, lines
from causeway.backup.storage import open_storage
from causeway.errors import CausewayError
from causeway.health.baseline_store import load_baselines
from causeway.health.baselines import Baseline
from causeway.model.window import Window
from causeway.rollout import journal as journals
from causeway.rollout import status
from causeway.rollout.journal import Record
from causeway.rollout.opening import open_checker
from causeway.rollout.stack import Stack
from causeway.rollout.store import FirestoreStore

T = TypeVar("T")

#: More moves than any plan walked forth and back a few times has.
_RECORDS = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """A stack as it stood at `at`.

    `records` are the journal, oldest first. `windows` are what the packages did during `measured_s` seconds. What
    could not be read is in `missing`: which part, and why.
    """

    at: datetime.datetime
    status: Mapping[str, Any] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    measured_s: float = 0.0
    backups: tuple[Line, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def gather(stack: Stack, measure_s: float) -> Account:
    """Read all of it, and measure the packages for so many seconds (0: not at all). Never raises for a part."""
    missing: dict[str, str] = {}

    def part(name: str, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except CausewayError as error:
            missing[name] = str(error)
            return otherwise

    nothing: tuple[Mapping[str, Window], float] = ({}, 0.0)
    windows, seconds = part("measures", lambda: _measured(stack, measure_s), nothing) if measure_s > 0 else nothing
    return Account(
        at=stack.clock.now(),
        status=part("status", lambda: status.gather(stack), {}),
        records=part("journal", lambda: tuple(reversed(journals.history(stack.store, stack.name, _RECORDS))), ()),
        baselines=part("baselines", lambda: _baselines(stack), {}),
        windows=windows,
        measured_s=seconds,
        backups=part("backups", lambda: _backups(stack), ()),
        missing=missing,
    )


def _measured(stack: Stack, seconds: float) -> tuple[Mapping[str, Window], float]:
    """What the packages did between two looks, the second one so many seconds after the first."""
    served = stack.served()
    weights = served.weights if served else {}
    with open_checker(stack) as checker:
        checker.look(weights)
        stack.clock.sleep(seconds)
        look = checker.look(weights)
    return {name: window for name, window in look.windows.items() if weights[name] > 0}, look.seconds


def _baselines(stack: Stack) -> Mapping[str, Baseline]:
    return load_baselines(stack.store.client, stack.name) if isinstance(stack.store, FirestoreStore) else {}


def _backups(stack: Stack) -> tuple[Line, ...]:
    return tuple(lines(Archive(open_storage(stack.config.backup.archive), stack.clock.now)))
