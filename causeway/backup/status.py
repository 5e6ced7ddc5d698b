"""What an archive holds, for people and for metrics. A backup never verified is shown as such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.stream_log import latest_stream
from causeway.backup.stream_state import default_spool, watermarks
from causeway.backup.stream_status import StreamStatus, read_status


@dataclass(frozen=True, slots=True)
class Line:
    """One backup as status shows it; `instant` is None until it can be restored."""

    id: str
    kind: str
    state: str
    priority: str
    collections: tuple[str, ...]
    instant: datetime | None
    documents: int
    deletes: int
    stored_bytes: int
    verified: datetime | None

    @property
    def text(self) -> str:
        """One line for people."""
        instant = times.text(self.instant) if self.instant else "not yet restorable"
        verified = f"verified {times.text(self.verified)}" if self.verified else "never verified"
        what = ", ".join(self.collections) or "everything"
        return (
            f"  {self.id}  {self.state}  {instant}  {self.documents} documents, {self.deletes} deletes, "
            f"{self.stored_bytes / 1e6:.1f} MB  {verified}  [{self.priority or 'no priority'}: {what}]"
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "backup": self.id,
            "kind": self.kind,
            "state": self.state,
            "priority": self.priority,
            "collections": list(self.collections),
            "instant": times.text(self.instant) if self.instant else None,
            "documents": self.documents,
            "deletes": self.deletes,
            "stored_bytes": self.stored_bytes,
            "verified": times.text(self.verified) if self.verified else "never",
        }


def lines(archive: Archive) -> list[Line]:
    """Every backup that was not pruned, oldest first; of the latest stream, up to its open end."""
    rows = [line(backup) for backup in archive.backups() if not backup.pruned]
    stream = latest_stream(archive)
    marks = watermarks(archive) if stream is not None else []
    live = streaming(archive)
    return [_open_end(row, max(marks), live) if marks and stream and row.id == stream.id else row for row in rows]


def _open_end(row: Line, instant: datetime, live: StreamStatus | None) -> Line:
    """A stream's line up to its open end: the manifest knows what was sealed, the stream itself what there is now."""
    return replace(
        row, instant=instant, documents=live.documents if live and row.state == "streaming" else row.documents
    )


def line(backup: Backup) -> Line:
    """What the manifest alone says of a backup."""
    return Line(
        id=backup.id,
        kind=str(backup.kind),
        state=_state(backup),
        priority=backup.priority,
        collections=backup.collections,
        instant=backup.exact_until,
        documents=backup.facts.documents,
        deletes=backup.facts.deletes,
        stored_bytes=backup.stored_bytes,
        verified=backup.verified,
    )


def _state(backup: Backup) -> str:
    if backup.completed:
        return "complete"
    return "streaming" if backup.kind is BackupKind.STREAM else "unfinished"


def streaming(archive: Archive) -> StreamStatus | None:
    """How the stream that writes here is doing: its marks, counters, refusals; None if none ever did."""
    return read_status(default_spool(archive))


def metrics(rows: Sequence[Line]) -> str:
    """The newest complete backup and the newest verification of each priority, in Prometheus' text format."""
    registry = CollectorRegistry()
    taken = Gauge("causeway_backup_instant_seconds", "Instant of the newest backup.", ["priority"], registry=registry)
    verified = Gauge(
        "causeway_backup_verified_seconds",
        "When a backup was last restored on trial and found equal; 0 is never.",
        ["priority"],
        registry=registry,
    )
    documents = Gauge("causeway_backup_documents", "Documents in the newest backup.", ["priority"], registry=registry)
    for row in rows:
        priority = verified.labels(row.priority or "all")
        if row.verified:
            priority.set(row.verified.timestamp())
        if row.instant:
            taken.labels(row.priority or "all").set(row.instant.timestamp())
            documents.labels(row.priority or "all").set(row.documents)
    return generate_latest(registry).decode()
