"""The listen source: one gRPC `Listen` for all collections, from the last token on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup.connection import Connection
from causeway.backup.documents import CONTROL
from causeway.backup.listen import Changed, CommitRule, Event, Relisten, decode
from causeway.backup.stream_aside import Aside
from causeway.backup.stream_block import Block, Known
from causeway.errors import Unreachable

_REQUEST: Any = _firestore.ListenRequest.pb()
_METHOD = "/google.firestore.v1.Firestore/Listen"


def targets_of(groups: Iterable[str]) -> dict[str, int]:
    """A target id for each collection id; the stream's own documents are always among them."""
    return {group: number for number, group in enumerate(sorted({*groups, CONTROL}), start=1)}


def fresh_groups(targets: Iterable[str], known: Known, token: bytes, *, anew: bool) -> set[str]:
    """Which groups must be listened to from scratch.

    A token covers the groups that were on the stream it came from. Of a group of which nothing is known that cannot be
    told, and its content costs nothing; the sentinel is always read anew, so that the first block proves it.
    """
    if anew or not token:
        return set(targets)
    return {group for group in targets if group == CONTROL or not known.of(group)}


def requests(connection: Connection, targets: dict[str, int], fresh: set[str], token: bytes) -> list[bytes]:
    """The serialised requests that add the targets, with the token where one continues."""
    return [_request(connection, group, target, b"" if group in fresh else token) for group, target in targets.items()]


def _request(connection: Connection, group: str, target: int, token: bytes) -> bytes:
    request = _REQUEST(database=connection.database.name)
    request.add_target.target_id = target
    request.add_target.query.parent = connection.database.root
    source = request.add_target.query.structured_query.from_.add()
    source.collection_id, source.all_descendants = group, True
    if token:
        request.add_target.resume_token = token
    return bytes(request.SerializeToString())


class Listener:
    """One Listen call; `end` may be called from any thread.

    `heard` is when (monotonic) the last message came while content was still under way, None when it is not.
    """

    def __init__(
        self,
        connection: Connection,
        groups: Iterable[str],
        known: Known,
        token: bytes,
        aside: Aside,
        monotonic: Callable[[], float],
        *,
        anew: bool,
    ) -> None:
        self._connection = connection
        self._targets = targets_of(groups)
        self._known = known
        self._token = token
        self._aside = aside
        self._anew = anew
        self._monotonic = monotonic
        self.heard: float | None = monotonic()
        self._over = threading.Event()
        self._call: Any = None

    def blocks(self) -> Iterator[Block]:
        """Each block as it becomes exact; the caller applies it to `known` before asking for the next.

        Raises:
            Relisten: what comes cannot be trusted.
            Unreachable: the call ended.
        """
        fresh = fresh_groups(self._targets, self._known, self._token, anew=self._anew)
        rule = CommitRule(self._targets, self._known, fresh)
        asked = requests(self._connection, self._targets, fresh, self._token)
        channel, metadata = self._connection._channel, self._connection._metadata  # no bidirectional call of its own
        self._call = channel.stream_stream(_METHOD)(self._asking(asked), metadata=metadata)
        try:
            for raw in self._call:
                if block := rule.feed(self._lightened(decode(raw), rule)):
                    yield block
                    self._aside.clear()
                self.heard = None if rule.settled else self._monotonic()
        except grpc.RpcError as error:
            failure = self._connection.failure("Listen", error)
            if self._token and not isinstance(failure, Unreachable):  # a token the server does not take, damaged frames
                raise Relisten(failure.fact) from error
            raise failure from error
        finally:
            self.end()

    def _lightened(self, event: Event, rule: CommitRule) -> Event:
        """The event, its body on disk while content is under way that waits for its end."""
        if rule.settled or not isinstance(event, Changed):
            return event
        return Changed(event.name, self._aside.put(event.version))

    def _asking(self, asked: list[bytes]) -> Iterator[bytes]:
        """Add the targets, then keep our half of the call open."""
        yield from asked
        self._over.wait()

    def end(self) -> None:
        """End the call; `blocks` stops."""
        self._over.set()
        if self._call is not None:
            self._call.cancel()
