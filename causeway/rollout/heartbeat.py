"""The heartbeat: while it beats, applications know that somebody watches, and nobody else takes the lease."""

from __future__ import annotations

import threading

from causeway.errors import CausewayError, Conflict
from causeway.rollout.control import Lease
from causeway.rollout.store import NOW


class Heartbeat:
    """Renews the lease and `renewed_at` in the background, every `every` seconds.

    A beat that cannot be written is tried again at the next one; `lost` is set once somebody else has taken over.
    """

    def __init__(self, lease: Lease, every: float) -> None:
        self.lost: Conflict | None = None
        self._lease = lease
        self._every = every
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
        except CausewayError:
            pass  # Firestore does not answer; readers fall back by their own clock, which is what freshness is for
