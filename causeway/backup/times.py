"""Points in time as Firestore counts them: UTC, whole microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from causeway.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_proto(stamp: Timestamp) -> datetime:
    """The instant of a protobuf timestamp; Firestore keeps microseconds, so nothing is lost."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def to_proto(instant: datetime) -> Timestamp:
    """The protobuf timestamp of an aware instant."""
    since = instant - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def micros(stamp: Timestamp) -> int:
    """The microseconds since 1970 of a protobuf timestamp."""
    return int(stamp.seconds) * 1_000_000 + int(stamp.nanos) // 1000


def text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds, so that texts sort as the instants do."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(value: str) -> datetime:
    """The instant an RFC 3339 text names; a text without a zone is refused, since it names none.

    Raises:
        ConfigError: not a time, or a time without a zone.
    """
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as error:
        raise ConfigError(f"{value!r} is not a time", "nothing was read", "write it as 2025-08-25T14:30:00Z") from error
    if instant.tzinfo is None:
        raise ConfigError(f"{value!r} has no time zone", "it would name a different instant elsewhere", "end it with Z")
    return instant.astimezone(UTC)
