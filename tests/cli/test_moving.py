"""The commands that move a stack or look at one, over a world of doubles: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from causeway import cli
from causeway.rollout import control as controls
from causeway.rollout import opening
from causeway.rollout.runner import Runner
from causeway.rollout.stack import Stack
from tests.rollout.conftest import CONFIG, runner_of
from tests.rollout.fakes import World, world


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world that `open_stack` opens: Firestore, Pulumi and the application are doubles, everything else is real."""
    made = world(tmp_path, CONFIG)

    def open_stack(name: str, *, tell: Any = made.stack.tell, commit: bool = False, **_: object) -> Stack:
        assert name == "test"
        return replace(made.stack, config=made.config, tell=tell, commit=commit)

    @contextmanager
    def open_runner(stack: Stack) -> Iterator[Runner]:
        made.stack = stack
        with runner_of(made) as runner:
            yield runner

    monkeypatch.setattr(opening, "open_stack", open_stack)
    monkeypatch.setattr(opening, "open_runner", open_runner)
    monkeypatch.setenv("PULUMI_STACK", "test")
    return made


@pytest.fixture
def causeway(here: World, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; exit code, standard output (parsed where it is JSON), standard error."""

    def run(*arguments: str) -> tuple[object, Any, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([*arguments])
        streams = capsys.readouterr()
        return ended.value.code, json.loads(streams.out) if "--json" in arguments else streams.out, streams.err

    return run


def test_run_takes_one_step_where_nobody_says_how_far(causeway: Any, here: World) -> None:
    assert causeway("run", "--json")[:2] == (0, {"stack": "test", "position": "infrastructure", "hold": []})
    code, facts, err = causeway("run", "--reason", "go", "--json")
    assert (code, facts["position"]) == (0, "low/Reader/50")
    assert "forward: infrastructure -> low/Reader/50" in err, (
        "progress is told on stderr, so that stdout is one document"
    )


def test_run_walks_to_its_target(causeway: Any, here: World) -> None:
    assert causeway("run", "--to", "low", "--json")[1]["position"] == "low/Reader/100"
    text = here.stack.file.read_text()
    here.stack.file.write_text(text.replace("  causeway:seed:", "  causeway:target: high/Writer/50\n  causeway:seed:"))
    assert causeway("run", "--json")[1]["position"] == "high/Writer/50"


def test_run_that_is_held_refused_or_rolled_back_says_so_by_its_exit_code(causeway: Any, here: World) -> None:
    causeway("run")
    here.observer.requests = 0
    code, facts, _ = causeway("run", "--json")
    assert (code, facts["error"], facts["exit_code"]) == (6, "Held", 6)
    here.observer.requests = 400
    here.observer.bad["Reader"] = 0.5
    code, facts, _ = causeway("run", "--json")
    assert (code, facts["error"]) == (8, "RolledBack")
    code, facts, _ = causeway("run", "--json")
    assert (code, facts["error"]) == (5, "MoveRefused")
    assert "causeway release" in facts["remedy"]


def test_a_target_that_does_not_exist_changes_nothing(causeway: Any, here: World) -> None:
    code, facts, _ = causeway("run", "--to", "lwo", "--json")
    assert (code, facts["error"]) == (2, "ConfigError")
    assert here.engine.ups == []


def test_a_stack_that_somebody_else_moves_is_a_conflict(causeway: Any, here: World) -> None:
    controls.acquire(here.store, "test", "bob@desk:2")
    code, facts, _ = causeway("run", "--json")
    assert (code, facts["error"]) == (10, "Conflict")
    assert "bob@desk:2" in facts["fact"]


def test_soak_judges_what_was_applied_by_hand(causeway: Any, here: World) -> None:
    code, facts, _ = causeway("soak", "--json")
    assert (code, facts["error"]) == (5, "MoveRefused"), "nothing is applied yet"
    here.engine.up(None)
    code, facts, _ = causeway("soak", "--json")
    assert (code, facts["position"], facts["verdict"]["decision"]) == (0, "infrastructure", "ADVANCE")


def test_a_breaker_is_opened_and_released(causeway: Any, here: World) -> None:
    causeway("run", "--to", "low")
    code, facts, _ = causeway("rollback", "--level", "1", "--service", "Reader", "--reason", "errors", "--json")
    assert (code, facts["to"], facts["state"]) == (0, "low/Reader/100 (hold Reader,Saga)", "done")
    assert facts["weights"] == {"Reader": [100, 0]}
    assert facts["traffic_moved_s"] >= 0 and facts["differences"] is None
    here.observer.builds["Reader"] = "2"
    code, facts, _ = causeway("release", "Reader", "--reason", "fixed", "--json")
    assert (code, facts) == (0, {"stack": "test", "position": "low/Reader/100", "hold": []})
    code, facts, _ = causeway("release", "Reader", "--reason", "again", "--json")
    assert (code, facts["fact"]) == (5, "the breaker of Reader is not open")


def test_the_phase_goes_back(causeway: Any, here: World) -> None:
    causeway("run", "--to", "high/Writer/50")
    code, facts, err = causeway("rollback", "--level", "2", "--reason", "bad", "--graceful", "--json")
    assert (code, facts["to"], facts["differences"]) == (0, "low/Reader/100", [])
    assert ("Writer", "drain") in here.application.asked
    assert "traffic is on legacy for Writer" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--level", "1"], 2),
        (["--level", "1", "--service", "Nobody"], 2),
        (["--level", "4", "--at", "tomorrow-ish"], 2),
    ],
)
def test_a_rollback_that_makes_no_sense_moves_nothing(
    causeway: Any, here: World, arguments: list[str], code: int
) -> None:
    causeway("run", "--to", "low/Reader/50")
    found, facts, _ = causeway("rollback", *arguments, "--reason", "x", "--json")
    assert (found, facts["exit_code"]) == (code, code)
    assert here.served("Reader") == 50


@pytest.mark.parametrize("services", [[], ["--service", "Nobody"]])
def test_a_slip_of_the_pen_is_no_outage(causeway: Any, here: World, services: list[str]) -> None:
    """Prevents: a mistyped service is answered with "Firestore does not answer", or as a move that is not legal."""
    here.store.down = True
    code, facts, _ = causeway("rollback", "--level", "1", *services, "--reason", "x", "--json")
    assert code == 2
    assert "Services: Reader, Writer, Saga." in facts["fact"]


def test_reconcile_takes_a_person_s_word_for_an_update_on_a_lost_machine(causeway: Any, here: World) -> None:
    assert causeway("run", "--to", "low")[0] == 0
    assert causeway("reconcile", "--ended")[0] == 0
    assert here.engine.unlocked == 1


def test_reconcile_says_what_it_did(causeway: Any, here: World) -> None:
    causeway("run", "--to", "low/Reader/50")
    assert causeway("reconcile")[:2] == (0, "nothing to do: everything stands at low/Reader/50\n")
    here.engine.fail = ["preview"]
    code, facts, _ = causeway("rollback", "--level", "1", "--service", "Reader", "--reason", "errors", "--json")
    assert code == 1
    assert here.served("Reader") == 0, "the traffic has moved all the same"
    code, facts, _ = causeway("reconcile", "--json")
    assert (code, facts["done"]) == (0, "the stack stands at low/Reader/50 (hold Reader,Saga)")


def test_triggers_are_disarmed_for_a_while_and_armed_again(causeway: Any, here: World) -> None:
    code, facts, _ = causeway("disarm", "--for", "10", "--reason", "we know", "--json")
    assert (code, facts["armed"], facts["reason"]) == (0, False, "we know")
    assert causeway("arm", "--reason", "enough")[:2] == (0, "the triggers are armed\n")


def test_status_log_and_drift(causeway: Any, here: World) -> None:
    assert causeway("status", "--json")[1]["applied"] is None
    causeway("run", "--to", "low/Reader/50")
    code, facts, _ = causeway("status", "--json")
    assert (code, facts["applied"], facts["weights"]) == (0, "low/Reader/50", {"Reader": 50, "Writer": 0, "Saga": 0})
    assert "low/Reader/50" in causeway("status")[1]
    code, records, _ = causeway("log", "-n", "1", "--json")
    assert (code, [each["to"] for each in records]) == (0, ["low/Reader/50"])
    assert "forward" in causeway("log")[1]
    assert causeway("drift")[:2] == (0, "no drift\n")
    del here.store.documents["flags/test"]
    code, facts, _ = causeway("drift", "--json")
    assert (code, facts["drift"]) == (7, ["flags/test is gone; the stack says low/Reader/50"])


def test_preflight_is_go_or_no_go_by_its_exit_code(causeway: Any, here: World) -> None:
    code, facts, _ = causeway("preflight", "--json")
    assert (code, facts["go"]) == (6, False)
    assert {each["area"] for each in facts["findings"]} == {"system", "packages", "backups", "flags"}
    code, text, _ = causeway("preflight")
    assert code == 6 and "there is none" in text


def test_without_firestore_every_command_says_so(causeway: Any, here: World) -> None:
    here.store.down = True
    for command in (["status"], ["log"], ["run"], ["drift"], ["reconcile"], ["arm", "--reason", "x"]):
        code, facts, _ = causeway(*command, "--json")
        assert (code, facts["error"]) == (9, "Unreachable")
    assert causeway("run", "--to", "lwo", "--json")[0] == 2, "a slip of the pen is one all the same"


def test_no_stack_is_one_message(causeway: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PULUMI_STACK")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "nothing"))
    code, facts, _ = causeway("status", "--json")
    assert (code, facts["fact"]) == (2, "no stack is selected")
