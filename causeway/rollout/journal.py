"""The journal in `migration_checkpoints`: one record a move, from intent to done, with who, why and evidence.

A record's number is one more than the last one's and it is created only if it does not exist, so two operators
cannot both take a step. Its history is appended to, never rewritten, and each write is conditional on the one before.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from causeway.model.hold import Hold
from causeway.model.moves import Direction, Place
from causeway.rollout.control import Lease
from causeway.rollout.store import Document, Store, Write

COLLECTION = "migration_checkpoints"
#: A record outlives its migration by far; after that Firestore deletes it by itself (TTL on `expires_at`).
KEPT = datetime.timedelta(days=400)


class State(StrEnum):
    """How far a move has come. `failed` and `superseded` end it without its place being reached and judged."""

    INTENT = "intent"
    APPLIED = "applied"
    ACTED = "actions"
    OBSERVED = "observed"
    JUDGED = "verdict"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the record."""
        return self in (State.DONE, State.FAILED, State.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Record:
    """One move. `facts` hold what was found on the way: weights, actions done, soak, verdict, export digest, times."""

    stack: str
    seq: int
    direction: Direction
    there: Place
    here: Place | None
    state: State
    who: str
    why: str = ""
    fence: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    updated: datetime.datetime | None = None

    @property
    def path(self) -> str:
        """Where it lies."""
        return f"{COLLECTION}/{self.stack}-{self.seq:06d}"

    @property
    def verdict(self) -> str | None:
        """`ADVANCE`, `HOLD` or `ROLL_BACK`, once it was judged."""
        found = self.facts.get("verdict")
        return str(found["decision"]) if found else None

    @property
    def reached(self) -> bool:
        """Whether the stack has stood at its place because of this move."""
        return any(entry["state"] == State.APPLIED for entry in self.history)

    @property
    def began(self) -> datetime.datetime | None:
        """When the intent was written."""
        return self.history[0]["at"] if self.history else None

    def values(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "stack": self.stack,
            "seq": self.seq,
            "direction": self.direction.value,
            "position": self.there.position,
            "hold": self.there.hold.entries(),
            "from_position": self.here.position if self.here else None,
            "from_hold": self.here.hold.entries() if self.here else [],
            "state": self.state.value,
            "who": self.who,
            "why": self.why,
            "fence": self.fence,
            "facts": dict(self.facts),
            "history": list(self.history),
        }

    @classmethod
    def of(cls, document: Document) -> Record:
        """From what was read."""
        values = document.values
        start = values["from_position"]
        return cls(
            stack=values["stack"],
            seq=values["seq"],
            direction=Direction(values["direction"]),
            there=Place(values["position"], Hold.parse(values["hold"])),
            here=Place(start, Hold.parse(values["from_hold"])) if start else None,
            state=State(values["state"]),
            who=values["who"],
            why=values["why"],
            fence=values["fence"],
            facts=values["facts"],
            history=tuple(values["history"]),
            updated=document.updated,
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self.values(), "updated": self.updated}


def last(store: Store, stack: str) -> Record | None:
    """The newest record of a stack. Raises Unreachable."""
    return next(iter(history(store, stack, 1)), None)


def history(store: Store, stack: str, count: int = 200) -> list[Record]:
    """The newest records of a stack, newest first. Raises Unreachable."""
    return [Record.of(found) for found in store.newest(COLLECTION, stack, count)]


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal of one stack, written under a lease. `now` is the writer's clock, for people to read.

    `acknowledged` are the services whose point of no return config accepts: each record keeps them, as config may not.
    """

    lease: Lease
    now: Callable[[], datetime.datetime]
    acknowledged: frozenset[str] = frozenset()

    @property
    def store(self) -> Store:
        return self.lease.store

    def open(
        self,
        direction: Direction,
        here: Place | None,
        there: Place,
        why: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        ending: Record | None = None,
        **control: Any,
    ) -> Record:
        """Write the intent of a move. Raises Conflict where somebody else has begun one.

        The record `ending` is done in the same commit, so that no crash comes between the two.
        """
        before = last(self.store, self.lease.stack)
        record = Record(
            stack=self.lease.stack,
            seq=before.seq + 1 if before else 1,
            direction=direction,
            there=there,
            here=here,
            state=State.INTENT,
            who=self.lease.holder,
            why=why,
            fence=self.lease.fence,
            facts={**({"acknowledged": sorted(self.acknowledged)} if self.acknowledged else {}), **(facts or {})},
            history=(self._entry(State.INTENT, why),),
        )
        ended = [] if ending is None else [self._written(self._advanced(ending, State.DONE, "ended by its verdict"))]
        return self._write(record, ended, **control)

    def advance(
        self, record: Record, state: State, note: str = "", control: Mapping[str, Any] | None = None, **facts: Any
    ) -> Record:
        """Append to a record. Raises Conflict where somebody else has, or has taken the stack over."""
        return self._write(self._advanced(record, state, note, facts), (), **(control or {}))

    def _advanced(self, record: Record, state: State, note: str, facts: Mapping[str, Any] | None = None) -> Record:
        return replace(
            record,
            state=state,
            fence=self.lease.fence,
            facts={**record.facts, **(facts or {})},
            history=(*record.history, self._entry(state, note)),
        )

    def _written(self, record: Record) -> Write:
        began = record.began or self.now()
        return Write(record.path, {**record.values(), "expires_at": began + KEPT}, record.updated)

    def _write(self, record: Record, before: Sequence[Write], **control: Any) -> Record:
        return replace(record, updated=self.lease.commit([*before, self._written(record)], **control))

    def _entry(self, state: State, note: str) -> dict[str, Any]:
        return {"state": state.value, "at": self.now(), "by": self.lease.holder, "note": note}
