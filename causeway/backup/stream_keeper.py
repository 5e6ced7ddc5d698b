"""Takes blocks, judges them, makes them durable, and moves the two watermarks. Clock and second looks are given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from causeway.backup import times
from causeway.backup.listen import Relisten
from causeway.backup.stream_block import Block, Known, Selection, Version
from causeway.backup.stream_guard import Refused, Sentinel, judge
from causeway.backup.stream_log import StreamLog
from causeway.backup.stream_status import StreamStatus
from causeway.backup.stream_verify import Miscounts, in_words

Recount = Callable[[Mapping[str, int], datetime], Miscounts]
"""Asks the database whether it holds so many documents at an instant, by collection."""

_MASS_SHARE = 0.2
_MASS_LEAST = 50
_KEPT_BEATS = 64


@dataclass(frozen=True, slots=True)
class Standing:
    """A durable watermark and the documents by collection at it (`Selection.counts`)."""

    read_time: datetime
    counts: Mapping[str, int]


class Keeper:
    """The one place where a block becomes part of the archive; safe to use from several threads."""

    def __init__(
        self,
        log: StreamLog,
        selection: Selection,
        sentinel: Sentinel,
        status: StreamStatus,
        monotonic: Callable[[], float],
    ) -> None:
        self.log = log
        self.selection = selection
        self.sentinel = sentinel
        self.status = status
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._beats: dict[int, float] = {}
        self._disagreed = False
        self._closed = False
        self.last_echo = monotonic()

    @property
    def known(self) -> Known:
        """What is known at the durable watermark."""
        return self.log.position.known

    def reopen(self) -> None:
        """A new session begins; its first block is a difference to what is known."""
        self._closed = False
        self.last_echo = self._monotonic()

    def standing(self) -> Standing | None:
        """The durable watermark with its counts; None before the base."""
        with self._lock:
            durable = self.log.position.durable
            return Standing(durable.read_time, self.selection.counts(self.known.tally)) if durable else None

    def sent(self, updated: int, at: float) -> None:
        """A heartbeat was sent at `at` (monotonic) and got this update time; its echo is awaited."""
        with self._lock:
            self._beats[updated] = at
            while len(self._beats) > _KEPT_BEATS:
                self._beats.pop(next(iter(self._beats)))

    def take(self, block: Block, recount: Recount) -> None:
        """Judge a block, make it durable, move the durable watermark.

        Raises:
            Refused: the database is not the one the archive is of; nothing of the block is written.
            Relisten: a mass deletion the server's own count does not bear out; nothing is written.
            Unreachable: the disk does not take it.
        """
        judge(block, self.known, self.sentinel)
        durable = self.log.position.durable
        if durable is not None and block.read_time < durable.read_time:
            raise Relisten(f"a block of {times.text(block.read_time)} came behind {times.text(durable.read_time)}")
        self._second_look(block, recount)
        with self._lock:
            if self._closed:
                return  # counts have just disagreed: what this session still delivers builds on doubtful ground
            self._account(self.log.commit(block))
            self._hear(block.changes.get(self.sentinel.heartbeat))

    def _second_look(self, block: Block, recount: Recount) -> None:
        """A mass deletion is believed only if an independent count at the same instant says the same."""
        removals = sum(version is None and name in self.selection for name, version in block.changes.items())
        if removals < _MASS_LEAST or removals < _MASS_SHARE * sum(self.known.tally.values()):
            return
        counts = self.selection.counts(self.known.tally_after(block.changes))
        if wrong := recount(counts, block.read_time):
            raise Relisten(f"{removals} deletions came which a count at the same instant denies: {in_words(wrong)}")

    def _account(self, changes: int) -> None:
        status = self.status
        status.began = self.log.backup.read_time if self.log.backup else None
        status.durable = self.log.kept
        status.documents = sum(self.selection.counts(self.known.tally).values())
        status.changes += changes
        status.blocks += 1
        status.state, status.trouble = "running", ""

    def _hear(self, echo: Version | None) -> None:
        if echo is None:
            return
        self.last_echo = self._monotonic()
        sent = self._beats.get(echo.updated)
        if sent is not None:
            self.status.echo_seconds = self.last_echo - sent
        self._beats = {updated: at for updated, at in self._beats.items() if updated > echo.updated}

    def verified(self, standing: Standing, wrong: Miscounts) -> None:
        """Take the result of an independent count at a durable watermark: move the verified one, or do not.

        Raises:
            Relisten: counts disagree for the first time; listening again and taking the difference mends a server
                that swallowed events. The watermarks since the last verified one are taken back.
            Refused: they still disagree after that.
        """
        if wrong:
            self.withdraw()
            self._disagree(f"counts disagree at {times.text(standing.read_time)}: {in_words(wrong)}")
        with self._lock:
            self._disagreed = False
            self.log.verify(standing.read_time)
            self.status.verified, self.status.durable = standing.read_time, self.log.kept

    def digested(self, standing: Standing, wrong: int) -> None:
        """Take the result of a comparison by digest, `wrong` documents of which are not what the archive says.

        Raises:
            Relisten: some are, for the first time: all are written again. The watermarks since the last comparison by
                digest are taken back, since a count could not have seen it.
            Refused: some still are after that.
        """
        if wrong:
            self.status.verified = self.status.digested
            self.withdraw()
            self.known.doubt()
            self._disagree(f"{wrong} documents differ by digest at {times.text(standing.read_time)}")
        with self._lock:
            self._disagreed = False
            self.log.verify(standing.read_time, by_digest=True)
            self.status.digested = standing.read_time

    def withdraw(self) -> None:
        """Take back the watermarks since the last verified one, and keep nothing more of this session."""
        with self._lock:
            self._closed = True
            self.log.withdraw(self.status.verified)

    def _disagree(self, fact: str) -> None:
        if not self._disagreed:
            self._disagreed = True
            raise Relisten(fact)
        raise Refused(
            f"{fact}, and still do after listening again",
            "the archive cannot be shown to hold what the database holds; the verified watermark stays where it is",
            "take a snapshot (`causeway backup snapshot`), then begin again with `causeway backup stream --anew`",
        )
