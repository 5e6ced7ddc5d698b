"""A small plan of two phases, and a world around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from causeway.rollout import control as controls
from causeway.rollout.journal import Journal
from causeway.rollout.runner import Runner
from tests.rollout.fakes import World, world

CONFIG = """\
config:
  gcp:project: demo
  causeway:position: infrastructure  # the only line that changes
  causeway:seed: s
  causeway:ladder: [50, 100]
  causeway:phases:
    - {name: low, services: [Reader]}
    - {name: high, services: [Writer, Saga]}
  causeway:matrix:
    services:
      Reader: {strategy: direct}
      Writer: {strategy: dual_write}
      Saga: {strategy: distributed_transaction}
    interactions:
      - consumer: Saga
        provider: Reader
        evidence:
          legacy->package: {verified: tests}
          package->package: {verified: tests}
  causeway:guardrails:
    error_rate: {warn: 0.02, roll_back: 0.05}
    response_time: {quantile: 0.95, warn: 2.0, roll_back: 3.0}
    throughput: {warn: 0.8, roll_back: 0.6}
    availability: {warn: 0.999, roll_back: 0.99}
  causeway:soak: {interval: 1s, checks: 3, requests: 10, timeout: 30s}
"""


class Silent:
    """A heartbeat that nobody needs: tests have no threads."""

    lost = None

    def check(self) -> None:
        if self.lost is not None:
            raise self.lost


Opened = Callable[[World], Iterator[Runner]]


@contextmanager
def runner_of(found: World, holder: str = "anna@desk:1") -> Iterator[Runner]:
    """A runner under the lease, over the stack as config has it now."""
    from dataclasses import replace

    stack = replace(found.stack, config=found.config)
    lease = controls.acquire(found.store, stack.name, holder)
    yield Runner(stack, Journal(lease, found.time.now), Silent(), found.observer)  # type: ignore[arg-type]
    lease.release()


@pytest.fixture
def here(tmp_path: Path) -> World:
    return world(tmp_path, CONFIG)
