"""The helpers of the strategies: dual writes, workflows with compensation, transactions with an epoch."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.client.dualwrite import DualWrite, Parity, Value, Writes, writes_of
from causeway.client.epoch import Outcome, Transaction
from causeway.client.view import View
from causeway.client.workflow import Compensations, State, Workflow
from causeway.errors import ConfigError, Conflict
from causeway.flags import Flag, FlagSet
from causeway.model.matrix import Version
from causeway.model.stage import Stage

LEGACY, PACKAGE = Version.LEGACY, Version.PACKAGE


class Memory:
    """A side in memory that can be broken."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.broken = False

    async def get(self, key: str) -> Value | None:
        await asyncio.sleep(0)
        return self.values.get(key)

    async def put(self, key: str, value: Value) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("disk full")
        self.values[key] = value

    async def delete(self, key: str) -> None:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError("disk full")
        self.values.pop(key, None)

    async def keys(self) -> list[str]:
        return list(self.values)


class Sides:
    """Both sides and the switch."""

    def __init__(self, writes: Writes = Writes.BOTH) -> None:
        self.legacy, self.package, self.writes = Memory(), Memory(), writes
        self.pair = DualWrite(self.legacy, self.package, lambda: self.writes)


# --- dual writes -----------------------------------------------------------------------------------------------------

operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.sampled_from(["break", "mend", "backfill"]), st.just(""), st.just(0)),
    ),
    max_size=25,
)


@given(operations)
def test_both_preferences_read_the_last_write_whatever_fails(steps: list[tuple[str, str, int]]) -> None:
    async def run() -> None:
        sides, truth = Sides(), dict[str, Value]()
        for what, key, number in steps:
            match what:
                case "put":
                    truth[key] = {"n": number}
                    await sides.pair.put(key, truth[key])
                case "delete":
                    truth.pop(key, None)
                    await sides.pair.delete(key)
                case "backfill" if not sides.package.broken:
                    await sides.pair.backfill()
                    assert (await sides.pair.parity()).different == ()
                case "break" | "mend":
                    sides.package.broken = what == "break"
            for version in Version:
                assert {k: v for k in "abc" if (v := await sides.pair.get(k, version)) is not None} == truth
        assert sides.legacy.values == truth  # so that going back loses nothing

    asyncio.run(run())


def test_before_dual_writes_only_legacy_is_touched() -> None:
    async def run() -> None:
        sides = Sides(Writes.LEGACY)
        sides.package.values["a"] = {"old": True}
        await sides.pair.put("a", {"n": 1})
        assert await sides.pair.get("a", PACKAGE) == {"n": 1}
        assert sides.package.values == {"a": {"old": True}}

    asyncio.run(run())


def test_backfill_mends_what_an_earlier_dual_write_left_behind() -> None:
    async def run() -> None:
        sides = Sides()
        sides.legacy.values = {"a": {"n": 2}, "b": {"n": 3}}
        sides.package.values = {"a": {"n": 1}, "b": {"n": 3}, "gone": {"n": 9}}
        assert (await sides.pair.parity()).different == ("a", "gone")
        assert await sides.pair.backfill() == 2
        assert sides.package.values == sides.legacy.values
        assert await sides.pair.backfill() == 0

    asyncio.run(run())


def test_a_legacy_brought_back_gets_what_was_written_without_it() -> None:
    async def run() -> None:
        sides = Sides()
        await sides.pair.put("a", {"n": 1})
        sides.writes = Writes.PACKAGE
        await sides.pair.put("a", {"n": 2})
        sides.writes = Writes.BOTH
        assert await sides.pair.backfill(PACKAGE) == 1
        assert await sides.pair.get("a", LEGACY) == {"n": 2}

    asyncio.run(run())


def test_backfill_beside_live_writes_leaves_parity() -> None:
    async def run() -> None:
        sides = Sides()
        sides.legacy.values = {f"k{n}": {"n": 0} for n in range(30)}
        writes = [sides.pair.put(f"k{n % 30}", {"n": n}) for n in range(300)]
        await asyncio.gather(sides.pair.backfill(), *writes)
        assert await sides.pair.parity() == Parity(30, ())

    asyncio.run(run())


def test_a_failing_legacy_side_fails_the_write() -> None:
    sides = Sides()
    sides.legacy.broken = True
    with pytest.raises(OSError, match="disk full"):
        asyncio.run(sides.pair.put("a", {}))
    assert sides.package.values == {}


def test_after_deprecation_legacy_is_left_alone() -> None:
    async def run() -> None:
        sides = Sides(Writes.PACKAGE)
        sides.legacy.broken = True
        await sides.pair.put("a", {"n": 1})
        assert await sides.pair.get("a", LEGACY) == {"n": 1}

    asyncio.run(run())


def test_the_flag_says_which_side_is_written() -> None:
    def view(stage: Stage, **modes: str) -> View:
        return View(flags=FlagSet("local", "p", "seed", (Flag("A", 100, stage, modes=modes),)))

    assert writes_of(View(), "A") is Writes.LEGACY
    assert writes_of(view(Stage.IN_PROGRESS), "A") is Writes.LEGACY
    assert writes_of(view(Stage.COMPLETE, writes="both"), "A") is Writes.BOTH
    assert writes_of(view(Stage.RETIRED), "A") is Writes.PACKAGE


# --- workflows -------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abcdef"), unique=True, max_size=6), st.integers(0, 8))
def test_compensation_runs_in_reverse_and_goes_on_after_a_crash(stages: list[str], crash_at: int) -> None:
    undone: list[str] = []
    saved: list[Workflow] = []
    calls = 0
    compensations = Compensations()

    async def save(workflow: Workflow) -> None:
        saved.append(workflow)

    for name in "abcdef":

        @compensations.stage(name)
        async def undo(_workflow: Workflow, name: str = name) -> None:
            nonlocal calls
            calls += 1
            if calls == crash_at:
                raise OSError("killed")
            undone.append(name)

    workflow = Workflow("w", "Orchestrator", PACKAGE)
    for stage in stages:
        workflow = workflow.completed(stage)
    try:
        asyncio.run(compensations.compensate(workflow, save))
    except OSError:
        asyncio.run(compensations.compensate(saved[-1] if saved else workflow, save))
    assert undone == stages[::-1]
    assert saved[-1].state is State.COMPENSATED
    assert saved[-1].restarted() == Workflow("w", "Orchestrator", LEGACY, attempt=2)


def test_an_unknown_stage_undoes_nothing() -> None:
    undone: list[str] = []
    compensations = Compensations()

    @compensations.stage("b")
    async def undo(_workflow: Workflow) -> None:
        undone.append("b")

    async def save(_workflow: Workflow) -> None:
        raise AssertionError("nothing to save")

    with pytest.raises(ConfigError, match="completed a"):
        asyncio.run(compensations.compensate(Workflow("w", "S", PACKAGE, done=("a", "b")), save))
    assert undone == []
    compensations.nothing_to_undo("a")
    finished = Workflow("w", "S", PACKAGE, done=("a",)).finished()
    assert asyncio.run(compensations.compensate(finished, save)) == finished


# --- transactions ----------------------------------------------------------------------------------------------------

T = Transaction("t", 1, ("apply", "record"))


def test_two_phases() -> None:
    prepared = T.prepare("apply", 1).prepare("record", 1).prepare("record", 1)
    assert prepared.commit(1).outcome is Outcome.COMMITTED
    assert prepared.commit(1).abort().outcome is Outcome.COMMITTED
    with pytest.raises(Conflict, match="misses record"):
        T.prepare("apply", 1).commit(1)
    with pytest.raises(Conflict, match="takes no part"):
        T.prepare("stranger", 1)


def test_nothing_of_an_old_epoch_can_commit_late() -> None:
    prepared = T.prepare("apply", 1).prepare("record", 1)
    for late in (lambda: prepared.commit(2), lambda: T.prepare("apply", 2)):
        with pytest.raises(Conflict, match="began in epoch 1"):
            late()


@given(st.frozensets(st.sampled_from(T.participants)), st.sampled_from([None, *Outcome]), st.integers(0, 3))
def test_settling_ends_what_was_in_doubt_and_nothing_else(
    prepared: frozenset[str], outcome: Outcome | None, epoch: int
) -> None:
    before = replace(T, prepared=prepared, outcome=outcome)
    after = before.settle(epoch)
    if outcome is not None or epoch <= T.epoch:
        assert after == before
    else:
        assert after.outcome is (Outcome.COMMITTED if len(prepared) == 2 else Outcome.ABORTED)
        assert after.settle(epoch) == after
