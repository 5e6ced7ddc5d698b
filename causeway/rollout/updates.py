"""Which stack update is under way: no override is lifted, and no other update begun, while one may still write.

Whoever runs Pulumi writes down in control that it does, under its lease, and takes it away once no process of the
update is left, with or without the lease. So who comes after a lost lease or a crash knows what it has to wait for.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from causeway.errors import CausewayError, Held
from causeway.rollout import control as controls
from causeway.rollout import orphans
from causeway.rollout.control import LEASE, Control, Lease
from causeway.rollout.orphans import Owner
from causeway.rollout.stack import Stack
from causeway.rollout.store import NOW

#: A living owner that has lost its lease ends its update within a heartbeat or two, in seconds.
PATIENCE = 2 * LEASE
#: What runs on a machine that cannot be asked is over after so long: no provider tries any write for an hour.
OUTLIVED = 3600.0
_POLL = 0.25
#: The updates of this very process.
_ours: set[str] = set()


@contextmanager
def running(stack: Stack, lease: Lease) -> Iterator[None]:
    """Around a stack update, once no other is alive. Raises Held while one may be, Conflict where the lease is lost."""
    wait_for_others(stack, lease)
    update = secrets.token_hex(8)
    _ours.add(update)
    try:
        mark = {"id": update, "by": lease.holder, "owner": str(Owner.of_this())}
        lease.commit(running=mark, running_at=NOW)
        yield
    finally:
        _ours.discard(update)
        with suppress(CausewayError):  # out of reach: it is known by its owner
            controls.forget(stack.store, stack.name, update)


def clear(stack: Stack, lease: Lease) -> None:
    """Remove what a dead update left, once it is sure to be dead. Raises Held or UpdateFailed while one is alive."""
    wait_for_others(stack, lease)
    stack.engine.recover()


def wait_for_others(stack: Stack, lease: Lease) -> None:
    """Until no update is alive; what is left of one on this machine is ended. Raises Held where that takes too long."""
    clock = stack.clock
    deadline = clock.monotonic() + PATIENCE
    while (found := stack.store.read(controls.path(stack.name))) and (update := Control.of(found).running):
        lease.read()  # whoever has lost the lease ends nothing of anybody's
        if _over(update):
            lease.commit(running=None, running_at=None)
        elif _outlived(Control.of(found), found.read):
            declare_over(stack, lease)
        elif clock.monotonic() > deadline:
            raise _may_still_write(stack, update)
        else:
            clock.sleep(_POLL)


def declare_over(stack: Stack, lease: Lease) -> None:
    """Take the update under way for ended: a person has seen to it, or it is too long ago."""
    lease.commit(running=None, running_at=None)
    stack.engine.unlock()


def _over(update: Mapping[str, Any]) -> bool:
    """Whether it is certain that no process of an update is left. A living owner says so itself."""
    owner = Owner.parse(update["owner"])
    if owner == Owner.of_this():
        return update["id"] not in _ours
    if not owner.here:
        return False
    alive = owner.alive  # asked first: a dead one begins nothing more
    orphans.end_of(owner)
    return not alive


def _outlived(control: Control, read: datetime.datetime) -> bool:
    began = control.running_at
    return isinstance(began, datetime.datetime) and (read - began).total_seconds() > OUTLIVED


def _may_still_write(stack: Stack, update: Mapping[str, Any]) -> Held:
    return Held(
        f"a stack update of {update['by']} may still be running",
        "what it still writes would be served as soon as the override were lifted; until then nobody sees it",
        f"`causeway reconcile --stack {stack.name}` on its machine ends what is left of it; where that machine is "
        "gone, `causeway reconcile --ended`. An hour after its beginning it counts as over.",
    )
