"""The heartbeat keeps the lease, whatever meets it on the way."""

from __future__ import annotations

import threading

import pytest
from google.api_core import exceptions

from causeway.errors import Conflict, Unreachable
from causeway.rollout import control as controls
from causeway.rollout.control import LEASE, Lease
from causeway.rollout.heartbeat import Heartbeat
from causeway.rollout.store import _reaching
from tests.rollout.fakes import World


def test_an_unexpected_failure_of_one_beat_does_not_end_the_next(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: one 429 ends the thread in silence, and a living runner is taken over."""
    lease = controls.acquire(here.store, here.stack.name, "us")
    beats, again = [], threading.Event()
    commit = Lease.commit

    def failing(self: Lease, *args: object, **changes: object) -> object:
        beats.append(len(beats))
        if len(beats) == 2:
            raise exceptions.TooManyRequests("quota")
        if len(beats) > 2:
            again.set()
        return commit(self, *args, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(Lease, "commit", failing)
    with Heartbeat(lease, 0.001) as heartbeat:
        assert again.wait(5)
        heartbeat.check()


def test_a_lost_lease_is_said(here: World) -> None:
    lease = controls.acquire(here.store, here.stack.name, "us")
    controls.acquire(here.store, here.stack.name, "them", force=True)
    with Heartbeat(lease, 60) as heartbeat, pytest.raises(Conflict, match="them has taken this stack over"):
        heartbeat.check()


def test_a_lease_that_was_lost_to_somebody_who_has_finished_names_him(here: World) -> None:
    """Prevents: "somebody else has taken this stack over", where the winner of a race was quick."""
    lease = controls.acquire(here.store, here.stack.name, "us")
    controls.acquire(here.store, here.stack.name, "them", force=True).release()
    with pytest.raises(Conflict, match="them has taken this stack over"):
        lease.read()


def test_the_lease_is_renewed_in_time_however_rare_the_heartbeat(here: World) -> None:
    """Prevents: with `freshness: {renew: 30s}` a runner loses its lease between two beats."""
    lease = controls.acquire(here.store, here.stack.name, "us")
    assert Heartbeat(lease, 30)._every <= LEASE / 3


@pytest.mark.parametrize("kind", [exceptions.TooManyRequests, exceptions.Unauthorized, exceptions.Cancelled])
def test_a_firestore_that_refuses_is_unreachable(kind: type[Exception]) -> None:
    """Prevents: a used-up quota in a rollback is an "unexpected ResourceExhausted"."""
    with pytest.raises(Unreachable), _reaching():
        raise kind("no")
