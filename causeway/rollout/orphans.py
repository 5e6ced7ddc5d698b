"""Ends what is left of an operation whose leader is gone: whatever of its session is alive may still write."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import psutil

#: Killed processes are gone at once, but for one in an uninterruptible call, in seconds.
PATIENCE = 5.0


def end_session(
    leader: int, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Kill every process of a session until none is alive, or patience ends.

    A process that has ended and that its parent has not asked about yet (a zombie) writes nothing and counts as gone:
    in a container, init may take seconds to ask.
    """
    deadline = clock() + PATIENCE
    while left := list(_alive(leader)):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if clock() > deadline:
            return
        sleep(0.005)


def _alive(leader: int) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        try:
            if os.getsid(pid) != leader:
                continue
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (OSError, psutil.Error):
            continue  # it ended meanwhile, or is not ours to look at
