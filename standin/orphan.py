"""What a child does when its parent dies without a word (SIGKILL): it leaves too."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable


def when_orphaned(leave: Callable[[], None], interval_s: float = 0.5) -> None:
    """Calls `leave` within `interval_s` of the parent's death, from a daemon thread.

    Polling, because `PR_SET_PDEATHSIG` fires when the parent's *thread* ends (Go starts children from threads that
    come and go) and does not exist on macOS.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval_s)
        leave()

    threading.Thread(target=watch, name="when-orphaned", daemon=True).start()
