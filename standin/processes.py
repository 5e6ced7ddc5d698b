"""Local processes under supervision: started in order, stopped in reverse, and none left behind, whatever happens.

Each process leads its own process group and writes to its own log file. A watcher process holds the other end of a pipe
from us: when we die without a word (SIGKILL), the pipe closes and the watcher ends every group. That works alike on
Linux and macOS, and covers grandchildren, which `PR_SET_PDEATHSIG` does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from causeway.errors import Unreachable

Probe = Callable[[], bool]

_GRACE_S = 5.0
"""How long a process may take to leave after SIGTERM before it is killed."""

# Reads group ids, one a line ("+N" started, "-N" stopped), until the pipe closes, then ends what is left.
_WATCHER = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for wanted in (signal.SIGTERM, signal.SIGKILL):
    for group in groups:
        try:
            os.killpg(group, wanted)
        except (ProcessLookupError, PermissionError):
            pass
    time.sleep(0.0 if not groups else 2.0 if wanted == signal.SIGTERM else 0.0)
"""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listening(port: int, host: str = "127.0.0.1") -> Probe:
    """Ready when something accepts connections on the port."""

    def probe() -> bool:
        try:
            socket.create_connection((host, port), timeout=1.0).close()
            return True
        except OSError:
            return False

    return probe


def answering(url: str) -> Probe:
    """Ready when the URL answers with a status below 500."""

    def probe() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2.0):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    return probe


def wait_until(ready: Probe, alive: Probe, name: str, log: Path, within_s: float = 30.0) -> None:
    """Returns once `ready`; raises `Unreachable`, with the end of the log, when the process ends or time runs out."""
    deadline = time.monotonic() + within_s
    while not ready():
        late = time.monotonic() > deadline
        if late or not alive():
            said = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
            what = f"was not ready in {within_s:g} s" if late else "ended before it was ready"
            raise Unreachable(f"{name} {what}", said, f"Its log is {log}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Running:
    """One supervised process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None


@dataclass
class Processes:
    """Named processes that live as long as this context; logs go to `logs/<name>.log`.

    Inside the context SIGTERM and SIGHUP end the program the way Ctrl-C does, by an exception, so that leaving stops
    everything in reverse order. May be used from any thread, so also by `asyncio.to_thread`; signals are handled only
    where it is entered in the main one.
    """

    logs: Path
    _running: dict[str, Running] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _watcher: subprocess.Popen[str] | None = None
    _handlers: dict[int, Callable[[int, FrameType | None], object] | int | None] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _leave)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()

    def __getitem__(self, name: str) -> Running:
        return self._running[name]

    def start(
        self,
        name: str,
        command: Sequence[str],
        ready: Probe | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within_s: float = 30.0,
    ) -> Running:
        """Starts a process and returns once `ready` says so.

        Raises `Unreachable`, with the end of its log, when it ends or is not ready in time; then it is not running.
        """
        if name in self._running:
            raise ValueError(f"a process '{name}' is running already")
        log = self.logs / f"{name}.log"
        with log.open("wb") as output, _deferred():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
            running = self._running[name] = Running(name, process, log)
            self._watch(f"+{process.pid}")
        try:
            if ready is not None:
                wait_until(ready, running.alive, name, log, within_s)
        except BaseException:
            self.stop(name)
            raise
        return running

    def stop(self, name: str) -> None:
        """Ends a process and everything it started: SIGTERM to its group, SIGKILL after 5 s; gone on return."""
        running = self._running.pop(name)
        _end_group(running.process)
        self._watch(f"-{running.pid}")

    def kill(self, name: str) -> None:
        """SIGKILL to the process's group, at once: for tests of what a crash leaves behind."""
        running = self._running.pop(name)
        _signal_group(running.pid, signal.SIGKILL)
        running.process.wait()
        self._watch(f"-{running.pid}")

    def stop_all(self) -> None:
        """Everything, last started first. Another Ctrl-C waits until it is done: 5 s a process at most."""
        with _deferred():
            for name in reversed(list(self._running)):
                self.stop(name)
            if self._watcher is not None and self._watcher.stdin is not None:
                self._watcher.stdin.close()
                self._watcher.wait()
                self._watcher = None

    def _watch(self, line: str) -> None:
        with self._lock:
            if self._watcher is None:
                command = [sys.executable, "-I", "-S", "-c", _WATCHER]
                self._watcher = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
            assert self._watcher.stdin is not None
            self._watcher.stdin.write(f"{line}\n")
            self._watcher.stdin.flush()


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)  # also for grandchildren that outlived their leader
        process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextlib.contextmanager
def _deferred() -> Iterator[None]:
    """Signals that would end the program wait until this is through; then the first of them does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])
