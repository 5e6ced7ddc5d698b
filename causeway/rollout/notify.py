"""Alerts to people, by severity: what happened, what was done, what to do next.

Addresses are URLs of the notification library Apprise (many services), taken from the environment; a channel
`file:PATH` appends lines of JSON. The same alert is sent once in a while only; what cannot be delivered is kept.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Severity(StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `key` names what it is about: the same key is not sent again within the quiet time."""

    severity: Severity
    key: str
    happened: str
    done: str
    todo: str
    stack: str = ""
    at: datetime.datetime | None = None

    @property
    def title(self) -> str:
        return f"[{self.severity}] causeway {self.stack}: {self.happened}"

    @property
    def body(self) -> str:
        return f"What happened: {self.happened}\nWhat was done: {self.done}\nWhat to do next: {self.todo}"


class Notifier(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Deliver an alert, or keep it where it cannot be delivered. Never raises: a move must not wait for it."""


#: Delivers one message to one address; false where it could not.
Deliver = Callable[[str, Alert], bool]


@dataclass
class Channels:
    """The channels of a stack. `quiet` seconds pass before the same key is sent again; `most` alerts a minute leave."""

    stack: str
    channels: Mapping[str, tuple[str, ...]]
    dead_letters: Path
    now: Callable[[], datetime.datetime]
    sleep: Callable[[float], None]
    deliver: Deliver | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    quiet: float = 300.0
    most: int = 30
    _sent: dict[tuple[str, str], datetime.datetime] = field(default_factory=dict)
    _recent: list[datetime.datetime] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        now = self.now()
        again = self._sent.get((alert.key, alert.severity))
        if again is not None and (now - again).total_seconds() < self.quiet:
            return
        self._sent[alert.key, alert.severity] = now
        self._recent = [at for at in self._recent if (now - at).total_seconds() < 60]
        stamped = Alert(**{**asdict(alert), "severity": alert.severity, "stack": self.stack, "at": now})
        if len(self._recent) >= self.most:
            self._keep(stamped, "rate limit", f"{self.most} alerts a minute")
            return
        self._recent.append(now)
        for channel in self.channels.get(alert.severity, ()):
            self._to(channel, stamped)

    def _to(self, channel: str, alert: Alert) -> None:
        kind, _, rest = channel.partition(":")
        if kind == "file":
            _append(Path(rest), alert, {})
            return
        address = self.environment.get(rest)
        if not address:
            self._keep(alert, channel, f"{rest} is not set in the environment")
            return
        for attempt in range(3):
            if (self.deliver or _apprise)(address, alert):
                return
            self.sleep(0.5 * 2**attempt)
        self._keep(alert, channel, "not delivered after 3 attempts")

    def _keep(self, alert: Alert, channel: str, why: str) -> None:
        """A dead letter names the channel, never its address."""
        _append(self.dead_letters, alert, {"channel": channel, "why": why})


def _append(path: Path, alert: Alert, more: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**asdict(alert), **more}, default=str, ensure_ascii=False) + "\n")


def _apprise(address: str, alert: Alert) -> bool:
    import apprise

    kinds = {Severity.INFO: apprise.NotifyType.INFO, Severity.WARNING: apprise.NotifyType.WARNING}
    sender = apprise.Apprise()
    if not sender.add(address):
        return False
    kind = kinds.get(alert.severity, apprise.NotifyType.FAILURE)
    return bool(sender.notify(title=alert.title, body=alert.body, notify_type=kind))
