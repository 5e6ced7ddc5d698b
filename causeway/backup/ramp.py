"""How fast a real Firestore may be written to: 500 operations a second, half as much again every 5 minutes.

The rule is Google's ("Ramping up traffic", Firestore best practices); a colder start makes the service slow for all.
"""

from __future__ import annotations

from collections.abc import Callable

_START = 500.0
_GROWTH = 1.5
_EVERY_S = 300.0


def rate(elapsed_s: float) -> float:
    """Operations a second allowed so long after the first write."""
    return float(_START * _GROWTH ** (elapsed_s // _EVERY_S))


class Ramp:
    """Makes a writer wait until its next operations are within the rule."""

    def __init__(self, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._began: float | None = None
        self._free_at = 0.0

    def wait(self, operations: int) -> None:
        """Return when this many operations may start."""
        now = self._monotonic()
        if self._began is None:
            self._began = self._free_at = now
        if self._free_at > now:
            self._sleep(self._free_at - now)
            now = self._free_at
        self._free_at = now + operations / rate(now - self._began)


def unlimited(_: int) -> None:
    """For the emulator, which needs no warming up."""
