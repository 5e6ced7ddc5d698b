"""The way back: the weight falls first and by one write, the stack follows, and what was kept is compared."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from causeway import flags
from causeway.config import from_file
from causeway.errors import Exit, Held, MoveRefused, Unreachable
from causeway.model.guardrails import Pace
from causeway.model.matrix import Traffic
from causeway.model.moves import Place
from causeway.rollout import control as controls
from causeway.rollout import journal as journals
from causeway.rollout import levels, rollback, status
from causeway.rollout.engine import UpdateFailed
from causeway.rollout.journal import Journal, State
from causeway.rollout.rollback import Request
from causeway.rollout.runner import RolledBack
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import World


def walked(here: World, target: str) -> None:
    with runner_of(here) as runner:
        runner.walk(target)


def journal(here: World) -> Journal:
    return Journal(controls.acquire(here.store, "test", "eve@desk:9", force=True), here.time.now)


def test_level_1_takes_the_closure_and_nothing_else(here: World) -> None:
    walked(here, "high/Saga/50")
    record = rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Reader",)))
    assert (here.served("Reader"), here.served("Saga"), here.served("Writer")) == (0, 0, 100)
    assert record.there == Place("high/Saga/50", here.config.hold.opened(["Reader", "Saga"]))
    assert here.engine.ups[-1] == "high/Saga/50", "no stack update on the fast path"


def test_the_override_is_lifted_only_when_flags_read_back_equal(here: World) -> None:
    walked(here, "high/Writer/50")
    held = journal(here)
    record = rollback.send_back(here.stack, held, Request(1, "errors", ("Writer",)))
    assert here.stack.control().override is not None
    stack = replace(here.stack, config=here.config)
    record = rollback.reconcile(stack, held, record)
    assert record.state is State.DONE
    assert here.stack.control().override is None
    assert here.served("Writer") == 0


def test_level_2_leads_before_the_phase_and_equals_what_was_kept_there(here: World) -> None:
    walked(here, "high/Writer/50")
    held = journal(here)
    record = rollback.reconcile(here.stack, held, rollback.send_back(here.stack, held, Request(2, "bad phase")))
    assert record.there == Place("low/Reader/100")
    assert record.facts["differences"] == []
    assert ("Writer", "single-write") in here.application.asked, "dual writes end on the way back"


def test_level_3_leads_to_infrastructure(here: World) -> None:
    walked(here, "high/Saga/50")
    held = journal(here)
    record = rollback.reconcile(here.stack, held, rollback.send_back(here.stack, held, Request(3, "all of it")))
    assert record.there == Place("infrastructure")
    assert {here.served(name) for name in here.config.matrix.services} == {0}
    held.lease.release()
    with runner_of(here) as runner:
        assert runner.walk("low").position == "low/Reader/100", "forward again, with a soak first"


def test_a_falling_transaction_starts_a_new_epoch_in_the_same_write(here: World) -> None:
    walked(here, "high/Saga/50")
    rollback.send_back(here.stack, journal(here), Request(1, "in doubt", ("Saga",)))
    assert here.stack.control().epochs == {"Saga": 1}
    assert ("Saga", "settle") in here.application.asked


def test_legacy_that_is_down_is_said_and_decided_by_a_person(here: World) -> None:
    """Prevents: traffic goes back to a primary that is down."""
    walked(here, "low/Reader/50")
    here.application.legacy_down["Reader"] = "503"
    with pytest.raises(Held, match="legacy does not answer"):
        rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Reader",)))
    assert here.served("Reader") == 50
    assert here.alerts.sent[-1].key == "legacy-down-Reader"
    rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Reader",), anyway=True))
    assert here.served("Reader") == 0


def test_legacy_sides_that_hang_keep_no_other_waiting(here: World) -> None:
    """Prevents: seven services whose probes time out one after another cost a rollback a quarter of a minute."""
    walked(here, "high/Saga/50")
    together = threading.Barrier(3, timeout=5)

    def hangs(service: str) -> None:
        together.wait()  # broken unless all three are asked at once

    here.application.legacy_health = hangs  # type: ignore[method-assign]
    rollback.send_back(here.stack, journal(here), Request(3, "errors"))
    assert here.served("Saga") == 0


def test_traffic_that_no_flag_splits_is_not_said_to_have_moved(here: World) -> None:
    """Prevents: users behind a URL map are still on the package, and alert and screen say they are on legacy."""
    walked(here, "low/Reader/50")
    matrix = here.stack.config.matrix
    by_map = replace(matrix.services["Reader"], traffic=Traffic.URL_MAP)
    config = replace(here.stack.config, matrix=replace(matrix, services={**matrix.services, "Reader": by_map}))
    rollback.send_back(replace(here.stack, config=config), journal(here), Request(1, "errors", ("Reader",)))
    said = [event.text for event in here.told if event.kind in ("traffic", "slow")]
    assert said == [
        "level 1: traffic is on legacy for no service",
        "Reader moves with the stack update, not by flag: that takes longer",
    ]
    assert "Reader moves with the stack update" in here.alerts.sent[-1].done


def test_legacy_is_asked_once(here: World) -> None:
    """Prevents: before the lease and under it, each service that answers slowly is waited for twice."""
    walked(here, "low/Reader/50")
    asked: list[str] = []
    here.application.legacy_health = asked.append  # type: ignore[method-assign]
    levels.roll_back(here.stack, Request(1, "errors", ("Reader",)))
    assert asked == ["Reader"]


def test_a_service_that_does_not_drain_is_not_waited_for(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: a hook that hangs holds a graceful rollback for minutes."""
    walked(here, "low/Reader/50")
    monkeypatch.setattr(rollback, "DRAIN", 0.01)
    never = threading.Event()
    here.application.perform = lambda *_: never.wait(60)  # type: ignore[method-assign,assignment]
    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr(rollback.actions, "settle", lambda *_: [])
        rollback.send_back(here.stack, journal(here), Request(1, "slow", ("Reader",), Pace.GRACEFUL))
    never.set()
    assert here.served("Reader") == 0
    assert any("did not drain within" in event.text for event in here.told)


def test_a_graceful_rollback_drains_first(here: World) -> None:
    walked(here, "low/Reader/50")
    rollback.send_back(here.stack, journal(here), Request(1, "slow", ("Reader",), Pace.GRACEFUL))
    assert ("Reader", "drain") in here.application.asked


def test_the_traffic_has_moved_even_if_pulumi_fails(here: World) -> None:
    walked(here, "low/Reader/50")
    held = journal(here)
    record = rollback.send_back(here.stack, held, Request(1, "errors", ("Reader",)))
    here.engine.fail = ["preview"]
    with pytest.raises(UpdateFailed):
        rollback.reconcile(here.stack, held, record)
    assert here.served("Reader") == 0
    newest = journals.last(here.store, "test")
    assert newest is not None
    rollback.reconcile(here.stack, held, newest)
    assert here.config.hold.entries() == ["Reader", "Saga"]


def test_a_late_write_of_a_dying_update_is_not_seen(here: World) -> None:
    walked(here, "low/Reader/50")
    orphan = here.store.documents["flags/test"]
    rollback.send_back(here.stack, journal(here), Request(3, "errors"))
    late = orphan.values["definition"].replace('"package",50', '"package",100').replace('"legacy",50', '"legacy",0')
    here.store.documents["flags/test"] = replace(orphan, values={**orphan.values, "definition": late})
    assert here.served("Reader") == 0


def test_two_rollbacks_at_once_both_hold(here: World) -> None:
    """Prevents: the second override forgets the first one's breaker."""
    walked(here, "high/Writer/50")
    rollback.send_back(here.stack, journal(here), Request(1, "a", ("Reader",)))
    rollback.send_back(here.stack, journal(here), Request(1, "b", ("Writer",)))
    assert (here.served("Reader"), here.served("Writer")) == (0, 0)


def test_legacy_that_is_retired_cannot_be_gone_back_to(here: World) -> None:
    walked(here, "deprecation")
    with pytest.raises(MoveRefused, match="legacy is retired"):
        rollback.send_back(here.stack, journal(here), Request(3, "errors"))


def test_an_unknown_service_opens_no_breaker(here: World) -> None:
    walked(here, "low/Reader/50")
    with pytest.raises(MoveRefused, match="Nobody"):
        rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Nobody",)))
    assert here.stack.control().override is None


# --- crashes and odd states --------------------------------------------------------------------------------------


def dead_after_the_override(here: World, held: Journal, request: Request) -> None:
    """An operator who dies with the first write of a rollback behind him."""
    real = here.store.before_commit

    def die(writes: object) -> None:
        if here.stack.control().override:
            raise Unreachable("dead")

    here.store.before_commit = die
    with pytest.raises(Unreachable):
        rollback.send_back(here.stack, held, request)
    here.store.before_commit = real


def test_whoever_reconciles_settles_what_a_dead_operator_did_not(here: World) -> None:
    """Prevents: transactions stay in doubt for ever, since only the process that moved the traffic ever asked."""
    walked(here, "high/Saga/50")
    held = journal(here)
    dead_after_the_override(here, held, Request(2, "bad phase"))
    assert ("Saga", "settle") not in here.application.asked
    newest = journals.last(here.store, "test")
    assert newest is not None
    assert rollback.reconcile(here.stack, held, newest).state is State.DONE
    assert here.application.asked.count(("Saga", "settle")) == 1


def test_typing_a_rollback_again_takes_over_what_the_first_one_owed(here: World) -> None:
    """Prevents: the second one finds traffic on legacy already, and neither settles nor ends dual writes."""
    walked(here, "high/Saga/50")
    dead_after_the_override(here, journal(here), Request(3, "all of it"))
    book = journal(here)
    levels.give_up(book, here.stack)
    record = rollback.reconcile(here.stack, book, rollback.send_back(here.stack, book, Request(3, "all of it")))
    assert record.here == Place("high/Saga/50") and record.state is State.DONE
    assert ("Saga", "settle") in here.application.asked
    assert ("Writer", "single-write") in here.application.asked


def test_one_hook_that_does_not_answer_leaves_the_others_their_turn(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked(here, "high/Saga/50")
    perform = here.application.perform

    def failing(service: str, action: str, facts: object) -> object:
        if service == "Reader":
            raise Held("Reader does not confirm")
        return perform(service, action, facts)  # type: ignore[arg-type]

    monkeypatch.setattr(here.application, "perform", failing)
    rollback.send_back(here.stack, journal(here), Request(3, "all of it"))
    assert ("Saga", "settle") in here.application.asked


def test_a_flag_set_that_cannot_be_read_stops_no_rollback(here: World) -> None:
    """Prevents: somebody has edited the flag set by hand, and the one command that helps refuses to."""
    walked(here, "high/Saga/50")
    found = here.store.documents["flags/test"]
    here.store.documents["flags/test"] = replace(found, values={**found.values, "definition": "{"})
    stack = replace(here.stack, config=here.config)
    record = rollback.send_back(stack, journal(here), Request(3, "garbled"))
    assert record.there == Place("infrastructure")
    assert {here.served(name) for name in here.config.matrix.services} == {0}


@pytest.mark.parametrize("service", ["Nobody", "Reader"])
def test_what_is_refused_leaves_the_runner_its_lease(here: World, service: str) -> None:
    """Prevents: a typo, or a legacy that is down, ends the runner that watches the traffic, and moves nothing."""
    walked(here, "low/Reader/50")
    runner = controls.acquire(here.store, "test", "runner")
    here.application.legacy_down["Reader"] = "503"
    with pytest.raises((MoveRefused, Held)):
        levels.roll_back(here.stack, Request(1, "errors", (service,)))
    assert runner.read().fence == runner.fence


def test_a_stack_that_does_not_follow_is_told_from_traffic_that_did_not_move(here: World) -> None:
    """Prevents: a script sees only that Pulumi is gone, and cannot tell whether users are safe."""
    walked(here, "low/Reader/50")
    here.engine.fail = ["preview"]
    with pytest.raises(rollback.Unsettled, match="the stack has not followed") as raised:
        levels.roll_back(here.stack, Request(3, "errors"))
    assert raised.value.code is Exit.FAILED
    facts = raised.value.as_dict()
    assert (facts["to"], facts["stack"]) == ("infrastructure", "test") and facts["traffic_moved_s"] == 0
    assert here.served("Reader") == 0


def test_a_rollback_by_the_gates_is_one_even_if_the_stack_does_not_follow(here: World) -> None:
    """Prevents: `causeway run` ends as if Pulumi had merely failed, when users were sent back."""
    walked(here, "low/Reader/50")
    here.observer.bad["Reader"] = 0.5
    real = here.engine.up

    def up(*args: object, **kwargs: object) -> object:
        here.engine.fail = ["preview"]
        return real(*args, **kwargs)  # type: ignore[arg-type]

    here.engine.up = up  # type: ignore[method-assign, assignment]
    with pytest.raises(RolledBack, match="the stack has not followed"), runner_of(here) as runner:
        runner.walk("low")


# --- a plan that was edited since it was applied -------------------------------------------------------------------


def edited(here: World, old: str, new: str) -> None:
    text = here.stack.file.read_text()
    assert old in text
    here.stack.file.write_text(text.replace(old, new))


def opened(here: World) -> None:
    """The stack as a command opens it that is typed now."""
    here.stack = replace(here.stack, config=from_file(here.stack.file, anywhere=True))


def test_evidence_that_turns_out_false_raises_nobody(here: World) -> None:
    """Prevents: the order changes with it, the position means other weights, and a rollback puts users on packages."""
    walked(here, "low/Reader/50")
    edited(here, "{name: low, services: [Reader]}", "{name: low, services: [Writer]}")
    edited(here, "{name: high, services: [Writer, Saga]}", "{name: high, services: [Reader, Saga]}")
    edited(here, "position: low/Reader/50", "position: high/Reader/50")
    opened(here)
    book = journal(here)
    record = rollback.send_back(here.stack, book, Request(1, "broken", ("Reader",)))
    assert {here.served(name) for name in here.config.matrix.services} == {0}
    assert rollback.reconcile(here.stack, book, record).state is State.DONE, "and the stack can follow"


def test_a_position_that_the_ladder_has_no_more_stops_no_rollback(here: World) -> None:
    """Prevents: a rung is edited away, and status, reconcile and rollback say only that there is no such position."""
    walked(here, "low/Reader/50")
    edited(here, "causeway:ladder: [50, 100]", "causeway:ladder: [20, 100]")
    opened(here)
    assert status.gather(here.stack)["served"] == "low/Reader/50"
    book = journal(here)
    record = rollback.send_back(here.stack, book, Request(1, "broken", ("Reader",)))
    assert here.served("Reader") == 0 and record.there.position in here.stack.config.plan
    assert rollback.reconcile(here.stack, book, record).state is State.DONE


def test_another_seed_deals_nobody_anew_on_the_way_back(here: World) -> None:
    walked(here, "high/Writer/50")
    edited(here, "causeway:seed: s", "causeway:seed: other")
    opened(here)
    rollback.send_back(here.stack, journal(here), Request(1, "broken", ("Reader",)))
    assert flags.read(here.stack.control().override or "").seed == "s"


def test_levels_1_to_3_see_what_was_acknowledged_and_carry_it_on(here: World) -> None:
    """Prevents: the acknowledgement is taken out of config, and a breaker or a level leads back over the point."""
    known = "{package->legacy: {verified: tests}, package->package: {verified: tests}}"
    row = f"{{consumer: Saga, provider: Writer, kind: state, evidence: {known}}}"
    edited(here, "    interactions:\n", f"    interactions:\n      - {row}\n")
    edited(here, "causeway:seed: s", "causeway:seed: s\n  causeway:acknowledge: [{service: Saga, reason: we know}]")
    opened(here)
    place = next(each.name for each in here.config.plan if each.changes.get("Writer"))
    walked(here, place)
    edited(here, "\n  causeway:acknowledge: [{service: Saga, reason: we know}]", "")
    opened(here)
    for request in (Request(1, "errors", ("Saga",)), Request(3, "errors")):
        with pytest.raises(MoveRefused, match="point of no return of Saga"):
            rollback.send_back(here.stack, journal(here), request)
    rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Writer",)))
    assert flags.read(here.stack.control().override or "").acknowledged == ("Saga",)
    with pytest.raises(MoveRefused, match="point of no return of Saga"):
        rollback.send_back(here.stack, journal(here), Request(1, "errors", ("Saga",)))


def test_no_policy_stops_a_stack_on_its_way_back(here: World) -> None:
    """Prevents: an alert is missing somewhere, and with it the override of a rollback stands for ever."""
    walked(here, "low/Reader/50")
    here.engine.fail = ["policies"]
    assert levels.roll_back(here.stack, Request(3, "errors")).state is State.DONE
    here.engine.fail = ["policies"]
    with pytest.raises(UpdateFailed), runner_of(here) as runner:
        runner.walk("low")
