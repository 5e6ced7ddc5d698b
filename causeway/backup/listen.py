"""The commit rule of Listen: from messages as they come to blocks that are exact; no I/O, no clock.

Firestore promises a consistent state only at a `TargetChange{NO_CHANGE, target_ids=[], read_time}` while every target
is CURRENT (`google/firestore/v1/firestore.proto`, `ListenResponse`). Whatever comes in between is held back. RESET
discards what is held of a target: its whole content follows, and the next block is the difference to what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from google.cloud.firestore_v1.types import firestore as _firestore

from causeway.backup import times
from causeway.backup.documents import updated_micros
from causeway.backup.stream_block import Block, InMemory, Known, Version, group_of

_RESPONSE: Any = _firestore.ListenResponse.pb()


class Phase(IntEnum):
    """What a `TargetChange` says; the numbers are Firestore's."""

    NO_CHANGE = 0
    ADD = 1
    REMOVE = 2
    CURRENT = 3
    RESET = 4


@dataclass(frozen=True, slots=True)
class Changed:
    """A document is now like this."""

    name: str
    version: Version


@dataclass(frozen=True, slots=True)
class Gone:
    """A document is no longer there. Firestore has three ways to say so, and they are one fact."""

    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """Targets changed their phase; no ids mean all of them."""

    phase: Phase
    ids: tuple[int, ...] = ()
    token: bytes = b""
    read_time: datetime | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """The server says how many documents a target has."""

    target: int
    count: int


Event = Changed | Gone | Target | Filter


class Relisten(Exception):
    """This stream cannot be trusted further: listen again without token and take the difference."""


def decode(data: bytes) -> Event:
    """The event a serialised `ListenResponse` holds.

    Raises:
        Relisten: it is not one. After the peer was stopped and continued, frames may be misaligned, so that nothing
            that follows on this channel means what it says.
    """
    try:
        message = _RESPONSE.FromString(data)
    except Exception as error:
        raise Relisten("a message could not be parsed") from error
    kind = message.WhichOneof("response_type")
    if kind == "document_change":
        return _document(message.document_change)
    if kind == "document_delete":
        return Gone(message.document_delete.document)
    if kind == "document_remove":
        return Gone(message.document_remove.document)
    if kind == "target_change":
        return _target(message.target_change)
    if kind == "filter":
        return Filter(message.filter.target_id, message.filter.count)
    raise Relisten("a message was empty")


def _document(change: Any) -> Event:
    if change.removed_target_ids and not change.target_ids:
        return Gone(change.document.name)
    updated = updated_micros(change.document)
    return Changed(change.document.name, InMemory(updated, change.document.SerializeToString()))


def _target(change: Any) -> Target:
    return Target(
        Phase(change.target_change_type),
        tuple(change.target_ids),
        change.resume_token,
        times.from_proto(change.read_time) if change.HasField("read_time") else None,
        change.cause.message if change.HasField("cause") else "",
    )


@dataclass(slots=True)
class CommitRule:
    """Follows one stream whose target ids are given by collection id, from the state `known`.

    `known` is the caller's: it applies each block it keeps before it feeds the next event. `fresh` are the collection
    ids listened to without a token, so that their whole content comes.
    """

    targets: Mapping[str, int]
    known: Known
    fresh: set[str]
    _current: set[int] = field(default_factory=set)
    _held: dict[str, dict[str, Version | None]] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether every target is CURRENT, so that what comes is news and not content."""
        return self._current == set(self.targets.values())

    def feed(self, event: Event) -> Block | None:
        """Take the next event; a block if it completes one.

        Raises:
            Relisten: the server ended a target, or its count disagrees.
        """
        match event:
            case Changed(name, version):
                self._hold(name, version)
            case Gone(name):
                self._hold(name, None)
            case Filter(target, count):
                self._compare(target, count)
            case Target(Phase.NO_CHANGE, (), token, read_time) if read_time is not None:
                return self._commit(token, read_time)
            case Target():
                self._move(event)
        return None

    def _hold(self, name: str, version: Version | None) -> None:
        group = group_of(name)
        if group not in self.targets:
            raise Relisten(f"a document of {group} came, which was not asked for")
        self._held.setdefault(group, {})[name] = version

    def _groups(self, ids: tuple[int, ...]) -> Iterable[str]:
        return [group for group, target in self.targets.items() if not ids or target in ids]

    def _move(self, change: Target) -> None:
        if change.phase is Phase.REMOVE:
            raise Relisten(f"the server ended target {list(change.ids)}: {change.cause or 'no cause given'}")
        for group in self._groups(change.ids):
            if change.phase is Phase.CURRENT:
                self._current.add(self.targets[group])
            elif change.phase is Phase.RESET:
                self._current.discard(self.targets[group])
                self._held.pop(group, None)
                self.fresh.add(group)

    def _commit(self, token: bytes, read_time: datetime) -> Block | None:
        if not self.settled:
            return None
        parts = sorted(map(self._changes, self.targets), key=len)
        changes = parts.pop()  # the others join the largest: a base is not copied
        for part in parts:
            changes.update(part)
        self.fresh.clear()
        return Block(read_time, token, changes)

    def _changes(self, group: str) -> dict[str, Version | None]:
        """What this group's held events come to; what says nothing new (a repeat after a resume) is left out."""
        held = self._held.pop(group, {})
        if group in self.fresh:
            return self.known.difference(held, [group])
        known = self.known.of(group)
        return {name: v for name, v in held.items() if (name in known if v is None else known.get(name) != v.updated)}

    def _compare(self, target: int, count: int) -> None:
        for group in self._groups((target,)):
            held = self._held.get(group, {})
            names = set() if group in self.fresh else set(self.known.of(group))
            names = (names | {name for name, v in held.items() if v}) - {name for name, v in held.items() if not v}
            if len(names) != count:
                raise Relisten(f"{group} has {count} documents and this stream told of {len(names)}")
