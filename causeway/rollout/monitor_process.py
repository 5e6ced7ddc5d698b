"""The monitor as a process: opened over a stack, served over HTTP, and begun anew where config says something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from causeway.health.baseline_store import load_baselines
from causeway.health.exposition import Exposition
from causeway.health.reports import HealthReport
from causeway.rollout.monitor import Monitor
from causeway.rollout.monitor_config import ConfigWatch
from causeway.rollout.monitor_pulse import Pulse
from causeway.rollout.monitor_reports import Reports
from causeway.rollout.monitor_server import address, serving
from causeway.rollout.opening import open_checker
from causeway.rollout.stack import Stack
from causeway.rollout.store import FirestoreStore


@contextmanager
def open_monitor(stack: Stack, render: Callable[[HealthReport], str], folder: Path) -> Iterator[Monitor]:
    """A monitor of a stack. Raises ConfigError where nothing is measured, Unreachable without Firestore."""
    rail = stack.config.guardrails.response_time
    store = stack.store
    with open_checker(stack) as checker:
        yield Monitor(
            stack,
            checker,
            Reports(stack, render, folder),
            Exposition(rail.quantile if rail and rail.quantile else 0.95),
            baselines=lambda: load_baselines(store.client, stack.name) if isinstance(store, FirestoreStore) else {},
            renewed=checker.compare_with,
        )


def watch(open_stack: Callable[[], Stack], render: Callable[[HealthReport], str], folder: Path, listen: str) -> None:
    """Watches until it is interrupted; begins anew where config says something else than before."""
    address(listen)  # a mistake there is found before anything is opened
    while True:
        stack = open_stack()
        with (
            open_monitor(stack, render, folder) as monitor,
            serving(listen, monitor.exposition.page, monitor.health) as served_at,
            Pulse(stack, monitor.alive),
        ):
            stack.say("watching", f"{stack.name}: http://{served_at}/metrics and /healthz")
            monitor.run(ConfigWatch(stack).changed)
            stack.say("watching", "config has changed; beginning anew with it")
