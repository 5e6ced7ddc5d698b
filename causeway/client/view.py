"""What a reader knows of `flags/<stack>` and `control/<stack>`, and what it decides by it. Pure: time comes in.

Freshness: the watcher renews `control.renewed_at`; a reader that has not seen it move for `max_age_s`, on its own
monotonic clock, sends services not yet judged complete to legacy, because nobody is watching them.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from causeway.errors import ConfigError
from causeway.flags import USER, Flag, FlagSet, evaluate, read
from causeway.model.matrix import Version
from causeway.model.stage import Stage

#: OpenFeature's name for the user's key in a context.
TARGETING_KEY = "targetingKey"
#: What a decision may depend on: the targeting key, and the attributes other cohorts are keyed by.
Context = Mapping[str, object]

_JUDGED = frozenset({Stage.COMPLETE, Stage.RETIRED})


class Reason(StrEnum):
    """Why a service gets the version it gets."""

    SPLIT = "split"  # the flag set says so
    STALE = "stale"  # nobody is watching, or there is no flag set that can be read
    MISSING = "missing"  # the flag set has no such flag


@dataclass(frozen=True, slots=True)
class Decision:
    """The version of one service for one context, and why."""

    version: Version
    reason: Reason


@dataclass(frozen=True, slots=True)
class Documents:
    """The fields of the two documents as of one instant; None where a document is missing.

    `read_at` is the server's clock, not the reader's.
    """

    flags: Mapping[str, Any] | None
    control: Mapping[str, Any] | None
    read_at: datetime.datetime


@dataclass(frozen=True)
class View:
    """What a reader knows. `learn` makes the next one; nothing changes in place, so threads need no lock.

    `heard_at` is when the watcher was last heard, `read_at` when the documents were last read, both on the reader's
    monotonic clock in seconds. `trouble` says why the flag set cannot be obeyed, if so.
    """

    flags: FlagSet | None = None
    overridden: bool = False
    epochs: Mapping[str, int] = field(default_factory=dict)
    maintenance: str | None = None
    trouble: str | None = "nothing has been read yet"
    renewed_at: datetime.datetime | None = None
    heard_at: float = float("-inf")
    read_at: float = float("-inf")
    definition: str | None = None

    def learn(self, documents: Documents, asked_at: float) -> View:
        """The view after a read that was begun at `asked_at` (monotonic seconds).

        An override is obeyed in place of the stack's own flag set. A set that is missing or cannot be read leaves
        the last one in force for services judged complete, and sends the others to legacy at once.
        """
        control = documents.control or {}
        override = control.get("override")
        definition = override if override is not None else (documents.flags or {}).get("definition")
        flags, trouble = self._obeyed(definition)
        renewed_at = control.get("renewed_at")
        epochs = control.get("epochs")
        return replace(
            self,
            flags=flags,
            overridden=override is not None,
            epochs=epochs if isinstance(epochs, Mapping) else {},
            maintenance=control.get("maintenance"),
            trouble=trouble,
            renewed_at=renewed_at,
            heard_at=self._heard_at(renewed_at, documents.read_at, asked_at, flags),
            read_at=asked_at,
            definition=definition if trouble is None else None,
        )

    def fresh(self, now: float) -> bool:
        """Whether somebody is watching, as far as can be told at `now`."""
        return self.flags is not None and self.trouble is None and now - self.heard_at <= self.flags.max_age_s

    def decide(self, service: str, context: Context, now: float) -> Decision:
        """The version of a service for a context at `now` (monotonic seconds)."""
        flag = self.flags.by_service.get(service) if self.flags is not None else None
        if self.flags is None or flag is None:
            reason = Reason.STALE if self.flags is None else Reason.MISSING
            return Decision(Version.LEGACY, reason)
        if flag.stage not in _JUDGED and not self.fresh(now):
            return Decision(Version.LEGACY, Reason.STALE)
        return Decision(evaluate(self.flags, service, key_of(flag, context)), Reason.SPLIT)

    def packages(self, context: Context, now: float) -> frozenset[str]:
        """Every service that this context gets from its package at `now`: decided once, to be carried along."""
        services = self.flags.by_service if self.flags is not None else ()
        return frozenset(name for name in services if self.decide(name, context, now).version is Version.PACKAGE)

    def modes(self, service: str) -> Mapping[str, str]:
        """The switches a strategy has set for a service (`{"writes": "both"}`); none for an unknown service.

        They do not go stale: a dual write must go on when nobody is watching.
        """
        flag = self.flags.by_service.get(service) if self.flags is not None else None
        return flag.modes if flag is not None else {}

    def epoch(self, service: str) -> int:
        """The epoch of a service's distributed transactions."""
        return int(self.epochs.get(service, 0))

    def _obeyed(self, definition: object) -> tuple[FlagSet | None, str | None]:
        if definition is not None and definition == self.definition:
            return self.flags, None  # parsed before; most reads change only the heartbeat
        if not isinstance(definition, str):
            return self.flags, "there is no flag set"
        try:
            return read(definition), None
        except ConfigError as error:
            return self.flags, str(error)

    def _heard_at(
        self, renewed_at: object, server_now: datetime.datetime, asked_at: float, flags: FlagSet | None
    ) -> float:
        """A heartbeat seen to move was heard now. One that nobody here saw move is as old as the server's clock says.

        So the clocks of watcher and reader may differ; and a reader that starts, or comes back from an outage,
        does not take the last beat of a dead watcher for a new one.
        """
        if not isinstance(renewed_at, datetime.datetime):
            return float("-inf")
        if renewed_at == self.renewed_at:
            return self.heard_at
        witnessed = flags is not None and asked_at - self.read_at <= flags.max_age_s
        age = 0.0 if witnessed else max(0.0, (server_now - renewed_at).total_seconds())
        return asked_at - age


def key_of(flag: Flag, context: Context) -> object:
    """The key by which a flag's cohort is divided, taken from a context."""
    return context.get(TARGETING_KEY if flag.cohort == USER else flag.cohort)
