"""Killed anywhere, the next one goes on: journal, stack, flag set and config agree again, and nobody cleans up by hand.

Runners are killed at each write of the journal, before and after it lands, and at random instants; on the real engine
also `pulumi`, the provider in the middle of a write, and the connection to Firestore.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from standin.environment import Environment
from standin.gcp.faults import Fault
from tests.e2e.laws import lawful
from tests.e2e.operator_process import Operator
from tests.e2e.small import CAUSEWAY, STACK, Small, eventually, on_its_own, small

pytestmark = pytest.mark.e2e

FORWARD: dict[str, Any] = {"do": "run", "to": "low/Reader/50"}
BACK: dict[str, Any] = {"do": "rollback", "level": 3}


@pytest.fixture
def stack(tmp_path: Path, emulator: str) -> Iterator[Small]:
    """A small stack without Pulumi, its baselines measured."""
    with small(tmp_path, Environment(tmp_path / "environment", emulator).make()) as made:
        made.measure()
        yield made


class Succession:
    """One operator after another: whoever dies is followed by the next, who must set things right."""

    def __init__(self, stack: Small) -> None:
        self._stack = stack
        self._number = 0
        self.now = self._next()

    def do(self, **order: Any) -> str:
        """An order that must be carried out."""
        self.now.order(**order)
        answer = self.now.answer()
        assert "place" in answer, answer
        return str(answer["place"])

    def kill(self, after_s: float | None = None, **order: Any) -> None:
        """An order in the middle of which its operator dies, by its fate or after so many seconds."""
        self.now.order(**order)
        if after_s is not None:
            time.sleep(after_s)
            os.kill(self.now.pid, signal.SIGKILL)
        assert self.now.wait() == -signal.SIGKILL
        self._stack.outlive_the_lease()
        self.now = self._next()

    def _next(self) -> Operator:
        self._number += 1
        return Operator(self._stack, self._number, slow_s=0.05)


@pytest.fixture
def succession(stack: Small) -> Iterator[Succession]:
    found = Succession(stack)
    assert found.do(do="run", to="infrastructure") == "infrastructure"
    yield found
    found.now.stop()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_runner_dies_at_each_write_of_its_step(stack: Small, succession: Succession, when: str) -> None:
    """intent, applied, actions, observed, verdict, done."""
    for write in range(1, 7):
        succession.kill(**FORWARD, die=[when, write])
        assert succession.do(**FORWARD) == FORWARD["to"], (when, write)
        lawful(stack, FORWARD["to"])
        succession.do(**BACK)
        assert succession.do(do="run", to="infrastructure") == "infrastructure"


def test_an_operator_dies_at_each_write_of_a_rollback(stack: Small, succession: Succession) -> None:
    """intent with its override, traffic moved, applied, undone, settled, done. Whoever reconciles ends the rollback."""
    for when, write in [("before", 1), ("after", 1), ("before", 2), ("after", 3), ("before", 5), ("after", 6)]:
        succession.do(**FORWARD)
        succession.kill(**BACK, die=[when, write])
        moved = (when, write) != ("before", 1)
        if moved:
            assert eventually(lambda: stack.application.weights()["Reader"] == 0), "the traffic moved with the intent"
        assert succession.do(do="reconcile") == ("infrastructure" if moved else FORWARD["to"])
        lawful(stack, "infrastructure" if moved else FORWARD["to"])


def crash_at_random(stack: Small, succession: Succession, rounds: int, seed: int) -> None:
    draw = random.Random(seed)
    plan = stack.config().plan
    for number in range(rounds):
        at = plan[stack.config().position]
        following = plan.next(at.name)
        if draw.random() < 0.3 or following is None or following.phase == "deprecation":
            order, wanted = {"do": "rollback", "level": draw.choice([2, 3])}, None
        else:
            order, wanted = {"do": "run", "to": following.name}, following.name
        succession.kill(draw.uniform(0.0, 2.0), **order)
        if wanted is None:
            succession.do(do="reconcile")
        else:
            assert succession.do(**order) == wanted, number
        lawful(stack, wanted)


@pytest.mark.soak
def test_a_hundred_deaths_at_random_instants(stack: Small, succession: Succession) -> None:
    crash_at_random(stack, succession, rounds=100, seed=3)


# --- on the real engine -------------------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Small, psutil.Process]]:
    with on_its_own(tmp_path) as made:
        yield made


def children(stack: Small, named: str) -> list[psutil.Process]:
    """Processes of this stack's environment by what stands in their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("CAUSEWAY_CLOUD") == str(stack.environment.cloud) and named in " ".join(
                process.cmdline()
            ):
                found.append(process)
    return found


Crash = Callable[[Small, "subprocess.Popen[bytes]", random.Random], None]


def _kill_runner(stack: Small, runner: subprocess.Popen[bytes], draw: random.Random) -> None:
    os.kill(runner.pid, signal.SIGKILL)


def _kill_child(named: str) -> Crash:
    def kill(stack: Small, runner: subprocess.Popen[bytes], draw: random.Random) -> None:
        for process in children(stack, named):
            with contextlib.suppress(psutil.Error):
                process.kill()

    return kill


def _during(stack: Small, state: str, runner: subprocess.Popen[bytes]) -> None:
    """Wait until the newest record is in a state, or the runner has ended."""
    eventually(lambda: runner.poll() is not None or stack.journal()[-1]["state"] == state, 60)


def crash(stack: Small, emulator: psutil.Process, how: str, target: str, draw: random.Random) -> None:
    """Start a step towards the target, crash it, and check that the next start reaches it."""
    log = stack.directory / "run.log"
    faults = {"provider dies before its write": "before", "provider dies after its write": "after"}
    if how in faults:
        stack.environment.inject(Fault("update", "*::flags-document", die=faults[how], times=1))  # type: ignore[arg-type]
    elif how in ("pulumi killed", "provider killed", "runner killed in the update"):
        stack.environment.inject(Fault("update", "*::flags-document", slow_s=2.0, times=1))
    runner = stack.start(CAUSEWAY, "run", "--to", target, "--stack", STACK, log=log)
    try:
        if how == "runner killed in the soak":
            _during(stack, "actions", runner)
            _kill_runner(stack, runner, draw)
        elif how == "runner killed at random":
            time.sleep(draw.uniform(0.5, 12.0))
            _kill_runner(stack, runner, draw)
        elif how == "emulator paused":
            _during(stack, "intent", runner)
            emulator.suspend()
            time.sleep(7.0)
            emulator.resume()
        elif how not in faults:
            assert eventually(lambda: '"times": 0' in stack.environment.fault_file.read_text(), 90), log.read_text()
            named = {"pulumi killed": "pulumi up", "provider killed": "standin.gcp"}.get(how)
            (_kill_child(named) if named else _kill_runner)(stack, runner, draw)
        runner.wait(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGKILL)
        runner.wait()
        stack.environment.inject()
    stack.outlive_the_lease()
    again = stack.causeway("run", "--to", target)
    assert again.returncode == 0, (how, again.stderr, log.read_text())
    lawful(stack, target)
    assert eventually(lambda: not children(stack, "standin.gcp"), 20), "a provider was left behind"


CRASHES = (
    "runner killed in the update",
    "pulumi killed",
    "provider killed",
    "provider dies before its write",
    "provider dies after its write",
    "emulator paused",
    "runner killed in the soak",
)


def crash_in_turn(stack: Small, emulator: psutil.Process, crashes: list[str], draw: random.Random) -> None:
    plan = stack.config().plan
    for how in crashes:
        following = plan.next(stack.config().position)
        assert following is not None
        if following.phase == "deprecation":
            assert stack.causeway("rollback", "--level", "3", "--reason", "again").returncode == 0
            assert stack.causeway("run", "--to", "infrastructure").returncode == 0
            following = plan.positions[1]
        crash(stack, emulator, how, following.name, draw)


def test_whatever_dies_on_the_real_engine_the_next_start_goes_on(engine: tuple[Small, psutil.Process]) -> None:
    stack, emulator = engine
    crash_in_turn(stack, emulator, list(CRASHES), random.Random(5))


ROLLBACK = ("rollback", "--level", "3", "--reason", "a test")
BACK_CRASHES = (
    "operator killed in the update",
    "pulumi killed",
    "operator killed while it reconciles",
    "another folder takes the update over",
)


def crash_back(stack: Small, how: str) -> None:
    """Crash a rollback, or the reconcile after one, and check that the next reconcile ends it, back at the start."""
    log = stack.directory / "back.log"
    at = stack.config().plan.next("infrastructure")
    assert at is not None and stack.causeway("run", "--to", at.name).returncode == 0
    stack.environment.inject(Fault("update", "*::flags-document", slow_s=3.0, times=1))
    if how == "another folder takes the update over":
        taken_over(stack, log)
        return
    operator = stack.start(CAUSEWAY, *ROLLBACK, "--stack", STACK, log=log)
    if how == "operator killed while it reconciles":
        _during(stack, "intent", operator)
        os.kill(operator.pid, signal.SIGKILL)
        operator.wait()
        stack.outlive_the_lease()
        operator = stack.start(CAUSEWAY, "reconcile", "--stack", STACK, log=log)
    assert eventually(lambda: '"times": 0' in stack.environment.fault_file.read_text(), 90), log.read_text()
    assert stack.application.weights()["Reader"] == 0, "the traffic moved before the stack"
    (_kill_child("pulumi up") if how == "pulumi killed" else _kill_runner)(stack, operator, random.Random(0))
    operator.wait(timeout=120)
    stack.environment.inject()
    stack.outlive_the_lease()
    again = stack.causeway("reconcile")
    assert again.returncode == 0, (how, again.stderr, log.read_text())
    lawful(stack, "infrastructure")


def taken_over(stack: Small, log: Path) -> None:
    """Prevents: a rollback elsewhere lifts its override, and then the runner's write moves traffic forward."""
    elsewhere = stack.directory.parent / "elsewhere"
    shutil.copytree(stack.directory, elsewhere, symlinks=True, ignore=shutil.ignore_patterns(".local"))
    runner = stack.start(CAUSEWAY, "run", "--to", "low/Reader/100", "--stack", STACK, log=log)
    assert eventually(lambda: '"times": 0' in stack.environment.fault_file.read_text(), 90), log.read_text()
    command = [CAUSEWAY, *ROLLBACK, "--stack", STACK]
    back = subprocess.run(
        command, cwd=elsewhere, env=stack.process_variables(), capture_output=True, text=True, check=False
    )
    assert back.returncode == 0, back.stderr
    assert runner.wait(timeout=60) == 10, log.read_text()
    assert not children(stack, "standin.gcp"), "the runner's update runs on"
    stack.file.write_text((elsewhere / "stacks" / stack.file.name).read_text())
    stack.environment.inject()
    lawful(stack, "infrastructure")


def test_whatever_dies_of_a_way_back_on_the_real_engine_it_is_ended(engine: tuple[Small, psutil.Process]) -> None:
    stack, _ = engine
    for how in BACK_CRASHES:
        crash_back(stack, how)
        assert stack.causeway("run", "--to", "infrastructure").returncode == 0


@pytest.mark.soak
def test_a_hundred_crashes_on_the_real_engine(engine: tuple[Small, psutil.Process]) -> None:
    stack, emulator = engine
    draw = random.Random(6)
    crash_in_turn(stack, emulator, [draw.choice((*CRASHES, "runner killed at random")) for _ in range(100)], draw)
