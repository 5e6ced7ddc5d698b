"""The monitor's pulse: `renewed_at` is renewed as long as the monitor really looks, and not longer."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from contextlib import suppress

from causeway.rollout import control as controls
from causeway.rollout.control import Control
from causeway.rollout.stack import Stack
from causeway.rollout.store import NOW


class Pulse:
    """Tells applications that somebody watches. As a context manager it beats in the background."""

    def __init__(self, stack: Stack, alive: Callable[[], bool]) -> None:
        self._stack = stack
        self._alive = alive
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def beat(self) -> bool:
        """Renew the heartbeat, unless somebody just has, or nobody looks; whether it did. Raises Unreachable."""
        if not self._alive():
            return False
        store, name, renew = self._stack.store, self._stack.name, self._stack.config.freshness.renew
        found = store.read(controls.path(name))
        renewed = Control.of(found).renewed_at
        if found and isinstance(renewed, datetime.datetime) and (found.read - renewed).total_seconds() < renew / 2:
            return False
        controls.change(store, name, renewed_at=NOW)
        return True

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=0.5)

    def _run(self) -> None:
        while True:
            with suppress(Exception):  # a beat that fails is made up by the next; readers mind the time by themselves
                self.beat()
            if self._stop.wait(self._stack.config.freshness.renew):
                return
