"""A monitor over a world of fakes, stepped round by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from causeway.health.checker import Look
from causeway.health.exposition import Exposition
from causeway.model.window import Missing
from causeway.report.health import markdown
from causeway.rollout import control as controls
from causeway.rollout.journal import Journal
from causeway.rollout.monitor import Monitor
from causeway.rollout.monitor_reports import Reports
from causeway.rollout.stack import Stack
from tests.rollout.conftest import Silent, runner_of
from tests.rollout.fakes import FakeObserver, World

US = "monitor@cloud:7"


@dataclass
class Blindfold:
    """The application, both versions of it, as seen through metrics that can be gone, those of one service or all."""

    observer: FakeObserver
    gone: bool = False
    unread: str = ""
    _since: datetime | None = None

    def begin(self) -> None:
        self.observer.begin()

    def skip(self, weights: Mapping[str, int]) -> None:
        self.observer.skip(weights)

    def look(self, weights: Mapping[str, int]) -> Look:
        look = self.observer.look(weights)
        since, self._since = self._since, look.at
        look = replace(look, since=since, legacy=self.observer.look({n: 100 - w for n, w in weights.items()}).windows)
        missing = Missing("http://app/metrics did not answer")
        sides = (look.windows, look.legacy)
        windows, legacy = (
            {n: replace(w, errors=missing) if self.gone or n == self.unread else w for n, w in side.items()}
            for side in sides
        )
        return replace(look, windows=windows, legacy=legacy)


@contextmanager
def taken(stack: Stack, *, force: bool = False, yields: bool = False) -> Iterator[tuple[Journal, Silent]]:
    """The lease without a heartbeat's thread."""
    lease = controls.acquire(stack.store, stack.name, US, force=force, yields=yields)
    try:
        yield Journal(lease, stack.clock.now), Silent()
    finally:
        if stack.control().fence == lease.fence:
            lease.release()


def monitor_of(here: World) -> Monitor:
    """A monitor that has just been started."""
    found = Monitor(
        replace(here.stack, config=here.config),
        Blindfold(here.observer),
        Reports(here.stack, markdown, here.stack.work / "out"),
        Exposition(0.95),
        take=taken,  # type: ignore[arg-type]
        us=US,
    )
    found.round()
    return found


def step(monitor: Monitor, rounds: int) -> None:
    """So many rounds with their pauses."""
    for _ in range(rounds):
        monitor.stack.clock.sleep(monitor.round())


def later(monitor: Monitor, seconds: float) -> None:
    """So many seconds in which a round begins every half minute."""
    end = monitor.stack.clock.monotonic() + seconds
    while monitor.stack.clock.monotonic() < end:
        monitor.stack.clock.sleep(30)
        monitor.round()


def walked(here: World, target: str) -> None:
    """A runner has walked there and is done."""
    with runner_of(here) as runner:
        runner.walk(target)
