"""The two documents in Firestore's named database `causeway`.

On the emulator a read is free, so both are polled every 0.15 s. On the real service every read costs, and
`on_snapshot` reacts in milliseconds but never reports that it has died; so it only wakes the reader, and what is
obeyed always comes from a read of both documents at once, every 2 s whatever the watch does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from causeway.client.view import Documents

log = logging.getLogger(__name__)

DATABASE = "causeway"
#: Seconds between reads without a watch, and the longest time between reads beside one.
POLL_S, FALLBACK_S = 0.15, 2.0
#: A read that takes longer has failed.
TIMEOUT_S = 2.0


class FirestoreSource:
    """Reads `flags/<stack>` and `control/<stack>` in one consistent batch.

    `watch` chooses between polling and being woken; by default it watches unless FIRESTORE_EMULATOR_HOST is set.
    """

    def __init__(
        self,
        stack: str,
        project: str | None = None,
        *,
        watch: bool | None = None,
        connect: Callable[[], Any] | None = None,
    ) -> None:
        self._paths = (f"flags/{stack}", f"control/{stack}")
        self._watch = watch if watch is not None else "FIRESTORE_EMULATOR_HOST" not in os.environ
        self._connect = connect or (lambda: _client(project))
        self._client: Any = None
        self._watches: list[Any] = []
        self._due = threading.Event()

    def read(self) -> Documents:
        """Both documents as of one instant. Raises whatever the client raises, and connects anew the next time.

        A channel that has lost its server waits up to two minutes before it tries again; a new one tries at once.
        """
        if self._client is None:
            self._client = self._connect()
        client = self._client
        try:
            references = [client.document(path) for path in self._paths]
            found = {
                snapshot.reference.path: snapshot
                for snapshot in client.get_all(references, retry=None, timeout=TIMEOUT_S)
            }
            self._listen()
        except Exception:
            self.close()
            raise
        flags, control = (found[path] for path in self._paths)
        return Documents(flags.to_dict(), control.to_dict(), flags.read_time)

    def wait(self) -> None:
        """Returns when another read is due."""
        self._due.wait(FALLBACK_S if self._watches else POLL_S)
        self._due.clear()

    def wake(self) -> None:
        """Ends a wait."""
        self._due.set()

    def close(self) -> None:
        """Ends the watches and gives the connection back."""
        watches, self._watches = self._watches, []
        client, self._client = self._client, None
        for close in [*(watch.unsubscribe for watch in watches), *([client.close] if client is not None else [])]:
            try:
                close()
            except Exception as error:  # a dead connection may refuse to be closed
                log.debug("closing: %s", error)

    def _listen(self) -> None:
        if self._watch and not self._watches:  # only where a read has just succeeded: a dead watch leaves a thread
            self._watches = [
                self._client.document(path).on_snapshot(lambda *_changes: self._due.set()) for path in self._paths
            ]


def _client(project: str | None) -> Any:
    from google.cloud import firestore  # 0.7 s to import; whoever brings a source of their own does not pay it

    return firestore.Client(project=project, database=DATABASE)
