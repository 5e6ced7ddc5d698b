"""Rehearsing the emergency levels on a stack that nobody depends on, each measured as its users would see it.

The stack is walked to the first position at which somebody is on a package; then the level is triggered while the
application's own counters are read all the time. Level 1's breaker is closed again, the others are walked forward.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from causeway.errors import Held, MoveRefused
from causeway.health.checker import Checker, Look
from causeway.model.moves import Place
from causeway.model.plan import INFRASTRUCTURE, Plan, Position
from causeway.model.window import Missing, Window
from causeway.rollout import levels
from causeway.rollout.opening import open_checker, open_runner
from causeway.rollout.rollback import Request
from causeway.rollout.runner import Runner
from causeway.rollout.soaking import Observer
from causeway.rollout.stack import Clock, Stack

LEVELS = (1, 2, 3, 4)
WHY = "drill"
#: Seconds between two readings of the application's counters, and for how long it is read before and after a level.
_EVERY_S, _AROUND_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One level, rehearsed. Times are seconds from the trigger.

    `traffic_moved_s`: when the last request was offered to a package that the level takes back, as the application
    counted it. `settled_s`: when config, stack and flags stood at the new place. `requests_lost`: requests of any
    version that failed in between.
    """

    level: int
    start: str
    end: str
    traffic_moved_s: float
    settled_s: float
    requests_lost: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def rehearse(reopen: Callable[[], Stack], wanted: Sequence[int]) -> Iterator[Rehearsal]:
    """Each level in turn. `reopen` opens the stack as its config is at that moment.

    Raises MoveRefused on a stack that is not on the emulator, Held where no traffic is seen.
    """
    if not os.environ.get("FIRESTORE_EMULATOR_HOST"):
        raise MoveRefused(
            "FIRESTORE_EMULATOR_HOST is not set",
            "a drill would move the traffic of a real stack",
            "`causeway drill` without --here sets up a stand-in of its own.",
        )
    for level in wanted:
        yield _rehearse(reopen, level)


def _rehearse(reopen: Callable[[], Stack], level: int) -> Rehearsal:
    with open_runner(reopen()) as runner, _counting(reopen()) as counter:
        start = _get_ready(runner, level)
        stack = reopen()
        weights = stack.config.plan.at(start.position, start.hold).weights
        moving = [name for name, weight in weights.items() if weight > 0]
        clock = stack.clock
        with _watching(counter, weights, clock) as seen:
            clock.sleep(_AROUND_S)
            if not any(each.offered(moving) for each in seen):
                raise Held(
                    f"nobody asks for {', '.join(moving)}: the application counts no requests",
                    "there would be nothing to measure",
                    "Put it under load, then drill again.",
                )
            began = clock.monotonic()
            record = levels.roll_back(stack, Request(level, WHY, tuple(moving[:1]) if level == 1 else ()))
            settled = clock.monotonic() - began
            clock.sleep(_AROUND_S)
        fallen = [name for name, (_, new) in record.facts["weights"].items() if new == 0]
        after = [each for each in seen if each.at >= began]
        return Rehearsal(
            level=level,
            start=str(start),
            end=str(record.there),
            traffic_moved_s=round(max((each.at - began for each in after if each.offered(fallen)), default=0.0), 3),
            settled_s=round(settled, 3),
            requests_lost=sum(each.failed() for each in after),
        )


def _counting(stack: Stack) -> AbstractContextManager[Checker]:
    """What reads the application's counters and asks nothing: probes of a package count as its requests."""
    return open_checker(replace(stack, config=replace(stack.config, probes=())))


def _get_ready(runner: Runner, level: int) -> Place:
    """A judged place at which somebody is on a package, and no breaker is open."""
    config = runner.stack.config
    here = runner.resume()
    while here is not None and here.hold:  # closing one closes those that were open because of it
        here = runner.release(next(iter(here.hold.caps)), WHY)
    return runner.walk(_start(config.plan, here.position if here else INFRASTRUCTURE, level), WHY)


def _start(plan: Plan, here: str, level: int) -> str:
    """Where a level begins: here or ahead. Level 2 wants a phase before that stays; where there is none, as level 1."""
    ahead = [position for position in plan if position.index >= plan[here].index]
    return next(position.name for each in (level, 1) for position in ahead if _shows(plan, position, each))


def _shows(plan: Plan, position: Position, level: int) -> bool:
    """Whether going back from here shows what a level does: some fall, and at level 2 some stay."""
    here = plan.at(position.name).weights
    if level != 2:
        return any(here.values())
    there = plan.at(plan.before_phase(position.phase).name).weights
    return any(there.values()) and any(here[name] > there[name] for name in here)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look, and when it was made."""

    at: float
    look: Look

    def offered(self, services: Collection[str]) -> int:
        """Requests offered to packages of these services since the look before."""
        return sum(_offered(window) for name, window in self.look.windows.items() if name in services)

    def failed(self) -> int:
        windows = [*self.look.windows.values(), *self.look.legacy.values()]
        return sum(0 if isinstance(window.errors, Missing) else window.errors.bad for window in windows)


def _offered(window: Window) -> int:
    found = window.throughput
    return 0 if isinstance(found, Missing) else found.offered


@contextmanager
def _watching(observer: Observer, weights: Mapping[str, int], clock: Clock) -> Iterator[list[_Seen]]:
    """Looks at the application in the background for as long as the context lasts."""
    seen: list[_Seen] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            look = observer.look(weights)
            seen.append(_Seen(clock.monotonic(), look))

    thread = threading.Thread(target=watch, name="drill", daemon=True)
    observer.look(weights)  # what came before is not part of it
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(timeout=10)
