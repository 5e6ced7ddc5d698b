"""Alerts to people, by severity: what happened, what was done, what to do next.

Addresses are URLs of the notification library Apprise (many services), taken from the environment; a channel
`file:PATH` appends lines of JSON. The same alert is sent once in a while only; what cannot be delivered is kept.
Delivery happens in the background: no move waits for somebody's chat server.
"""

from __future__ import annotations

import atexit
import datetime
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

_log = logging.getLogger(__name__)


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
    """The channels of a stack. `quiet` seconds pass before the same key is sent again; `most` alerts a minute leave.

    At the end of the process at most `patience` seconds are spent on what is still on its way; the rest is kept.
    """

    stack: str
    channels: Mapping[str, tuple[str, ...]]
    dead_letters: Path
    now: Callable[[], datetime.datetime]
    sleep: Callable[[float], None]
    deliver: Deliver | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    quiet: float = 300.0
    most: int = 30
    patience: float = 10.0
    _sent: dict[tuple[str, str], datetime.datetime] = field(default_factory=dict)
    _recent: list[datetime.datetime] = field(default_factory=list)
    _waiting: deque[tuple[str, Alert]] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _worker: threading.Thread | None = None

    def send(self, alert: Alert) -> None:
        with self._changed:
            due = self._due(alert)
            if due is not None:
                self._waiting.extend((channel, due) for channel in self.channels.get(due.severity, ()))
                self._changed.notify_all()
            if self._waiting and self._worker is None:
                self._worker = threading.Thread(target=self._work, name="alerts", daemon=True)
                self._worker.start()
                atexit.register(self.flush)

    def flush(self) -> None:
        """Wait for what is on its way, for `patience` seconds at most; keep what is not delivered by then."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, self.patience)
            left = list(self._waiting)
            self._waiting.clear()
        for channel, alert in left:
            self._keep(alert, channel, f"not delivered within {self.patience:g} s of the end")

    def _due(self, alert: Alert) -> Alert | None:
        """The alert as it leaves; None where it was sent a moment ago, or too many were."""
        now = self.now()
        again = self._sent.get((alert.key, alert.severity))
        if again is not None and (now - again).total_seconds() < self.quiet:
            return None
        self._sent[alert.key, alert.severity] = now
        self._recent = [at for at in self._recent if (now - at).total_seconds() < 60]
        stamped = replace(alert, stack=self.stack, at=now)
        if len(self._recent) >= self.most:
            self._keep(stamped, "rate limit", f"{self.most} alerts a minute")
            return None
        self._recent.append(now)
        return stamped

    def _work(self) -> None:
        """Deliver in order. What is being delivered stays in the queue, so that an end in between keeps it."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                channel, alert = first = self._waiting[0]
            try:
                self._to(channel, alert)
            except Exception as error:  # whatever a delivery raises, the next alert is still due
                self._keep(alert, channel, f"{type(error).__name__} while it was delivered")
            with self._changed:
                if self._waiting and self._waiting[0] is first:
                    self._waiting.popleft()
                self._changed.notify_all()

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
        try:
            _append(self.dead_letters, alert, {"channel": channel, "why": why})
        except OSError as error:  # a full disk is no reason to stop a move
            _log.warning("alert %s is lost: %s", alert.key, error)


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
