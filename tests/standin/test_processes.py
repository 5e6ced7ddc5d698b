"""Whatever ends the supervisor, nothing it started is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from causeway.errors import Unreachable
from standin.processes import Processes, answering, free_port, listening

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]

# Starts a child in its group, tells both process ids, and ignores SIGTERM.
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)']);"
    "print(os.getpid(), child.pid, flush=True); time.sleep(60)",
]

SUPERVISOR = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
from pathlib import Path
from standin.processes import Processes
with Processes(Path(sys.argv[1])) as processes:
    for name in ("one", "two"):
        running = processes.start(name, [sys.executable, "-S", "-c", "import time; time.sleep(60)"])
        print(running.pid, flush=True)
    print("ready", flush=True)
    if sys.argv[2] == "fail":
        raise RuntimeError("as told")
    if sys.argv[2] == "wait":
        time.sleep(60)
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(true: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def supervise(logs: Path, then: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A supervisor of two processes in a process of its own, and their ids."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(logs), then],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert supervisor.stdout is not None
    lines = [supervisor.stdout.readline().strip() for _ in range(3)]
    assert lines[2] == "ready"
    return supervisor, [int(line) for line in lines[:2]]


@pytest.mark.parametrize("then", ["end", "fail"])
def test_success_and_failure_leave_nothing(tmp_path: Path, then: str) -> None:
    supervisor, pids = supervise(tmp_path, then)
    assert supervisor.wait(timeout=15) == (1 if then == "fail" else 0)
    assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_leaves_anything(tmp_path: Path, number: signal.Signals) -> None:
    supervisor, pids = supervise(tmp_path, "wait")
    os.kill(supervisor.pid, number)
    supervisor.wait(timeout=15)
    assert eventually(lambda: all(gone(pid) for pid in pids))


def test_a_signal_that_arrives_while_a_process_is_being_started_does_not_lose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents an orphan when Ctrl-C hits between the start of a process and its registration."""
    pids: list[int] = []
    start = subprocess.Popen

    def interrupted(*arguments: object, **options: object) -> object:
        process = start(*arguments, **options)  # type: ignore[call-overload]
        pids.append(process.pid)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(SystemExit), Processes(tmp_path) as processes:
        processes.start("app", SLEEPER)
    assert pids
    assert all(gone(pid) for pid in pids)


def test_processes_start_side_by_side_from_threads(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes, ThreadPoolExecutor(8) as pool:
        running = list(pool.map(lambda n: processes.start(f"p{n}", SLEEPER), range(8)))
        assert all(one.alive() for one in running)
    assert all(gone(one.pid) for one in running)


def test_stubborn_processes_and_their_children_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("standin.processes._GRACE_S", 0.2)
    log = tmp_path / "stubborn.log"
    with Processes(tmp_path) as processes:
        processes.start("stubborn", STUBBORN, ready=lambda: len(log.read_text().split()) == 2)
        pids = [int(word) for word in log.read_text().split()]
    assert eventually(lambda: all(gone(pid) for pid in pids))


def test_processes_stop_in_reverse_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    stop = Processes.stop
    monkeypatch.setattr(Processes, "stop", lambda self, name: (stopped.append(name), stop(self, name)))
    with Processes(tmp_path) as processes:
        for name in ("emulator", "app", "load"):
            processes.start(name, SLEEPER)
    assert stopped == ["load", "app", "emulator"]


def test_a_process_that_ends_before_it_is_ready_is_reported_with_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        with pytest.raises(Unreachable, match="app ended before it was ready; port is taken"):
            processes.start("app", [sys.executable, "-S", "-c", "print('port is taken')"], ready=lambda: False)
        processes.start("app", SLEEPER)


def test_a_process_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        with pytest.raises(Unreachable, match=r"not ready in 0\.1 s"):
            processes.start("app", SLEEPER, ready=lambda: False, within_s=0.1)
        with pytest.raises(KeyError):
            processes["app"]


def test_probes_see_a_server_come_up(tmp_path: Path) -> None:
    port = free_port()
    assert not listening(port)()
    assert not answering(f"http://127.0.0.1:{port}/")()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with Processes(tmp_path) as processes:
        processes.start("http", command, ready=answering(f"http://127.0.0.1:{port}/"), cwd=tmp_path)
        assert listening(port)()
        assert processes["http"].alive()


def test_a_killed_process_is_gone_with_its_group(tmp_path: Path) -> None:
    log = tmp_path / "stubborn.log"
    with Processes(tmp_path) as processes:
        processes.start("stubborn", STUBBORN, ready=lambda: len(log.read_text().split()) == 2)
        pids = [int(word) for word in log.read_text().split()]
        processes.kill("stubborn")
        assert eventually(lambda: all(gone(pid) for pid in pids))
