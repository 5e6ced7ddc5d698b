"""One stack with everything outside it that the rollout room talks to, so that tests can step each part by hand."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from causeway.config import Config
from causeway.errors import CausewayError
from causeway.model.moves import Place, Standing
from causeway.rollout import control as controls
from causeway.rollout import stackfile
from causeway.rollout.actions import Application
from causeway.rollout.control import Control
from causeway.rollout.desired import standing
from causeway.rollout.engine import Engine, Export
from causeway.rollout.gate import Gate
from causeway.rollout.notify import Notifier
from causeway.rollout.store import Store

_FLAG_SET_TYPE = "gcp:firestore/document:Document"


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the rollout room sees it: for people, for durations in seconds, for waiting."""

    now: Callable[[], datetime.datetime] = field(default=lambda: datetime.datetime.now(datetime.UTC))
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person may want to see while it happens. `kind` is stable, `text` is for reading."""

    kind: str
    text: str
    place: Place | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Stack:
    """A stack and its surroundings.

    `file` is the stack file; `commit` records each move of it in git. `baselines` reads legacy's response time in
    seconds, at the guardrail's quantile, of the services whose baseline still counts. `keep_state` saves a service's
    state and reads it back; false where config names no state of it.
    """

    config: Config
    file: Path
    store: Store
    engine: Engine
    application: Application
    notifier: Notifier
    clock: Clock = Clock()
    tell: Callable[[Event], None] = lambda event: None
    baselines: Callable[[], Mapping[str, float]] = dict
    keep_state: Callable[[str, Place], bool] = lambda service, place: False
    commit: bool = False
    work: Path = Path(".local/work")

    @property
    def name(self) -> str:
        return self.config.stack

    @cached_property
    def gate(self) -> Gate:
        return Gate(self.config, lambda: self.store, self.clock.now)

    def control(self) -> Control:
        """The control document. Raises Unreachable."""
        return controls.read(self.store, self.name)

    def server_now(self) -> datetime.datetime:
        """The time by the server's clock, which operators share; ours where there is no control document yet."""
        found = self.store.read(controls.path(self.name))
        return found.read if found else self.clock.now()

    def standing(self, export: Export) -> Standing | None:
        """Where the stack stands by its own record; None while it has applied nothing."""
        found = [
            inputs
            for urn, inputs in export.inputs.items()
            if f"${_FLAG_SET_TYPE}::" in urn
            and inputs.get("documentId") == self.name
            and inputs.get("collection") == "flags"
        ]
        return standing(_definition(found[0])) if found else None

    def served(self) -> Standing | None:
        """What applications obey at this moment: the override, else the flag set. Raises Unreachable."""
        override = self.control().override
        if override:
            return standing(override)
        document = self.store.read(f"flags/{self.name}")
        return standing(document.values["definition"]) if document else None

    def comparable(self, place: Place) -> Mapping[str, float]:
        """The baselines, or none where they cannot be read now: errors, probes and data are judged all the same."""
        try:
            return self.baselines()
        except CausewayError as error:
            self.say("baselines", f"judging without baselines: {error.fact}", place)
            return {}

    def write_place(self, place: Place) -> None:
        """Write a place into the stack file."""
        text = stackfile.read(self.file)
        changed = stackfile.with_place(text, place)
        if changed != text:
            stackfile.write(self.file, changed)

    def record_place(self, place: Place, why: str) -> None:
        """Record the stack file as a commit, where that is wanted: once the stack stands there, so that git is true."""
        if self.commit:
            stackfile.commit(self.file, f"{self.name}: {place}\n\n{why}")

    def say(self, kind: str, text: str, place: Place | None = None, seconds: float | None = None) -> None:
        """Tell whoever watches."""
        self.tell(Event(kind, text, place, seconds))


def whoami() -> str:
    """Who moves: user, host and process; what the journal and the lease name."""
    user = os.environ.get("CAUSEWAY_USER") or os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    return f"{user}@{socket.gethostname()}:{os.getpid()}-{_mark(os.getpid())}"


@cache
def _mark(pid: int) -> str:
    """Tells a process from one of the same number elsewhere: in containers, many are number 1 of one host name."""
    return secrets.token_hex(2)


def in_plan_order(config: Config, services: Iterable[str]) -> list[str]:
    """Services in the order in which the plan moves them."""
    wanted = set(services)
    return list(
        dict.fromkeys(name for place in config.plan.positions[1:-1] for name in place.services if name in wanted)
    )


def _definition(inputs: Mapping[str, Any]) -> str:
    fields = json.loads(inputs["fields"])
    definition: str = fields["definition"]["stringValue"]
    return definition
