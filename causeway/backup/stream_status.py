"""How a stream is doing: a small file beside its log, for `causeway backup status`, and Prometheus metrics."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from causeway.backup import times

FILE = "status.json"
LOCK = "lock"
"""Held by the one process that streams into an archive."""
PREFIX = "causeway_backup_stream"
ALARM_SECONDS = 5.0
"""A verified watermark older than this is an alarm."""


@dataclass(slots=True)
class StreamStatus:
    """The counters and marks of one stream. `state` is starting, running, unreachable, refused, stopped or died."""

    source: str
    state: str = "starting"
    began: datetime | None = None
    durable: datetime | None = None
    verified: datetime | None = None
    digested: datetime | None = None
    echo_seconds: float | None = None
    documents: int = 0
    changes: int = 0
    blocks: int = 0
    relistens: int = 0
    reconnects: int = 0
    silences: int = 0
    refusals: list[str] = field(default_factory=list)
    trouble: str = ""

    def rpo_seconds(self, now: datetime) -> float | None:
        """The age of the verified watermark: what a disaster at this moment would cost."""
        return (now - self.verified).total_seconds() if self.verified else None

    def alarm(self, now: datetime) -> str:
        """What a person should know, in words; empty if all is well."""
        rpo = self.rpo_seconds(now)
        if self.state == "died":
            return "the stream has died and keeps nothing: start it again, it resumes"
        if self.refusals and self.state == "refused":
            return self.refusals[-1]
        if rpo is None:
            return "nothing verified yet"
        if rpo > ALARM_SECONDS:
            return f"the verified watermark is {rpo:.1f} s old" + (f": {self.trouble}" if self.trouble else "")
        return ""

    def line(self) -> str:
        """Where it stands, in one line."""
        marks = f"durable {_clock(self.durable)}, verified {_clock(self.verified)}"
        echo = f", echo {self.echo_seconds * 1000:.0f} ms" if self.echo_seconds is not None else ""
        trouble = f": {self.trouble}" if self.trouble else ""
        return f"{self.state}{trouble} · {self.documents} documents, {self.changes} changes · {marks}{echo}"

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """The same for `--json`, with the age and the alarm at `now`."""
        plain = {key: times.text(v) if isinstance(v, datetime) else v for key, v in asdict(self).items()}
        return plain | {"rpo_seconds": self.rpo_seconds(now), "alarm": self.alarm(now)}

    def save(self, spool: Path) -> None:
        """Replace the status file. A disk that does not take it must not stop the stream, which says so itself."""
        plain = {key: times.text(v) if isinstance(v, datetime) else v for key, v in asdict(self).items()}
        draft = spool / f".{FILE}"
        with suppress(OSError):
            draft.write_text(json.dumps(plain, indent=1) + "\n")
            draft.replace(spool / FILE)


def _clock(instant: datetime | None) -> str:
    return f"{instant:%H:%M:%S}.{instant.microsecond // 1000:03}" if instant else "nothing yet"


_ENDED = ("refused", "stopped")
_TIMES = ("began", "durable", "verified", "digested")


def read_status(spool: Path) -> StreamStatus | None:
    """The status a stream has left in its spool directory; None if no stream ever ran there.

    One that did not live to say that it ended has died: nobody holds its lock.
    """
    try:
        plain = json.loads((spool / FILE).read_text())
    except FileNotFoundError:
        return None
    status = StreamStatus(**plain | {key: times.parse(plain[key]) for key in _TIMES if plain[key]})
    if status.state not in _ENDED and not _held(spool / LOCK):
        status.state = "died"
    return status


def _held(lock: Path) -> bool:
    with suppress(FileNotFoundError), lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Collector:
    """The status as Prometheus metrics, read anew at each collection."""

    def __init__(self, status: Callable[[], StreamStatus | None], now: Callable[[], datetime]) -> None:
        self._status = status
        self._now = now

    def collect(self) -> Iterator[Any]:
        """The metric families; none before there is a status, and none without a value."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        status = self._status()
        if status is None:
            return
        for name, text, value in _gauges(status, self._now()):
            if value is not None:
                yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value)
        for name, text, value in _counters(status):
            yield CounterMetricFamily(f"{PREFIX}_{name}", text, value)


def metrics_text(status: StreamStatus, now: datetime) -> str:
    """The status in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(Collector(lambda: status, lambda: now))
    return generate_latest(registry).decode()


def _gauges(status: StreamStatus, now: datetime) -> Iterator[tuple[str, str, float | None]]:
    yield "up", "1 while the stream is running", float(status.state == "running")
    yield "durable_timestamp_seconds", "The durable watermark", _seconds(status.durable)
    yield "verified_timestamp_seconds", "The verified watermark", _seconds(status.verified)
    yield "digested_timestamp_seconds", "The last watermark verified by digest", _seconds(status.digested)
    yield "rpo_seconds", "Age of the verified watermark", status.rpo_seconds(now)
    yield "echo_seconds", "From the last heartbeat's write until it was durable", status.echo_seconds
    yield "documents", "Documents at the durable watermark", status.documents
    yield "alarm", "1 while a person should look", float(bool(status.alarm(now)))


def _counters(status: StreamStatus) -> Iterator[tuple[str, str, float]]:
    yield "changes", "Changes made durable", status.changes
    yield "blocks", "Watermarks reached", status.blocks
    yield "relistens", "Times everything was listened to again", status.relistens
    yield "reconnects", "Times the connection was made again", status.reconnects
    yield "silences", "Times the heartbeat's echo did not come", status.silences
    yield "refusals", "Times the database was refused", len(status.refusals)


def _seconds(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None
