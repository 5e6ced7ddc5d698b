"""Crash an update at a random moment, recover, and find the stack where its config says."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import psutil
import pytest

from standin.gcp.documents import Documents
from standin.gcp.faults import Fault
from standin.project import Project

pytestmark = pytest.mark.e2e


def start_update(project: Project) -> subprocess.Popen[bytes]:
    log = project.directory / "up.log"
    with log.open("wb") as output:
        return subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=project.directory,
            env=project.environment.process_variables(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def session(leader: int) -> list[psutil.Process]:
    """What is left of an update: its plugins have process groups of their own, but its session."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def kill_engine(update: subprocess.Popen[bytes]) -> None:
    os.kill(update.pid, signal.SIGKILL)


def kill_everything(update: subprocess.Popen[bytes]) -> None:
    left = session(update.pid)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def kill_a_plugin(update: subprocess.Popen[bytes]) -> None:
    plugins = [process for process in session(update.pid) if process.pid != update.pid]
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        plugins[-1].kill()


def interrupt(update: subprocess.Popen[bytes]) -> None:
    os.kill(update.pid, signal.SIGINT)


def interrupt_twice(update: subprocess.Popen[bytes]) -> None:
    interrupt(update)
    time.sleep(0.2)
    interrupt(update)


CRASHES: list[Callable[[subprocess.Popen[bytes]], None]] = [
    kill_engine,
    kill_everything,
    kill_a_plugin,
    interrupt,
    interrupt_twice,
]


def recover(project: Project, update: subprocess.Popen[bytes]) -> None:
    """The recipe: end what is left of the update, drop its lock, update again."""
    update.wait(timeout=30)
    kill_everything(update)
    project.pulumi("cancel", "test", "--yes")
    project.up()


def crash_and_recover(project: Project, rounds: int, seed: int) -> None:
    draw = random.Random(seed)
    project.up()
    name = project.pulumi("config", "get", "gcp:project").stdout.strip()
    assert project.environment.emulator is not None
    emulator = Documents(project.environment.emulator)
    for number in range(1, rounds + 1):
        project.pulumi("config", "set", "weight", str(number))
        project.environment.inject(
            Fault("update", slow_s=draw.uniform(0, 1), die=draw.choice([None, "before", "after"]))
        )
        update = start_update(project)
        time.sleep(draw.uniform(0.2, 2.0))
        draw.choice(CRASHES)(update)
        project.environment.inject()
        recover(project, update)
        found = emulator.read(f"projects/{name}/databases/journal/documents/flags/tiny")
        assert found is not None
        assert found["fields"]["weight"]["integerValue"] == str(number), (
            number,
            (project.directory / "up.log").read_text(),
        )
        assert not project.export().get("pending_operations")
        assert project.pulumi("preview", "--refresh", "--expect-no-changes", check=False).returncode == 0
        assert not session(update.pid)


def test_updates_that_crash_at_any_moment_are_recovered(project: Project) -> None:
    crash_and_recover(project, rounds=3, seed=3)


@pytest.mark.soak
def test_many_updates_that_crash_at_any_moment_are_recovered(project: Project) -> None:
    crash_and_recover(project, rounds=30, seed=7)
