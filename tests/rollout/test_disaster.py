"""Level 4 step by step: traffic, freeze, restore, verify, settle, thaw; frozen for as long as anything is wrong."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from causeway.errors import ConfigError, Held, IntegrityError, MoveRefused
from causeway.model.moves import Place
from causeway.model.plan import LAST
from causeway.rollout import control as controls
from causeway.rollout import disaster, rollback
from causeway.rollout import journal as journals
from causeway.rollout.engine import UpdateFailed
from causeway.rollout.journal import Journal, State
from causeway.rollout.levels import give_up
from causeway.rollout.rollback import Request
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import T0, World

REQUEST = Request(4, "data is wrong")
RESTORED = {"kept": "b1", "missing": 0, "extra": 0, "differing": 0}


@dataclass
class Archive:
    """What stands in for archive and databases: how the restore ends, and what was true while it ran."""

    world: World
    equal: bool = True
    states: dict[str, Any] | None = None
    seen: list[tuple[str | None, set[int]]] | None = None

    def restore(self, stack: object, archive: object, parts: object) -> list[SimpleNamespace]:
        weights = self.world.stack.served()
        assert weights is not None
        self.seen = [*(self.seen or []), (self.world.stack.control().maintenance, set(weights.weights.values()))]
        return [SimpleNamespace(equal=self.equal, statement="3 documents, 0 missing, 0 extra, 1 differing")]


@pytest.fixture
def archive(here: World, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(here)
    monkeypatch.setattr(disaster, "open_storage", lambda url: None)
    monkeypatch.setattr(disaster, "Archive", lambda storage, now: None)
    part = SimpleNamespace(point=SimpleNamespace(instant=T0 - datetime.timedelta(hours=1)))
    monkeypatch.setattr(disaster, "find", lambda archive, at, collections: [part])
    monkeypatch.setattr(disaster, "_restore_data", made.restore)
    monkeypatch.setattr(disaster, "_restore_states", lambda stack, at: made.states or {"Reader": RESTORED})
    monkeypatch.setattr(disaster, "summary", lambda outcomes: [each.statement for each in outcomes])
    return made


def walked(here: World, target: str) -> None:
    with runner_of(here) as runner:
        runner.walk(target)
    here.told.clear()


def recover(here: World, request: Request = REQUEST) -> journals.Record:
    lease = controls.acquire(here.store, "test", "eve@desk:9", force=True)
    book = Journal(lease, here.time.now)
    give_up(book, here.stack)
    if request.level == 4:
        return disaster.recover(here.stack, book, request, None)
    return rollback.send_back(here.stack, book, request)


def test_traffic_freeze_restore_settle_thaw(here: World, archive: Archive) -> None:
    walked(here, "high/Writer/50")
    record = recover(here)
    steps = ["traffic", "frozen", "restored", "settled", "thawed"]
    assert [event.kind for event in here.told if event.kind in steps] == steps
    assert archive.seen == [("level 4: data is being restored (data is wrong)", {0})], "frozen, and nobody on a package"
    assert (record.state, record.there) == (State.DONE, Place("infrastructure"))
    assert record.facts["restored"] == "2025-12-31T23:00:00.000000Z"
    assert set(record.facts["timings"]) == {"data_s", "state_s"}
    control = here.stack.control()
    assert (control.maintenance, control.override) == (None, None)
    assert here.engine.ups[-1] == "infrastructure"


def test_every_reader_has_seen_the_freeze_before_data_is_touched(here: World, archive: Archive) -> None:
    walked(here, "low/Reader/50")
    before = here.time.seconds
    recover(here)
    assert here.time.seconds - before >= here.config.freshness.renew


@pytest.mark.parametrize("what", ["data", "state"])
def test_what_does_not_read_back_equal_stays_frozen_and_on_legacy(here: World, archive: Archive, what: str) -> None:
    walked(here, "high/Writer/50")
    applied = list(here.engine.ups)
    if what == "data":
        archive.equal = False
    else:
        archive.states = {"Reader": {**RESTORED, "missing": 1}}
    with pytest.raises(IntegrityError, match="does not read back equal"):
        recover(here)
    control = here.stack.control()
    assert control.maintenance and control.override
    assert here.served("Reader") == here.served("Writer") == 0
    assert here.engine.ups == applied, "the stack follows only verified data"
    newest = journals.last(here.store, "test")
    assert newest is not None and not newest.state.ended
    assert newest.facts["data"] and "restored" not in newest.facts, "nobody takes it for restored"
    archive.equal, archive.states = True, None
    assert recover(here).state is State.DONE, "again, to its end"
    assert here.stack.control().maintenance is None


def test_a_service_whose_state_was_never_kept_is_said_and_stops_nothing(here: World, archive: Archive) -> None:
    archive.states = {"Reader": {"kept": None, "why": "no state of Reader is kept"}}
    walked(here, "low/Reader/50")
    assert recover(here).facts["states"]["Reader"]["why"] == "no state of Reader is kept"


def test_without_a_backup_nothing_moves(here: World, monkeypatch: pytest.MonkeyPatch, archive: Archive) -> None:
    def nothing(*_: object) -> None:
        raise ConfigError("the archive holds no backup as of now")

    monkeypatch.setattr(disaster, "find", nothing)
    walked(here, "low/Reader/50")
    with pytest.raises(ConfigError):
        recover(here)
    assert here.served("Reader") == 50
    assert here.stack.control().maintenance is None


def test_it_crosses_a_point_of_no_return(here: World, archive: Archive) -> None:
    """Prevents: the one level that may go back from there refuses itself."""
    text = here.stack.file.read_text()
    state = "      - {consumer: Saga, provider: Writer, kind: state, evidence: {package->legacy: {verified: t}, "
    state += "package->package: {verified: t}}}\n  causeway:acknowledge: [{service: Saga, reason: agreed}]\n"
    here.stack.file.write_text(text.replace("  causeway:guardrails:", state + "  causeway:guardrails:"))
    here.stack = replace(here.stack, config=here.config)
    walked(here, "high")
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        recover(here, Request(3, "data is wrong"))
    assert recover(here).there == Place("infrastructure")


def test_a_retired_legacy_is_brought_back_before_any_traffic(here: World, archive: Archive) -> None:
    walked(here, "deprecation")
    assert here.stack.served().place.position == LAST  # type: ignore[union-attr]
    here.application.asked.clear()
    recover(here)
    assert here.application.asked[:3] == [("Reader", "revive"), ("Writer", "revive"), ("Saga", "revive")]
    assert here.served("Reader") == 0


def test_writes_stay_frozen_until_the_stack_has_followed(here: World, archive: Archive) -> None:
    walked(here, "low/Reader/50")
    here.engine.fail = ["preview"]
    with pytest.raises(UpdateFailed):
        recover(here)
    assert here.stack.control().maintenance is not None
    assert recover(here).state is State.DONE
    assert here.stack.control().maintenance is None


def test_writes_are_frozen_by_the_write_that_moves_the_traffic(here: World, archive: Archive) -> None:
    """Prevents: a death in between leaves a level 3 that has crossed a point of no return, on data of nobody's."""
    walked(here, "low/Reader/50")
    lease = controls.acquire(here.store, "test", "eve@desk:9", force=True)
    book = Journal(lease, here.time.now)
    record = rollback.send_back(here.stack, book, REQUEST)
    assert here.stack.control().maintenance == "level 4: data is being restored (data is wrong)"
    with pytest.raises(Held, match="has not restored the data yet"):
        rollback.reconcile(here.stack, book, record)
    assert here.stack.control().override, "nobody opens traffic on half restored data"


def test_nothing_moves_forward_on_frozen_data(here: World) -> None:
    """Prevents: `causeway run` walks on while a restore is half done."""
    walked(here, "low/Reader/50")
    controls.change(here.store, "test", maintenance="level 4: data is being restored")
    with pytest.raises(MoveRefused, match="writes are frozen"), runner_of(here) as runner:
        runner.walk("low")
