"""The continuous backup: a source, the keeper, a heartbeat, and independent counts, until told to stop.

`docs/reference/stream.md` states what it guarantees.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import CONTROL
from causeway.backup.listen import Relisten
from causeway.backup.listen_source import Listener
from causeway.backup.poll import poll
from causeway.backup.queries import server_time
from causeway.backup.stream_aside import Aside
from causeway.backup.stream_block import Selection
from causeway.backup.stream_guard import Refused, Sentinel, beat, confirm, plant
from causeway.backup.stream_keeper import Keeper
from causeway.backup.stream_log import StreamLog
from causeway.backup.stream_state import default_spool, state_at
from causeway.backup.stream_status import LOCK, StreamStatus
from causeway.backup.stream_verify import Miscounts, compare, groups_in, miscounts, read
from causeway.errors import ConfigError, Conflict, IntegrityError, Unreachable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Source(StrEnum):
    """Where the changes come from."""

    LISTEN = "listen"
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to stream and how often what is done; all times in seconds.

    `collections` are top-level collections, every collection below them included; empty (poll only) means all.
    """

    source: Source
    collections: tuple[str, ...] = ()
    beat: float = 1.0
    silence: float = 5.0
    poll: float = 2.0
    verify: float = 2.0
    digest: float = 3600.0
    rebase: float = 86_400.0
    retry: float = 1.0


class Silent(Exception):
    """The heartbeat's echo does not come: this connection is dead, whatever it claims."""


class _Reopen(Exception):
    """Listen again from the token, with the collections that have come to be known."""


class _Rebase(Exception):
    """The stream has become long: end it, and begin another with a base of its own, so that restores stay quick."""


class Stream:
    """One continuous backup of one database into one archive."""

    def __init__(
        self,
        archive: Archive,
        settings: Settings,
        *,
        spool: Path | None = None,
        connect: Callable[[], Connection] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if settings.source is Source.LISTEN and not settings.collections:
            raise ConfigError(
                "listen needs the names of collections",
                "Firestore has no Listen over all of them",
                "give --collections, or --source poll for a small database",
            )
        self._archive = archive
        self._settings = settings
        self._selection = Selection(settings.collections)
        self._spool = spool or default_spool(archive)
        self._connect = connect or (lambda: Connection.open(archive.database))
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._end: Callable[[], None] = lambda: None
        self._anew = False
        self._groups: frozenset[str] = frozenset()
        self.status = StreamStatus(str(settings.source))

    def stop(self) -> None:
        """End `run` at the last watermark; safe in a signal handler and from any thread."""
        self._stopping.set()
        self._end()

    def run(self, *, anew: bool = False) -> None:
        """Stream until `stop`. `anew` ends the archive's present stream and begins another with a new sentinel.

        Raises:
            Refused: the database is not the one the archive is of, or cannot be shown to be.
            Conflict: another process streams into this archive.
            IntegrityError: the archive is damaged.
        """
        with self._locked():
            log = StreamLog.open(self._archive, self._spool, self._settings.collections)
            try:
                if anew:
                    log.finish()
                self._sessions(log, replaced=anew)
                self.status.state = "stopped"
            except Refused as error:
                self.status.state = "refused"
                self.status.refusals.append(str(error))
                log.note({"refused": str(error)})
                raise
            finally:
                self.status.save(self._spool)
                log.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._spool.mkdir(parents=True, exist_ok=True)
        with (self._spool / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    f"another process streams into {self._archive.storage.url}",
                    "two streams would mix their changes",
                    "stop the other one first",
                ) from error
            yield

    def _sessions(self, log: StreamLog, *, replaced: bool) -> None:
        """One connection after another; what ends one decides how the next begins."""
        keeper: Keeper | None = None
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    sentinel = self._sentinel(connection, log, replaced=replaced)
                    replaced = False
                    keeper = keeper or self._keeper(log, sentinel)
                    _Session(self, connection, keeper).run()
                continue
            except _Reopen:
                continue
            except _Rebase:
                log.finish()
                keeper = None
                continue
            except Relisten as why:
                self._anew = True
                self.status.relistens += 1
                self._note(log, f"listened again from nothing: {why}")
            except Silent as why:
                self.status.silences += 1
                self._note(log, f"connected again: {why}")
            except Unreachable as why:
                self.status.state = "unreachable"
                self.status.trouble = why.fact
            self.status.reconnects += 1
            self.status.save(self._spool)
            self._stopping.wait(self._settings.retry)

    def _note(self, log: StreamLog, fact: str) -> None:
        self.status.trouble = fact
        log.note({"alarm": fact})

    def _keeper(self, log: StreamLog, sentinel: Sentinel) -> Keeper:
        position = log.position
        self.status.began = log.backup.read_time if log.backup else None
        self.status.durable = log.kept
        self.status.verified = position.verified or self.status.verified
        self.status.digested = position.digested or self.status.digested
        self.status.documents = sum(self._selection.counts(position.known.tally).values())
        return Keeper(log, self._selection, sentinel, self.status, self._monotonic)

    def _sentinel(self, connection: Connection, log: StreamLog, *, replaced: bool) -> Sentinel:
        """The archive's sentinel, read back; a new one where there is none, or the database was `replaced`."""
        sentinel = None if replaced else Sentinel.load(self._archive.storage)
        if sentinel is not None:
            confirm(connection, sentinel)
            return sentinel
        if log.position.durable is not None:
            raise IntegrityError(
                f"there is no sentinel in {self._archive.storage.url}",
                "it cannot be told whether this is still the same database",
                "put it back, or begin a new stream with `causeway backup stream --anew`",
            )
        sentinel = plant(connection)
        sentinel.save(self._archive.storage)
        return sentinel


class _Session:
    """What goes on during one connection: blocks in this thread, heartbeat, watchdog and counts beside it."""

    def __init__(self, stream: Stream, connection: Connection, keeper: Keeper) -> None:
        self._stream = stream
        self._settings = stream._settings
        self._connection = connection
        self._keeper = keeper
        self._over = threading.Event()
        self._first = threading.Lock()
        self._why: Exception | None = None
        self._listener: Listener | None = None
        self._beat = 0

    def run(self) -> None:
        """Until the stream is stopped or something ends the connection, which is raised."""
        self._stream._end = self._finish
        self._keeper.reopen()
        body = self._listen if self._settings.source is Source.LISTEN else self._poll
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in self._chores()]
        for thread in threads:
            thread.start()
        try:
            self._guarded(body)
        finally:
            self._finish()
            for thread in threads:
                thread.join()
        if self._why is not None and not (self._stream._stopping.is_set() and isinstance(self._why, Unreachable)):
            raise self._why

    def _chores(self) -> list[Callable[[], None]]:
        chores: list[Callable[[], None]] = [
            lambda: self._every(self._settings.verify, self._count),
            lambda: self._every(self._settings.digest, self._digest),
            lambda: self._every(min(self._settings.beat, 1.0), self._watch),
        ]
        if self._settings.source is Source.LISTEN:
            chores.append(lambda: self._every(self._settings.beat, self._send_beat))
        return chores

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run it; the first failure of any part ends the session and is what `run` raises."""
        try:
            work()
        except Exception as error:
            with self._first:
                if not self._over.is_set():
                    self._why = error
                self._over.set()
            self._finish()

    def _finish(self) -> None:
        self._over.set()
        if self._listener is not None:
            self._listener.end()

    def _every(self, seconds: float, act: Callable[[], object]) -> None:
        while not self._over.wait(seconds):
            act()

    def _listen(self) -> None:
        stream, keeper = self._stream, self._keeper
        stream._groups |= frozenset(self._settings.collections) | (frozenset(keeper.known.groups) - {CONTROL})
        if stream._anew or keeper.standing() is None:
            stream._groups |= groups_in(self._connection, stream._selection, server_time(self._connection))
        durable = keeper.log.position.durable
        token = durable.token if durable else b""
        with Aside(stream._spool) as aside:
            self._listener = Listener(
                self._connection, stream._groups, keeper.known, token, aside, stream._monotonic, anew=stream._anew
            )
            for block in self._listener.blocks():
                keeper.take(block, self._recount)
                stream._anew = False

    def _poll(self) -> None:
        keeper, selection = self._keeper, self._stream._selection
        with Aside(self._stream._spool) as aside:
            while not self._over.is_set():
                began = self._stream._monotonic()
                at = _EPOCH + timedelta(microseconds=self._send_beat())
                keeper.take(poll(self._connection, keeper.known, selection, at, aside), self._recount)
                aside.clear()
                self._over.wait(max(0.0, self._settings.poll - (self._stream._monotonic() - began)))

    def _send_beat(self) -> int:
        self._beat += 1
        sent = self._stream._monotonic()
        updated = beat(self._connection, self._keeper.sentinel, self._beat)
        self._keeper.sent(updated, sent)
        return updated

    def _watch(self) -> None:
        """The status for others, and the watchdog."""
        self._stream.status.save(self._stream._spool)
        if self._listener is None:
            return
        silent = self._stream._monotonic() - (self._listener.heard or self._keeper.last_echo)
        if silent > self._settings.silence:
            raise Silent(f"no echo of the heartbeat for {silent:.1f} s")

    def _recount(self, counts: Mapping[str, int], at: datetime) -> Miscounts:
        return miscounts(self._connection, counts, at)

    def _count(self) -> None:
        """Move the verified watermark, if an independent count agrees."""
        standing = self._keeper.standing()
        if standing is None or standing.read_time == self._stream.status.verified:
            return
        wrong = self._recount(standing.counts, standing.read_time)
        if wrong:
            self._look_for_groups(standing.read_time)
        self._keeper.verified(standing, wrong)
        began = self._stream.status.began
        if began is not None and standing.read_time - began >= timedelta(seconds=self._settings.rebase):
            raise _Rebase

    def _digest(self) -> None:
        """Compare every document's digest."""
        standing = self._keeper.standing()
        if standing is None:
            return
        selection, at = self._stream._selection, standing.read_time
        archive = Archive(self._stream._archive.storage)  # one of our own: the stream's is in use by another thread
        state = state_at(archive, at, self._stream._spool)
        comparison = compare(state.documents, read(self._connection, selection, at), selection)
        if comparison.wrong:
            self._look_for_groups(at)
        self._keeper.digested(standing, comparison.wrong)

    def _look_for_groups(self, at: datetime) -> None:
        """A collection that has appeared below a selected one is no disagreement; it has to be listened to as well."""
        if self._settings.source is Source.LISTEN:
            found = groups_in(self._connection, self._stream._selection, at)
            if not found <= self._stream._groups:
                self._stream._groups |= found
                self._keeper.withdraw()
                raise _Reopen
