"""Ends what is left of an operation whose owner is gone: whatever of it is alive may still write.

Every process of an operation carries in its environment who has started it, and where. So an orphan is known by what it
is, not by a number that may have been given away again, and an operation whose owner lives is nobody else's to end.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The variable that processes of an operation carry: its owner, then the folder that it works in.
CARRIED = "CAUSEWAY_OPERATION"
#: Killed processes are gone at once, but for one in an uninterruptible call, in seconds.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told from any other that has, had or will have its number."""

    machine: str
    pid: int
    started: str

    @classmethod
    def of_this(cls) -> Owner:
        """The process that asks."""
        return cls(machine(), os.getpid(), _started(os.getpid()) or "")

    @classmethod
    def parse(cls, text: str) -> Owner:
        """From its text. Raises ValueError."""
        name, pid, started = text.split("/")
        return cls(name, int(pid), started)

    def __str__(self) -> str:
        return f"{self.machine}/{self.pid}/{self.started}"

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine, so that its life can be told."""
        return self.machine == machine()

    @property
    def alive(self) -> bool:
        """Whether it runs; only to be asked of one that is `here`."""
        return _started(self.pid) == self.started


def carried(owner: Owner, work: Path) -> str:
    """What an operation's processes carry."""
    return f"{owner} {work.resolve()}"


def end_session(
    leader: int, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Kill every process of a session until none is alive, or patience ends.

    A process that has ended and that its parent has not asked about yet (a zombie) writes nothing and counts as gone:
    in a container, init may take seconds to ask.
    """
    _end(lambda: _of_session(leader), clock, sleep)


def end_left_in(work: Path) -> None:
    """End the operations in a folder whose owners are dead."""
    _end(lambda: _carrying(lambda owner, at: at == str(work.resolve()) and not owner.alive), time.monotonic, time.sleep)


def end_of(owner: Owner) -> None:
    """End every operation of an owner, wherever it works; one that lives hears of it as a failure."""
    _end(lambda: _carrying(lambda found, _: found == owner), time.monotonic, time.sleep)


def machine() -> str:
    """This machine since it was booted, and the space in which process numbers count: containers have their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').readlink().name}".replace("/", "")
    except OSError:
        return f"{platform.node()}-{psutil.boot_time():.0f}"


def runs(pid: int, named: str) -> bool:
    """Whether a process of that number and name runs on this machine."""
    with contextlib.suppress(psutil.Error):
        return any(named in process.name() for process in _living(pid))
    return False


def _started(pid: int) -> str | None:
    """When a process was started, in a form that no clock adjustment changes; None for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid)
        return None if found.status() == psutil.STATUS_ZOMBIE else f"{found.create_time():.2f}"
    return None


def _end(
    left: Callable[[], Iterable[psutil.Process]], clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    deadline = clock() + PATIENCE
    while found := list(left()):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if clock() > deadline:
            return
        sleep(0.005)


def _of_session(leader: int) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                yield from _living(pid)


def _carrying(meant: Callable[[Owner, str], bool]) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError, ValueError):  # another user's, or a garbled mark: not ours
            owner, _, work = psutil.Process(pid).environ().get(CARRIED, "").partition(" ")
            if owner and (whose := Owner.parse(owner)).here and meant(whose, work):
                yield from _living(pid)


def _living(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):  # it ended meanwhile, or is not ours to look at
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            yield process
