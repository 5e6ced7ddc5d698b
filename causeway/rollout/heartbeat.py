"""The heartbeat: while it beats, applications know that somebody watches, and nobody else takes the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable

from causeway.errors import Conflict
from causeway.rollout.control import LEASE, Lease
from causeway.rollout.store import NOW


class Heartbeat:
    """Renews the lease and `renewed_at` in the background, every `every` seconds, or as often as the lease needs.

    A beat that cannot be written is tried again at the next one; `lost` is set once somebody else has taken over, and
    `on_lost` is called at once: what the holder has running must not go on writing.
    """

    def __init__(self, lease: Lease, every: float, on_lost: Callable[[], None] = lambda: None) -> None:
        self.lost: Conflict | None = None
        self._lease = lease
        self._on_lost = on_lost
        self._every = min(every, LEASE / 3)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._renew()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def check(self) -> None:
        """Raises Conflict once the lease is lost."""
        if self.lost is not None:
            raise self.lost

    def _beat(self) -> None:
        while not self._stop.wait(self._every) and self.lost is None:
            self._renew()

    def _renew(self) -> None:
        try:
            self._lease.commit(renewed_at=NOW)
        except Conflict as error:
            self.lost = error
            self._on_lost()
        except Exception:  # whatever it is, the next beat may get through; a thread that died would lose the lease
            pass  # Firestore does not answer; readers fall back by their own clock, which is what freshness is for
