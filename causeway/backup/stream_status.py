"""How a stream is doing: a small file beside its log, for `causeway backup status`, and Prometheus metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from causeway.backup import times

FILE = "status.json"
ALARM_SECONDS = 5.0
"""A verified watermark older than this is an alarm."""


@dataclass(slots=True)
class StreamStatus:
    """The counters and marks of one stream. `state` is starting, running, unreachable, refused or stopped."""

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
        if self.refusals and self.state == "refused":
            return self.refusals[-1]
        if rpo is None:
            return "nothing verified yet"
        if rpo > ALARM_SECONDS:
            return f"the verified watermark is {rpo:.1f} s old" + (f": {self.trouble}" if self.trouble else "")
        return ""

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """The same for `--json`, with the age and the alarm at `now`."""
        plain = {key: times.text(v) if isinstance(v, datetime) else v for key, v in asdict(self).items()}
        return plain | {"rpo_seconds": self.rpo_seconds(now), "alarm": self.alarm(now)}

    def save(self, spool: Path) -> None:
        """Replace the status file."""
        plain = {key: times.text(v) if isinstance(v, datetime) else v for key, v in asdict(self).items()}
        draft = spool / f".{FILE}"
        draft.write_text(json.dumps(plain, indent=1) + "\n")
        draft.replace(spool / FILE)


_TIMES = ("began", "durable", "verified", "digested")


def read_status(spool: Path) -> StreamStatus | None:
    """The status a stream has left in its spool directory; None if no stream ever ran there."""
    try:
        plain = json.loads((spool / FILE).read_text())
    except FileNotFoundError:
        return None
    return StreamStatus(**plain | {key: times.parse(plain[key]) for key in _TIMES if plain[key]})


def metrics_text(status: StreamStatus, now: datetime) -> str:
    """The status in Prometheus' text format (version 0.0.4)."""
    return "".join(_lines(status, now))


def _lines(status: StreamStatus, now: datetime) -> Iterator[str]:
    for name, kind, text, value in _metrics(status, now):
        if value is not None:
            full = f"causeway_backup_stream_{name}"
            yield f"# HELP {full} {text}\n# TYPE {full} {kind}\n{full} {float(value):.6f}\n"


def _metrics(status: StreamStatus, now: datetime) -> Iterator[tuple[str, str, str, float | None]]:
    yield "up", "gauge", "1 while the stream is running", float(status.state == "running")
    yield "durable_timestamp_seconds", "gauge", "The durable watermark", _seconds(status.durable)
    yield "verified_timestamp_seconds", "gauge", "The verified watermark", _seconds(status.verified)
    yield "digested_timestamp_seconds", "gauge", "The last watermark verified by digest", _seconds(status.digested)
    yield "rpo_seconds", "gauge", "Age of the verified watermark", status.rpo_seconds(now)
    yield "echo_seconds", "gauge", "From the last heartbeat's write until it was durable", status.echo_seconds
    yield "documents", "gauge", "Documents at the durable watermark", status.documents
    yield "changes_total", "counter", "Changes made durable", status.changes
    yield "blocks_total", "counter", "Watermarks reached", status.blocks
    yield "relistens_total", "counter", "Times everything was listened to again", status.relistens
    yield "reconnects_total", "counter", "Times the connection was made again", status.reconnects
    yield "silences_total", "counter", "Times the heartbeat's echo did not come", status.silences
    yield "refusals_total", "counter", "Times the database was refused", len(status.refusals)
    yield "alarm", "gauge", "1 while a person should look", float(bool(status.alarm(now)))


def _seconds(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None
