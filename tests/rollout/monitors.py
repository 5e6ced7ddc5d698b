"""A monitor over a world of fakes, stepped round by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

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
    """The application as seen through metrics that can be gone; `then` happens at each look."""

    observer: FakeObserver
    gone: bool = False

    def look(self, weights: Mapping[str, int]) -> Look:
        look = self.observer.look(weights)
        missing = Missing("http://app/metrics did not answer")
        return (
            replace(look, windows={n: replace(w, errors=missing) for n, w in look.windows.items()})
            if self.gone
            else look
        )


@contextmanager
def taken(stack: Stack, *, yields: bool = False) -> Iterator[tuple[Journal, Silent]]:
    """The lease without a heartbeat's thread."""
    lease = controls.acquire(stack.store, stack.name, US, yields=yields)
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


def walked(here: World, target: str) -> None:
    """A runner has walked there and is done."""
    with runner_of(here) as runner:
        runner.walk(target)


def died(here: World) -> None:
    """A runner took the lease and was never heard of again."""
    controls.acquire(here.store, "test", "anna@desk:1", force=True)
    here.time.sleep(controls.LEASE + 1)
