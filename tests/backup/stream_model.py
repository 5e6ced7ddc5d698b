"""A Firestore in a few lines, and a listener's view of it with everything that may go wrong on the way: for tests."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1.types import document as types

from causeway.backup.documents import Database
from causeway.backup.listen import Changed, Event, Gone, Phase, Target
from causeway.backup.storage import LocalStorage
from causeway.backup.stream_block import CONTROL, InMemory, Version, group_of

DATABASE = Database("demo-cvplus")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGAN = 1_756_000_000_000_000
SENTINEL = f"{DATABASE.root}/{CONTROL}/n"
GROUPS = ("user_cvs", "recommendations")


def instant(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def body(name: str, value: int, updated: int) -> bytes:
    message = types.Document.pb()(name=name)
    message.fields["value"].integer_value = value
    message.update_time.seconds, message.update_time.nanos = updated // 1_000_000, updated % 1_000_000 * 1000
    return bytes(message.SerializeToString())


def name_of(number: int) -> str:
    return f"{DATABASE.root}/{GROUPS[number % len(GROUPS)]}/{number}"


class Far:
    """Storage that is on no disk of the machine which streams, as a bucket is."""

    def __init__(self, folder: Path) -> None:
        self._behind = LocalStorage(folder)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


@dataclass
class Model:
    """The database with its whole history: (commit time, name, version or None)."""

    clock: int = BEGAN
    history: list[tuple[int, str, Version | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.put(SENTINEL, 0)
        self.put(f"{SENTINEL}-heartbeat", 0)

    def put(self, name: str, value: int) -> None:
        self.clock += 1
        self.history.append((self.clock, name, InMemory(self.clock, body(name, value, self.clock))))

    def delete(self, name: str) -> None:
        self.clock += 1
        if self.at(self.clock).get(name) is not None:
            self.history.append((self.clock, name, None))

    def at(self, when: int) -> dict[str, Version]:
        state: dict[str, Version] = {}
        for time, name, version in self.history:
            if time > when:
                break
            if version is None:
                state.pop(name, None)
            else:
                state[name] = version
        return state

    def data_at(self, when: datetime) -> dict[str, bytes]:
        micros = round((when - EPOCH) / timedelta(microseconds=1))
        return {name: version.body for name, version in self.at(micros).items() if group_of(name) != CONTROL}


def content(model: Model, group: str, since: int | None, until: int, rng: random.Random) -> Iterator[Event]:
    """What a server sends of one collection: everything, or what changed, in any order, perhaps coalesced."""
    if since is None:
        events: list[Event] = [Changed(n, v) for n, v in model.at(until).items() if group_of(n) == group]
        rng.shuffle(events)
        yield from events
        return
    changed = [(n, v) for t, n, v in model.history if since < t <= until and group_of(n) == group]
    if rng.random() < 0.5:
        changed = list(dict(changed).items())
    for name, version in changed:
        yield Gone(name) if version is None else Changed(name, version)


def snapshot(model: Model, targets: dict[str, int], since: dict[str, int | None], rng: random.Random) -> list[Event]:
    """Events up to a consistent state, RESETs and half-sent content on the way; `since` moves on."""
    until = model.clock
    current: list[Event] = []
    streams = []
    for group, target in targets.items():
        events = list(content(model, group, since[group], until, rng))
        if rng.random() < 0.15:  # sent in part, then RESET and everything again
            events = [
                *events[: rng.randrange(len(events) + 1)],
                Target(Phase.RESET, (target,)),
                *content(model, group, None, until, rng),
                Target(Phase.CURRENT, (target,), str(until).encode(), instant(until)),
            ]
        elif since[group] is None:
            events.append(Target(Phase.CURRENT, (target,), str(until).encode(), instant(until)))
        streams.append(events)
        since[group] = until
    while any(streams):  # any interleaving that keeps each target's order
        current.append(rng.choice([events for events in streams if events]).pop(0))
        if rng.random() < 0.05:
            current.append(Target(Phase.NO_CHANGE, (rng.choice(list(targets.values())),)))  # not global: says nothing
    current.append(Target(Phase.NO_CHANGE, (), str(until).encode(), instant(until)))
    return current
