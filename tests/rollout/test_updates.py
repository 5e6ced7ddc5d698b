"""No override is lifted, and no other update begun, while one may still write; who has ended is found out."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from causeway.errors import Conflict, Held, Unreachable
from causeway.model.moves import Place
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout import levels, rollback, updates
from causeway.rollout.control import Lease
from causeway.rollout.heartbeat import Heartbeat
from causeway.rollout.journal import Journal, State
from causeway.rollout.orphans import CARRIED, Owner
from causeway.rollout.rollback import Request
from causeway.rollout.store import NOW
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World

ELSEWHERE = Owner("another-machine", 7, "1")


def lease(here: World, holder: str = "eve@desk:9") -> Lease:
    return controls.acquire(here.store, "test", holder, force=True)


def left_running(here: World, owner: Owner) -> None:
    """An update that somebody has begun and not ended."""
    mark = {"id": "x", "by": "anna@ci:7", "owner": str(owner)}
    lease(here, "anna@ci:7").commit(running=mark, running_at=NOW)


@contextmanager
def process_of(owner: Owner, work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What an update of that owner has running."""
    with subprocess.Popen(["sleep", "60"], env={CARRIED: f"{owner} {work}", "PATH": "/bin:/usr/bin"}) as found:
        try:
            yield found
        finally:
            found.kill()


def test_an_update_is_in_control_while_it_runs_and_no_longer(here: World) -> None:
    with runner_of(here) as runner:
        here.engine.before_up = lambda: seen.append(here.stack.control().running)
        seen: list[object] = []
        runner.walk("infrastructure")
    assert seen[0] is not None
    assert here.stack.control().running is None


def test_a_settled_rollback_is_not_undone_by_a_live_update_elsewhere(here: World) -> None:
    """Prevents: a laptop rolls CI's update back and lifts the override; then CI's write moves all traffic forward."""
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    left_running(here, ELSEWHERE)
    held = lease(here)
    book = Journal(held, here.time.now)
    record = rollback.send_back(replace(here.stack, config=here.config), book, Request(3, "fire"))
    with pytest.raises(Held, match="a stack update of anna@ci:7 may still be running"):
        rollback.reconcile(replace(here.stack, config=here.config), book, record)
    assert here.stack.control().override is not None
    assert here.engine.recovered == 0, "nobody's lock is taken"
    controls.forget(here.store, "test", "x")  # what its owner does once it has ended
    done = rollback.reconcile(replace(here.stack, config=here.config), book, record)
    assert done.state is State.DONE and here.stack.control().override is None


def test_a_reconcile_of_what_was_applied_waits_as_well(here: World) -> None:
    """Prevents: a record that is applied already is ended without asking whether an older update still writes."""
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    book = Journal(lease(here), here.time.now)
    stack = replace(here.stack, config=here.config)
    record = rollback.send_back(stack, book, Request(3, "fire"))
    here.store.before_commit = lambda writes: _die_at_the_end(here)
    with pytest.raises(Unreachable):
        rollback.reconcile(stack, book, record)
    here.store.before_commit = lambda writes: None
    left_running(here, ELSEWHERE)
    with pytest.raises(Held):
        levels.finish(stack, Journal(lease(here), here.time.now))
    assert here.stack.control().override is not None


def _die_at_the_end(here: World) -> None:
    newest = journals.last(here.store, "test")
    if newest is not None and newest.state is State.ACTED:
        raise Unreachable("dead")


def test_an_owner_that_ends_its_update_in_time_is_waited_for(here: World) -> None:
    left_running(here, ELSEWHERE)
    held, polls = lease(here), here.time.sleep

    def ended_after_a_while(seconds: float) -> None:
        polls(seconds)
        if here.time.seconds > 3:
            controls.forget(here.store, "test", "x")

    stack = replace(here.stack, clock=replace(here.stack.clock, sleep=ended_after_a_while))
    with updates.running(stack, held):
        assert here.time.seconds < updates.PATIENCE


def test_what_a_dead_owner_on_this_machine_left_is_ended_whatever_folder_it_ran_in(here: World, tmp_path: Path) -> None:
    """Prevents: a CI job dies on a runner that many share, and the next one lifts the override over its orphan."""
    owner = replace(Owner.of_this(), started="0")
    left_running(here, owner)
    with process_of(owner, tmp_path / "elsewhere") as orphan:
        updates.clear(here.stack, lease(here))
        assert orphan.wait(timeout=5) == -signal.SIGKILL
    assert here.stack.control().running is None
    assert here.engine.recovered == 1


def test_a_living_owner_on_this_machine_says_itself_when_it_has_ended(here: World, tmp_path: Path) -> None:
    """Prevents: an owner that is between writing its mark and starting Pulumi is taken for one without an update."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = replace(
            Owner.of_this(), pid=process.pid, started=Path(f"/proc/{process.pid}/stat").read_text().split()[21]
        )
        left_running(here, owner)
        with process_of(owner, tmp_path) as update:
            with pytest.raises(Held):
                updates.clear(here.stack, lease(here))
            assert update.wait(timeout=5) == -signal.SIGKILL, "it has lost the lease; what it runs ends now"
        process.kill()


def test_an_update_that_this_process_could_not_take_away_is_known_to_be_over(here: World) -> None:
    """Prevents: Firestore is gone for a moment at an update's end, and the monitor waits for itself for ever."""
    held = lease(here)
    with updates.running(here.stack, held):
        here.store.down = True
    here.store.down = False
    assert here.stack.control().running is not None
    updates.clear(here.stack, held)
    assert here.stack.control().running is None


def test_what_ran_on_a_machine_that_is_gone_counts_as_over_after_an_hour(here: World) -> None:
    left_running(here, ELSEWHERE)
    here.time.sleep(updates.OUTLIVED + 1)
    updates.clear(here.stack, lease(here))
    assert here.stack.control().running is None
    assert here.engine.unlocked == 1, "its lock as well: nobody else can remove it"


def test_who_has_lost_the_lease_ends_nobody_s_update(here: World, tmp_path: Path) -> None:
    """Prevents: a runner that was paused wakes up after a rollback and kills the rollback's own update."""
    paused, owner = lease(here), replace(Owner.of_this(), started="0")
    left_running(here, owner)
    with process_of(owner, tmp_path) as other:
        with pytest.raises(Conflict):
            updates.clear(here.stack, paused)
        assert other.poll() is None


def test_no_update_begins_once_the_lease_is_lost(here: World) -> None:
    lost = lease(here)
    lease(here, "them")
    with pytest.raises(Conflict), updates.running(here.stack, lost):
        raise AssertionError("an update was begun")


def test_the_one_who_loses_the_lease_breaks_its_update_off(here: World) -> None:
    """Prevents: a runner that was taken over waits for its `pulumi up`, which moves traffic after the rollback."""
    held = lease(here)
    lease(here, "them")
    with Heartbeat(held, 60, here.engine.abort):
        assert here.engine.aborted == 1


def test_a_person_may_say_that_an_update_on_a_lost_machine_has_ended(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    left_running(here, ELSEWHERE)
    monkeypatch.setattr(levels, "lease", lambda stack: _as_eve(here))
    levels.reconcile(replace(here.stack, config=here.config), ended=True)
    assert here.stack.control().running is None
    assert here.engine.unlocked == 1
    assert here.served("Reader") == 50


@contextmanager
def _as_eve(here: World) -> Iterator[tuple[Journal, None]]:
    yield Journal(lease(here), here.time.now), None


# --- what a late write or a hand has changed meanwhile -------------------------------------------------------------


def test_a_late_write_after_the_stack_has_followed_is_written_over(here: World) -> None:
    """Prevents: a dying update's write lands after `applied`, and no reconcile ever ends: nothing moves any more."""
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    before = here.store.documents["flags/test"].values
    book, stack = Journal(lease(here), here.time.now), replace(here.stack, config=here.config)
    record = rollback.send_back(stack, book, Request(3, "fire"))
    here.store.before_commit = lambda writes: _die_at_the_end(here)
    with pytest.raises(Unreachable):
        rollback.reconcile(stack, book, record)
    here.store.before_commit = lambda writes: None
    here.store.documents["flags/test"] = replace(here.store.documents["flags/test"], values=before)
    levels.finish(replace(here.stack, config=here.config), book)
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.DONE
    assert here.stack.control().override is None
    assert here.served("Reader") == 0


def test_a_way_back_by_hand_under_an_override_is_followed(here: World) -> None:
    """Prevents: `git revert` and `pulumi up` while an override stands move nobody, and can never be reconciled."""
    with runner_of(here) as runner:
        runner.walk("high/Saga/50")
    book = Journal(lease(here), here.time.now)
    rollback.send_back(replace(here.stack, config=here.config), book, Request(1, "errors", ("Saga",)))
    back = Place("low/Reader/50")
    here.stack.write_place(back)
    here.engine.up(None, reason="by hand")
    assert here.served("Writer") == 100, "the override still says so"
    levels.finish(replace(here.stack, config=here.config), book)
    assert here.stack.control().override is None
    assert (here.served("Reader"), here.served("Writer"), here.served("Saga")) == (50, 0, 0)
    newest = journals.last(here.store, "test")
    assert newest is not None and (newest.there, newest.state) == (back, State.DONE)
    assert ("Writer", "single-write") in here.application.asked, "what the first way back owed is done"


def test_a_stack_that_has_not_followed_yet_is_not_taken_for_further_back(here: World) -> None:
    """The usual case: the stack stands before the way back, and follows it."""
    with runner_of(here) as runner:
        runner.walk("high/Writer/50")
    book = Journal(lease(here), here.time.now)
    rollback.send_back(replace(here.stack, config=here.config), book, Request(2, "errors"))
    levels.finish(replace(here.stack, config=here.config), book)
    assert here.config.position == "low/Reader/100"


# --- half an update ------------------------------------------------------------------------------------------------


def half_applied(here: World) -> Journal:
    """The flag set is written; whatever follows it is not, since the runner died."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    book = Journal(lease(here), here.time.now)
    book.open(journals.Direction.FORWARD, Place("infrastructure"), Place("low/Reader/50"))
    here.stack.write_place(Place("low/Reader/50"))
    here.engine.up(None)
    return book


def test_a_runner_carries_half_an_update_out(here: World) -> None:
    """Prevents: traffic splits, alerts and buckets that come after the flag set stay missing, and are never seen."""
    half_applied(here).lease.release()
    runs = here.engine.runs
    with runner_of(here) as runner:
        runner.walk("low/Reader/50")
    assert here.engine.runs == runs + 1


def test_reconcile_carries_half_an_update_out(here: World) -> None:
    book, runs = half_applied(here), here.engine.runs
    levels.finish(replace(here.stack, config=here.config), book)
    assert here.engine.runs == runs + 1
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.APPLIED


def test_an_update_that_fails_after_the_traffic_has_moved_is_not_over(here: World) -> None:
    """Prevents: the record says `failed`, traffic is on the new weight, and the rest of the update never comes."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        here.engine.fail = ["after-up"]
        with pytest.raises(Exception, match="after-up"):
            runner.walk("low/Reader/50")
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.INTENT
    runs = here.engine.runs
    with runner_of(here) as runner:
        assert runner.walk("low/Reader/50") == Place("low/Reader/50")
    assert here.engine.runs == runs + 1


def test_git_that_refuses_after_the_update_does_not_make_it_fail(here: World) -> None:
    """Prevents: no user.email is set, so a step that everybody is on is `failed` and soaked by nobody."""
    with runner_of(here) as runner:
        runner.walk("infrastructure")
        runner.stack = replace(runner.stack, commit=True)  # of a folder that is no repository
        assert runner.walk("low/Reader/50") == Place("low/Reader/50")
    newest = journals.last(here.store, "test")
    assert newest is not None and newest.state is State.DONE
    assert "not-committed" in [event.kind for event in here.told]
