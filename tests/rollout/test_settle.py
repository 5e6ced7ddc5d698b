"""One stack update to a place: undone where it is refused, kept and compared where it is applied."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from causeway.errors import CausewayError
from causeway.model.hold import Hold
from causeway.model.moves import Direction, Place
from causeway.rollout import control as controls
from causeway.rollout import settle
from causeway.rollout.engine import Export, Outcome, UpdateFailed
from causeway.rollout.journal import Journal, Record, State
from tests.rollout.fakes import World

LOW = Place("low/Reader/50")
URN = "urn:pulumi:test::causeway::gcp:storage/bucket:Bucket::archive"


def journal(here: World) -> Journal:
    return Journal(controls.acquire(here.store, "test", "anna@desk:1", force=True), here.time.now)


def stood(here: World, place: Place, export: Export, state: State = State.DONE) -> Record:
    """A record of having stood at a place with that state."""
    book = journal(here)
    record = book.advance(book.open(Direction.FORWARD, None, place), State.APPLIED)
    return book.advance(record, state, export=settle.keep(here.store, "test", export))


def test_a_refused_preview_changes_nothing(here: World) -> None:
    before = here.stack.file.read_bytes()
    here.engine.fail = ["preview"]
    with pytest.raises(UpdateFailed):
        settle.apply(here.stack, LOW, "")
    assert here.stack.file.read_bytes() == before
    assert here.engine.ups == []


def test_whoever_was_taken_over_leaves_the_stack_file_to_the_other(here: World) -> None:
    """Prevents: a runner that was paused finds its preview killed, and writes its old place over the new one."""

    def taken_over(plan: Path, *, reason: str = "", guarded: bool = True) -> Outcome:
        here.stack.write_place(Place("infrastructure", Hold({"Reader": 0})))
        raise UpdateFailed("pulumi preview was killed by SIGKILL")

    here.engine.preview = taken_over  # type: ignore[method-assign]
    with pytest.raises(UpdateFailed):
        settle.apply(here.stack, LOW, "")
    assert here.config.hold.entries() == ["Reader"]


def test_an_update_that_fails_leaves_the_file_at_the_place_it_may_have_reached(here: World) -> None:
    """Whoever comes next reads where the stack stands and writes that; until then the file says what was tried."""
    here.engine.fail = ["after-up"]
    with pytest.raises(UpdateFailed):
        settle.apply(here.stack, LOW, "")
    assert here.config.position == LOW.position


@pytest.fixture
def committing(here: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "anna")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "anna@example.org")
    for command in ("init -q .", "add .", "commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=here.stack.file.parent, check=True)
    here.stack = replace(here.stack, commit=True)
    return here


def commits(here: World) -> list[str]:
    command = ["git", "log", "--format=%s", "--reverse"]
    done = subprocess.run(command, cwd=here.stack.file.parent, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_git_learns_of_a_step_that_was_applied_and_of_no_other(committing: World) -> None:
    """Prevents: a refused step stays in git as if the stack stood there."""
    committing.engine.fail = ["preview"]
    with pytest.raises(UpdateFailed):
        settle.apply(committing.stack, LOW, "why")
    assert commits(committing) == ["first"]
    settle.apply(committing.stack, Place("infrastructure"), "why")
    settle.apply(committing.stack, LOW, "why")
    assert commits(committing) == ["first", "test: low/Reader/50"]


def test_a_kept_state_reads_back_and_is_kept_once(here: World) -> None:
    export = Export({URN: {"location": "EU", "name": "Größe"}}, ())
    digest = settle.keep(here.store, "test", export)
    ticks = here.store.ticks
    assert settle.keep(here.store, "test", export) == digest == export.digest
    assert here.store.ticks == ticks
    assert settle.kept(here.store, "test", digest) == export
    assert settle.kept(here.store, "test", "0" * 64) is None


def test_comparing_finds_equal_different_and_never_reached(here: World) -> None:
    then = Export({URN: {"location": "EU"}}, ())
    assert settle.compare(here.stack, LOW, then) == (None, None)
    record = stood(here, LOW, then)
    assert settle.compare(here.stack, LOW, then) == ([], record.seq)
    now = Export({URN: {"location": "US"}}, ())
    assert settle.compare(here.stack, LOW, now) == (["gcp:storage/bucket:Bucket archive.location differs"], record.seq)
    assert settle.compare(here.stack, Place(LOW.position, Hold({"Reader": 0})), then) == (None, None), "another place"


def test_comparing_looks_at_the_last_time_that_ended_well(here: World) -> None:
    old, new, failed = (Export({URN: {"n": n}}, ()) for n in range(3))
    stood(here, LOW, old)
    last = stood(here, LOW, new)
    stood(here, LOW, failed, State.FAILED)
    assert settle.compare(here.stack, LOW, new) == ([], last.seq)


def test_a_kept_state_that_has_expired_is_said(here: World) -> None:
    record = stood(here, LOW, Export({URN: {"n": 1}}, ()))
    for path in [path for path in here.store.documents if "-export-" in path]:
        del here.store.documents[path]
    assert settle.compare(here.stack, LOW, Export({}, ())) == (["the kept state is gone"], record.seq)


def test_the_override_is_lifted_only_where_flags_read_back_as_the_place_says(here: World) -> None:
    settle.apply(here.stack, LOW, "")
    book = journal(here)
    record = book.open(Direction.BACK, None, LOW, override="{}", override_why="level 1")
    with pytest.raises(CausewayError, match="does not read back as infrastructure"):
        settle.finish(book, here.stack, record, Place("infrastructure"))
    assert here.stack.control().override == "{}"
    assert settle.finish(book, here.stack, record, LOW).state is State.DONE
    assert here.stack.control().override is None
