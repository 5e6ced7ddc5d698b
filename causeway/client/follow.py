"""Keeps a view up to date: reads the two documents again and again, in a thread of its own.

A read costs two document reads, so how soon the next one comes is a choice: see `FirestoreSource`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from causeway.client.view import Context, Decision, Documents, View

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the two documents come from."""

    def read(self) -> Documents:
        """Both documents as of one instant. Raises anything when they cannot be had."""

    def wait(self) -> None:
        """Returns when another read is due."""

    def wake(self) -> None:
        """Ends a wait at once."""

    def close(self) -> None:
        """Gives connections back."""


class Follower:
    """Follows a stack's flags. Decisions come from memory and never wait for the network.

    While the source fails, the view grows old and decides as a stale one: an outage needs no handling of its own.
    """

    def __init__(self, source: Source, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="causeway-flags", daemon=True)
        self._failing = False
        self.view = View()

    def start(self) -> None:
        """Reads once, so that the first decision is an informed one, and goes on in the background."""
        self.step()
        self._thread.start()

    def stop(self) -> None:
        """Ends the background reading."""
        self._stop.set()
        self._source.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._source.close()

    def step(self) -> None:
        """One read. A failing one, whatever it fails of, leaves the view as it is, and the next one comes."""
        asked_at = self._monotonic()
        try:
            view = self.view.learn(self._source.read(), asked_at)
        except Exception as error:
            if not self._failing:
                log.warning("flags cannot be read, the last ones grow stale: %s", error)
            self._failing = True
            return
        self._failing = False
        before, self.view = self.view, view
        if self.view.trouble not in (None, before.trouble):
            log.error("services in progress fall back to legacy: %s", self.view.trouble)

    def decide(self, service: str, context: Context) -> Decision:
        """The version of a service for a context, now."""
        return self.view.decide(service, context, self._monotonic())

    def packages(self, context: Context) -> frozenset[str]:
        """Every service this context gets from its package, now."""
        return self.view.packages(context, self._monotonic())

    def fresh(self) -> bool:
        """Whether somebody is watching, as far as can be told now."""
        return self.view.fresh(self._monotonic())

    def _run(self) -> None:
        while not self._stop.is_set():
            self._source.wait()
            if not self._stop.is_set():
                self.step()
