"""Doubles of the rollout room's ports, stepped by hand. Each keeps the rules of the real thing."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causeway import flags
from causeway.config import Config, from_file
from causeway.errors import Conflict, Unreachable
from causeway.health.checker import Look
from causeway.model.moves import Place
from causeway.model.window import Check, Histogram, Tally, Throughput, Window
from causeway.rollout.desired import flag_set
from causeway.rollout.engine import Export, Outcome, UpdateFailed
from causeway.rollout.notify import Alert
from causeway.rollout.stack import Clock, Event, Stack
from causeway.rollout.store import NOW, Document, Write

T0 = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FLAGS_URN = "urn:pulumi:test::causeway::causeway:components:FlagSet$gcp:firestore/document:Document::flags-document"


@dataclass
class Time:
    """A clock that moves only when somebody sleeps, or says so."""

    seconds: float = 0.0

    def now(self) -> datetime.datetime:
        return T0 + datetime.timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.monotonic, self.sleep)


@dataclass
class MemoryStore:
    """Documents with update times; a commit is checked and applied as a whole. `down` makes it unreachable."""

    time: Time
    documents: dict[str, Document] = field(default_factory=dict)
    down: bool = False
    ticks: int = 0
    before_commit: Callable[[Sequence[Write]], None] = lambda writes: None

    def read(self, path: str) -> Document | None:
        self._up()
        found = self.documents.get(path)
        return found and Document(path, found.values, found.updated, self.time.now())

    def newest(self, collection: str, stack: str, count: int) -> list[Document]:
        self._up()
        own = [each for path, each in self.documents.items() if path.startswith(f"{collection}/")]
        own = [each for each in own if each.values.get("stack") == stack and "seq" in each.values]
        return sorted(own, key=lambda each: -each.values["seq"])[:count]

    def commit(self, writes: Sequence[Write]) -> datetime.datetime:
        self._up()
        self.before_commit(writes)
        for write in writes:
            found = self.documents.get(write.path)
            if (found.updated if found else None) != write.expected:
                raise Conflict(f"{write.path} changed while it was being written")
        self.ticks += 1
        at = self.time.now() + datetime.timedelta(microseconds=self.ticks)
        for write in writes:
            values = {name: at if value is NOW else value for name, value in write.values.items()}
            self.documents[write.path] = Document(write.path, values, at, at)
        return at

    def _up(self) -> None:
        if self.down:
            raise Unreachable("Firestore does not answer")


@dataclass
class FakeEngine:
    """Pulumi as far as the runner sees it: reads the stack file, writes the flag set, keeps a state.

    `fail` names the operations that fail next, "after-up" one that has changed the cloud. `ups` are the updates that
    changed something, `runs` counts all.
    """

    file: Path
    store: MemoryStore
    state: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    fail: list[str] = field(default_factory=list)
    ups: list[str] = field(default_factory=list)
    runs: int = 0
    recovered: int = 0
    unlocked: int = 0
    aborted: int = 0
    before_up: Callable[[], None] = lambda: None
    drifted: int = 0

    def preview(self, plan: Path, *, reason: str = "", guarded: bool = True) -> Outcome:
        self._maybe("preview")
        if guarded:
            self._maybe("policies")
        return Outcome({"update": 1}, (), 0.0)

    def up(self, plan: Path | None, *, reason: str = "") -> Outcome:
        self.before_up()
        self._maybe("up")
        config = from_file(self.file)
        place = Place(config.position, config.hold)
        definition = flags.build(flag_set(config, place))
        fields = json.dumps({"definition": {"stringValue": definition}, "position": {"stringValue": place.position}})
        self.runs += 1
        inputs = {"collection": "flags", "documentId": config.stack, "fields": fields}
        if self.state.get(FLAGS_URN) == inputs:  # nothing differs, whatever lies in the cloud
            return Outcome({"same": 1}, (), 0.0)
        self.state[FLAGS_URN] = inputs
        path = f"flags/{config.stack}"
        found = self.store.documents.get(path)
        self.store.commit(
            [Write(path, {"definition": definition, "position": place.position}, found and found.updated)]
        )
        self.ups.append(str(place))
        self._maybe("after-up")
        return Outcome({"update": 1}, (), 0.0)

    def export(self) -> Export:
        self._maybe("export")
        return Export(dict(self.state), self.pending)

    def refresh(self) -> None:
        self.pending = ()
        for inputs in self.state.values():
            if inputs.get("collection") == "flags":
                values = self.store.documents[f"flags/{inputs['documentId']}"].values
                fields = json.dumps({name: {"stringValue": values[name]} for name in ("definition", "position")})
                self.state[FLAGS_URN] = {**inputs, "fields": fields}

    def drift(self) -> Outcome:
        return Outcome({"update": self.drifted} if self.drifted else {"same": 1}, (), 0.0)

    def recover(self) -> None:
        self.recovered += 1
        self.pending = ()

    def unlock(self) -> None:
        self.unlocked += 1

    def abort(self) -> None:
        self.aborted += 1

    def _maybe(self, operation: str) -> None:
        if operation in self.fail:
            self.fail.remove(operation)
            raise UpdateFailed(f"pulumi {operation} failed: injected")


@dataclass
class FakeApplication:
    """An application that does everything it is asked for, and says what it was asked."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    legacy_down: dict[str, str] = field(default_factory=dict)

    def perform(self, service: str, action: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((service, action))
        return {"performed": True}

    def legacy_health(self, service: str) -> str | None:
        return self.legacy_down.get(service)


@dataclass
class FakeObserver:
    """An application under so many requests a look. `bad` services fail that share of their package's requests.

    `slow`: whether every request takes longer than any bound.
    """

    time: Time
    requests: int = 400
    bad: dict[str, float] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    builds: dict[str, str] = field(default_factory=dict)
    slow: bool = False
    looks: int = 0
    begun: int = 0

    def begin(self) -> None:
        self.begun += 1

    def skip(self, weights: Mapping[str, int]) -> None:
        self.looks += 1
        self.begin()

    def look(self, weights: Mapping[str, int]) -> Look:
        self.looks += 1
        windows = {name: self._window(name, weight) for name, weight in weights.items()}
        return Look(self.time.now(), self.time.now(), windows, {}, self.checks)

    def _window(self, name: str, weight: int) -> Window:
        total = self.requests * weight // 100
        bad = round(total * self.bad.get(name, 0.0))
        bounds = (0.01, 0.02, 0.03, 0.06, float("inf"))
        return Window(
            name,
            errors=Tally(bad, total),
            latency=Histogram(bounds, (0, 0, 0, 0, total) if self.slow else (total, 0, 0, 0, 0)),
            throughput=Throughput(weight, total, total, self.requests - total, self.requests - total),
            probes=Tally(0, 1),
            build=self.builds.get(name, "1"),
        )


@dataclass
class Alerts:
    """Keeps what was sent."""

    sent: list[Alert] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        self.sent.append(alert)


@dataclass
class World:
    """A stack with all of its surroundings, and what was told about it."""

    stack: Stack
    time: Time
    store: MemoryStore
    engine: FakeEngine
    application: FakeApplication
    observer: FakeObserver
    alerts: Alerts
    told: list[Event]

    @property
    def config(self) -> Config:
        return from_file(self.stack.file)

    def served(self, service: str) -> int:
        """The weight that applications obey."""
        standing = self.stack.served()
        assert standing is not None
        return standing.weights[service]


def world(folder: Path, text: str) -> World:
    """A fresh world over a stack file with that text, named `test`."""
    file = folder / "Pulumi.test.yaml"
    file.write_text(text)
    time = Time()
    store = MemoryStore(time)
    engine, application, alerts = FakeEngine(file, store), FakeApplication(), Alerts()
    told: list[Event] = []
    config = from_file(file)
    stack = Stack(
        config=config,
        file=file,
        store=store,
        engine=engine,
        application=application,
        notifier=alerts,
        clock=time.clock,
        tell=told.append,
        baselines=lambda: dict.fromkeys(config.matrix.services, 0.01),
        work=folder,
    )
    return World(stack, time, store, engine, application, FakeObserver(time), alerts, told)
