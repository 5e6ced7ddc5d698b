"""`control/<stack>`: who may move the stack, and what applications obey at once.

One runner or operator holds the lease at a time, under a fencing number that only grows. Every write of it, and of
the journal, goes through `Lease.commit`, conditional on the control document as last read: whoever has lost the
lease is refused at the write itself, not before it. Ages are measured on the server's clock.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from causeway.errors import Conflict
from causeway.rollout.store import NOW, Document, Now, Store, Write

#: A lease whose holder has not renewed it for so long may be taken over, in seconds.
LEASE = 15.0
#: How often a write is tried again when only a heartbeat came in between.
_TRIES = 20


#: A time as read, or NOW where the server shall put its own.
Time = datetime.datetime | Now | None


@dataclass(frozen=True, slots=True)
class Control:
    """The control document. `fence` grows with each holder; `override` is a whole flag set that readers obey.

    `taken_by` was given the present fencing number, and is named to whom it was taken from, also once he has finished.
    `renewed_at` is the heartbeat of whoever watches, `lease_at` that of the holder; one that `yields` only looks
    (the monitor's soak), and anybody may take over from it. `running` names the stack update under way: it outlives
    its holder's lease, since what the update still writes does as well (`updates`).
    """

    fence: int = 0
    holder: str = ""
    taken_by: str = ""
    lease_at: Time = None
    yields: bool = False
    renewed_at: Time = None
    epochs: Mapping[str, int] = field(default_factory=dict)
    maintenance: str | None = None
    override: str | None = None
    override_why: str = ""
    disarmed: Mapping[str, Any] | None = None
    running: Mapping[str, Any] | None = None
    running_at: Time = None

    @classmethod
    def of(cls, document: Document | None) -> Control:
        """From what was read; an absent document is an idle control."""
        if document is None:
            return cls()
        return cls(**{name: document.values[name] for name in cls.__slots__ if name in document.values})

    def values(self) -> dict[str, Any]:
        """As it is written."""
        return {name: getattr(self, name) for name in self.__slots__}

    def expired(self, read: datetime.datetime) -> bool:
        """Whether the holder has been silent for too long, by the server's clock."""
        at = self.lease_at
        return not isinstance(at, datetime.datetime) or (read - at).total_seconds() > LEASE


def path(stack: str) -> str:
    """Where a stack's control document lies."""
    return f"control/{stack}"


def read(store: Store, stack: str) -> Control:
    """The control document as it is now. Raises Unreachable."""
    return Control.of(store.read(path(stack)))


def change(store: Store, stack: str, **fields: Any) -> None:
    """Change fields that need no lease: the heartbeat (`renewed_at`), maintenance, disarming. Raises Unreachable."""
    _change(store, stack, lambda control, _: replace(control, **fields), ())


def acquire(store: Store, stack: str, holder: str, *, force: bool = False, yields: bool = False) -> Lease:
    """Take the lease of a stack. Raises Conflict while somebody else holds and renews it, and does not yield.

    `force` takes it over all the same: a rollback does not wait. The former holder is refused at its next write.
    """

    def take(control: Control, now: datetime.datetime | None) -> Control:
        foreign = control.holder and control.holder != holder and not control.yields
        if foreign and not force and now is not None and not control.expired(now):
            raise Conflict(
                f"{control.holder} moves this stack (fencing number {control.fence})",
                "two at once would undo each other's steps",
                f"Wait for it, or stop it; its lease ends {LEASE:g} s after its last heartbeat.",
            )
        fence = control.fence + 1
        return replace(control, fence=fence, holder=holder, taken_by=holder, lease_at=NOW, yields=yields)

    control = _change(store, stack, take, ())
    return Lease(store, stack, holder, control.fence)


def forget(store: Store, stack: str, update: str) -> None:
    """Take a stack update that has ended from `running`, whoever holds the lease by now. Raises Unreachable."""

    def without(control: Control, _: datetime.datetime | None) -> Control:
        ended = control.running is not None and control.running["id"] == update
        return replace(control, running=None, running_at=None) if ended else control

    _change(store, stack, without, ())


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to move a stack, until somebody else has taken it over."""

    store: Store
    stack: str
    holder: str
    fence: int

    def read(self) -> Control:
        """The control document. Raises Conflict where the lease is lost."""
        return self._ours(Control.of(self.store.read(path(self.stack))))

    def commit(self, writes: Sequence[Write] = (), **changes: Any) -> datetime.datetime:
        """Write documents and fields of control in one commit. Raises Conflict where the lease is lost.

        Returns the update time of the documents written. A Conflict on one of the documents themselves is final.
        """
        times: list[datetime.datetime] = []
        _change(
            self.store,
            self.stack,
            lambda control, _: replace(self._ours(control), lease_at=NOW, **changes),
            writes,
            times.append,
        )
        return times[-1]

    def release(self) -> None:
        """Give the lease back."""
        self.commit(holder="")

    def _ours(self, control: Control) -> Control:
        if control.fence != self.fence:
            raise Conflict(
                f"{control.taken_by or 'somebody else'} has taken this stack over "
                f"(fencing number {control.fence}, ours was {self.fence})",
                "nothing of ours was written after that",
                "`causeway status` shows where it stands.",
            )
        return control


def _change(
    store: Store,
    stack: str,
    change: Callable[[Control, datetime.datetime | None], Control],
    writes: Sequence[Write],
    committed: Callable[[datetime.datetime], None] = lambda _: None,
) -> Control:
    """Read, change, write; again where the document changed in between (a heartbeat), as long as `change` allows."""
    for attempt in range(_TRIES):
        found = store.read(path(stack))
        control = change(Control.of(found), found.read if found else None)
        write = Write(path(stack), control.values(), found.updated if found else None)
        try:
            committed(store.commit([*writes, write]))
            return control
        except Conflict:
            after = store.read(path(stack))
            unchanged = (after.updated if after else None) == (found.updated if found else None)
            if unchanged or attempt == _TRIES - 1:
                raise  # it was one of the other documents that somebody has changed
    raise AssertionError("unreachable")
