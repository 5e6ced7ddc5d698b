"""How soon traffic is back on legacy in every process of the application, under load, and what is lost on the way.

Levels 1 to 3 on the fast path (no Pulumi in the way), the automatic rollback of a package that fails all of its
requests with scrapes of 5 s, the settling of stack and config by the real engine (`causeway drill`), and what the gates
need for a verdict on live traffic: scrapes for a total failure, windows of ten requests for 20 % errors.

.venv/bin/python -m benchmarks.rollback [--quick | --verdicts]
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import yaml

from causeway import flags
from causeway.health.checker import Checker
from causeway.model.guardrails import Guardrails
from causeway.model.moves import Place
from causeway.model.soak import Soak
from causeway.model.verdict import Decision
from causeway.model.window import Tally
from causeway.rollout import rollback
from causeway.rollout.desired import flag_set
from causeway.rollout.journal import State
from causeway.rollout.opening import lease, open_checker, open_runner, open_stack
from causeway.rollout.rollback import Request
from causeway.rollout.runner import RolledBack
from causeway.rollout.stack import Stack
from causeway.rollout.store import Write
from standin.direct import Direct
from standin.stage import Stage, stage

#: Seconds to traffic on legacy, p99 (automatic: p95), and to a settled stack.
LIMITS = {1: 2.0, 2: 3.0, 3: 3.0}
SETTLED_S, AUTOMATIC_S = 15.0, 15.0
#: How often each level is drilled as a whole, and how often the gates go back by themselves.
DRILLS, AUTOMATIC = 5, 20
#: Where the rollbacks begin: a place in the second phase, so that level 2 and 3 differ.
PLACE, SERVICE = "medium/CacheManager/50", "CacheManager"
_PATIENCE_S = 60.0
#: The most scrapes for a total failure and the most windows for 20 % errors, both in the median of the runs.
SCRAPES, WINDOWS, VERDICTS = 2, 6, 20
#: Requests a window, scrapes a window, and when a run is given up, in windows.
_REQUESTS, _LOOKS, _MOST_WINDOWS = 10, 2, 60


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


class Readers:
    """The processes of the application, asked what they obey."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._clients = [httpx.Client(base_url=url, timeout=5) for url in urls]

    def wait_for(self, weights: Mapping[str, int]) -> float:
        """Until every process obeys these weights; the monotonic time at which that was so."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if all(self._obeys(client, weights) for client in self._clients):
                return time.monotonic()
            time.sleep(0.01)
        raise TimeoutError(f"not every process obeys {weights} after {_PATIENCE_S:.0f} s")

    def break_package(self, service: str, error_rate: float) -> None:
        for client in self._clients:
            client.post("/faults", json={"service": service, "version": "package", "error_rate": error_rate})

    def mend(self) -> None:
        for client in self._clients:
            client.delete("/faults")

    @staticmethod
    def _obeys(client: httpx.Client, weights: Mapping[str, int]) -> bool:
        told = client.get("/healthz").json()
        return bool(told["fresh"]) and all(told["weights"].get(name) == weight for name, weight in weights.items())


def opened(made: Stage) -> Stack:
    """The stack on the engine without Pulumi, as its file has it now."""
    found = open_stack(made.stack, folder=made.project)
    state = made.project.parent / "direct.json"
    return replace(found, engine=Direct(found.file, state, found.store, found.clock))


def put(made: Stage, place: Place) -> Stack:
    """The stack at a place, without walking there: what is measured begins only now."""
    stack = opened(made)
    stack.write_place(place)
    path, found = f"flags/{stack.name}", stack.store.read(f"flags/{stack.name}")
    definition = flags.build(flag_set(stack.config, place))
    stack.store.commit(
        [Write(path, {"definition": definition, "position": place.position}, found.updated if found else None)]
    )
    stack = opened(made)
    stack.engine.refresh()
    return stack


def fast(made: Stage, readers: Readers, level: int, rounds: int) -> list[float]:
    """Seconds from trigger to legacy in every process, per round; the override is lifted again in between."""
    stack = put(made, Place(PLACE))
    before = dict(stack.config.plan.at(PLACE).weights)
    taken = []
    with lease(stack, force=True) as (journal, _):
        for _ in range(rounds):
            readers.wait_for(before)
            began = time.monotonic()
            record = rollback.send_back(stack, journal, Request(level, "benchmark", (SERVICE,) if level == 1 else ()))
            after = stack.config.plan.at(record.there.position, record.there.hold).weights
            taken.append(readers.wait_for(after) - began)
            journal.advance(record, State.SUPERSEDED, "the next round", control={"override": None, "override_why": ""})
    return taken


def automatic(made: Stage, readers: Readers, rounds: int) -> list[float]:
    """Seconds from the first failing request to legacy in every process, decided by the gates alone."""
    draw = random.Random(1)
    taken = []
    for _ in range(rounds):
        stack = put(made, Place(PLACE))
        with open_runner(stack) as runner:
            readers.wait_for(stack.config.plan.at(PLACE).weights)
            moment: list[float] = []

            def strike(moment: list[float] = moment, delay: float = draw.uniform(5.0, 10.0)) -> None:
                time.sleep(delay)
                moment.append(time.monotonic())
                readers.break_package(SERVICE, 1.0)
                moment.append(readers.wait_for({SERVICE: 0}))

            thread = threading.Thread(target=strike)
            thread.start()
            try:
                runner.soak_here(runner.resume() or Place(PLACE))
            except RolledBack:
                thread.join()
            finally:
                readers.mend()
        taken.append(moment[1] - moment[0])
    return taken


def verdicts(made: Stage, readers: Readers, runs: int) -> tuple[list[int], list[int]]:
    """Scrapes until a total failure has led to a verdict, and windows until 20 % errors have, per run.

    A window is as long as ten requests of the package take. Only the error rate is judged: probes fail as well, and
    would be counted in other units.
    """
    stack = put(made, Place(PLACE))
    weights = stack.config.plan.at(PLACE).weights
    readers.wait_for(weights)
    # The lease renews the heartbeat: without one, users go to legacy after a while, and nothing is left to judge.
    with lease(stack, force=True), open_checker(stack) as checker:
        pause = _REQUESTS / _rate(checker, weights) / _LOOKS
        print(f"windows of {pause * _LOOKS:.2f} s, in which about {_REQUESTS} requests reach {SERVICE}@package")
        total = [_looks(stack, checker, readers, pause, 1.0) for _ in range(runs)]
        partial = [_looks(stack, checker, readers, pause, 0.2) for _ in range(runs)]
    return total, [-(-looks // _LOOKS) for looks in partial]


def _rate(checker: Checker, weights: Mapping[str, int], seconds: float = 10.0) -> float:
    """Requests a second that reach the package."""
    checker.look(weights)
    time.sleep(seconds)
    errors = checker.look(weights).windows[SERVICE].errors
    if not isinstance(errors, Tally) or not errors.total:
        raise RuntimeError(f"no requests reach {SERVICE}@package: {errors}")
    return errors.total / seconds


def _looks(stack: Stack, checker: Checker, readers: Readers, pause: float, error_rate: float) -> int:
    """Looks from the fault to the verdict."""
    rails = Guardrails(stack.config.guardrails.error_rate, None, None, None)
    soak = Soak.begin([SERVICE], rails, stack.config.soak, {})
    weights = stack.config.plan.at(PLACE).weights
    readers.break_package(SERVICE, error_rate)
    checker.look(weights)  # what came before the fault
    began = time.monotonic()
    try:
        for number in range(1, _MOST_WINDOWS * _LOOKS + 1):
            time.sleep(max(0.0, began + number * pause - time.monotonic()))
            windows = checker.look(weights).windows
            soak = soak.observe([windows[SERVICE]], closes=number % _LOOKS == 0)
            if soak.verdict().decision is Decision.ROLL_BACK:
                return number
        return _MOST_WINDOWS * _LOOKS
    finally:
        readers.mend()


def drilled(made: Stage, times: int) -> bool:
    """Each level as an operator would type it, so many times; whether stack and requests kept their limits."""
    levels = [part for level in LIMITS for part in ("--level", str(level)) * times]
    command = ("causeway", "drill", "--here", "--json", "--stack", made.stack, *levels)
    found, met = json.loads(made.type(*command))["levels"], True
    for level in LIMITS:
        own = [each for each in found if each["level"] == level]
        moved, settled = (max(each[name] for each in own) for name in ("traffic_moved_s", "settled_s"))
        lost = sum(each["requests_lost"] for each in own)
        met &= settled <= SETTLED_S and lost == 0
        print(
            f"level {level} as a whole, {len(own)} times: traffic moved in {moved:.2f} s, settled in {settled:.1f} s "
            f"at most (limit {SETTLED_S:.0f} s), {lost} requests lost (limit 0)"
        )
    return met


def told(runs: tuple[list[int], list[int]]) -> bool:
    """Print the verdicts beside their limits; whether both are met."""
    (total, partial), met = runs, True
    for what, taken, unit, limit in (("all", total, "scrapes", SCRAPES), ("20 %", partial, "windows", WINDOWS)):
        middle = statistics.median(taken)
        met &= middle <= limit
        print(
            f"verdict, {len(taken)} times: {what} of the requests fail -> ROLL_BACK after {middle:g} {unit} (median, "
            f"limit {limit}), {max(taken)} at most"
        )
    return met


@contextmanager
def scraped_every(made: Stage, seconds: int) -> Iterator[None]:
    """The stack file with other scrapes, and a soak that does not end before the fault."""
    file = made.project / "stacks" / f"Pulumi.{made.stack}.yaml"
    text = file.read_text()
    stack = yaml.safe_load(text)
    stack["config"]["causeway:metrics"] |= {"every": f"{seconds}s", "max_age": f"{3 * seconds}s"}
    stack["config"]["causeway:soak"] |= {"interval": f"{seconds}s", "checks": 20, "timeout": "5m"}
    # The place was not walked to, so nothing has filled the dual write, and its parity would fail.
    stack["config"]["causeway:probes"] = [each for each in stack["config"]["causeway:probes"] if each["kind"] == "http"]
    file.write_text(yaml.safe_dump(stack))
    yield
    file.write_text(text)


def main() -> int:
    """Print the figures beside their limits; 0 if all are met."""
    quick = "--quick" in sys.argv
    rounds = {1: 10 if quick else 100, 2: 5 if quick else 100, 3: 5 if quick else 100}
    met = True
    with (
        tempfile.TemporaryDirectory(prefix="causeway-rollback-") as folder,
        stage(Path(folder), rate=80.0, applications=2) as made,
    ):
        os.environ.update(made.environment.variables())
        made.apply()
        readers = Readers(made.urls)
        if "--verdicts" in sys.argv:
            return 0 if told(verdicts(made, readers, VERDICTS)) else 1
        met &= drilled(made, 1 if quick else DRILLS)
        for level, count in rounds.items():
            taken = fast(made, readers, level, count)
            met &= percentile(taken, 0.99) <= LIMITS[level]
            print(
                f"level {level}, {count} times: legacy in every process in {percentile(taken, 0.5):.2f} s (median), "
                f"{percentile(taken, 0.99):.2f} s (p99, limit {LIMITS[level]:.0f} s)"
            )
        made.processes.stop("load")
        lost = json.loads(made.report.read_text())["failed"]
        met &= lost == 0
        print(f"requests lost by the moves themselves: {lost} (limit 0)")
        made.start_load(80.0)
        with scraped_every(made, 5):
            taken = automatic(made, readers, 2 if quick else AUTOMATIC)
        met &= percentile(taken, 0.95) <= AUTOMATIC_S
        print(
            f"automatic, {len(taken)} times: all requests fail -> legacy in {percentile(taken, 0.5):.1f} s (median), "
            f"{percentile(taken, 0.95):.1f} s (p95, limit {AUTOMATIC_S:.0f} s) with scrapes of 5 s"
        )
        met &= told(verdicts(made, readers, 3 if quick else VERDICTS))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
