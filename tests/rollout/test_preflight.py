"""Go or no-go: each finding says what was looked at, whether it holds, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from causeway.backup.archive import Archive
from causeway.backup.backups import Backup, BackupKind
from causeway.backup.documents import Database
from causeway.backup.storage import LocalStorage
from causeway.config.records import Backup as Backups
from causeway.config.records import Hooks, Priority
from causeway.errors import Unreachable
from causeway.model.observation import ParityProbe
from causeway.model.window import Category, Check, Missing, Tally
from causeway.report.preflight_text import render
from causeway.rollout import control as controls
from causeway.rollout import preflight
from causeway.rollout.preflight import Finding, go
from causeway.rollout.stack import Stack
from tests.rollout.conftest import runner_of
from tests.rollout.fakes import FakeObserver, World


class Observed(FakeObserver):
    """Also sees legacy: 2 of 200 failed for Reader, nothing measured for Writer."""

    def look(self, weights):  # type: ignore[no-untyped-def]
        found = super().look(weights)
        legacy = {name: self._window(name, 50) for name in ("Reader", "Writer")}
        legacy["Reader"] = replace(legacy["Reader"], errors=Tally(2, 200))
        legacy["Writer"] = replace(legacy["Writer"], errors=Missing("no requests were counted"))
        check = Check(Category.FUNCTIONALITY, "health of Reader", False, "Reader", "404")
        return replace(found, legacy=legacy, checks=(check,))


@pytest.fixture
def looking(here: World, monkeypatch: pytest.MonkeyPatch) -> World:
    observer = Observed(here.time)

    @contextmanager
    def opened(stack: Stack) -> Iterator[Observed]:
        yield observer

    monkeypatch.setattr(preflight, "open_checker", opened)
    with runner_of(here) as runner:
        runner.walk("infrastructure")
    return here


def found(stack: Stack) -> dict[str, Finding]:
    return {f"{each.area}/{each.name}": each for each in preflight.examine(stack)}


def test_flags_with_their_rollback_conditions_and_no_override_are_go(looking: World) -> None:
    findings = found(looking.stack)
    for name in ("Reader", "Writer", "Saga"):
        assert findings[f"flags/flag of {name}"].passed
        assert "5 %" in findings[f"flags/flag of {name}"].detail
    assert findings["flags/override"].passed and findings["flags/position"].passed
    assert findings["system/Firestore"].passed


def test_a_flag_set_that_is_not_there_is_no_go(here: World) -> None:
    finding = found(here.stack)["flags/flag set"]
    assert (finding.passed, finding.remedy) == (False, "`pulumi up` at infrastructure.")


def test_an_override_is_no_go(looking: World) -> None:
    definition = looking.store.documents["flags/test"].values["definition"]
    controls.change(looking.store, "test", override=definition, override_why="level 1: errors")
    finding = found(looking.stack)["flags/override"]
    assert (finding.passed, finding.detail) == (False, "level 1: errors")


def test_errors_of_legacy_itself_and_silence_are_no_go(looking: World) -> None:
    findings = found(looking.stack)
    assert findings["system/errors of Reader@legacy"].passed, "2 of 200 is below the warning"
    assert findings["system/errors of Writer@legacy"].detail == "no requests were counted"
    assert not findings["system/errors of Writer@legacy"].passed
    assert not findings["system/health of Reader"].passed


def test_without_metrics_nothing_is_claimed(here: World) -> None:
    finding = found(here.stack)["system/metrics"]
    assert not finding.passed
    assert "causeway:metrics" in finding.remedy


def test_a_legacy_that_is_down_is_no_go(looking: World) -> None:
    looking.application.legacy_down["Reader"] = "503"
    finding = found(looking.stack)["system/legacy of Reader"]
    assert (finding.passed, finding.detail) == (False, "503")


def test_readiness_commands_run_for_each_open_service_and_say_their_last_line(looking: World) -> None:
    readiness = {"*": ("echo $service; exit 0",), "Reader": ("echo one; echo 'does not compile' >&2; exit 3",)}
    findings = found(replace(looking.stack, config=replace(looking.config, readiness=readiness)))
    assert findings["packages/Saga: echo Saga; exit 0"].detail == "Saga"
    bad = findings["packages/Reader: echo one; echo 'does not compile' >&2; exit 3"]
    assert (bad.passed, bad.detail) == (False, "does not compile")


def test_a_command_that_says_nothing_shows_its_exit_code(looking: World) -> None:
    config = replace(looking.config, readiness={"Reader": ("exit 7",)})
    assert found(replace(looking.stack, config=config))["packages/Reader: exit 7"].detail == "exit code 7"


def test_what_is_not_configured_is_no_pass_and_stops_nothing(looking: World) -> None:
    """Prevents: a stack without readiness commands and without a health check of legacy looks checked, and is not."""
    for name in ("packages/readiness", "system/legacy of Reader"):
        finding = found(looking.stack)[name]
        assert (finding.passed, finding.as_dict()["passed"]) == (None, None)
        assert finding.detail.startswith("not configured")
        assert go([finding])
        assert render([finding]).splitlines() == [
            f"– {finding.area:9} {finding.name}: {finding.detail}  {finding.remedy}",
            "",
            "GO; 1 not checked",
        ]
    hooks = Hooks(legacy_health="http://h/$service")
    asked = replace(looking.stack, config=replace(looking.config, hooks=hooks))
    assert found(asked)["system/legacy of Reader"].passed is True


def test_parity_counts_once_filled_and_a_probe_that_was_not_made_is_no_pass(
    looking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: no-go at infrastructure because nothing was backfilled yet; go because a probe could not be made."""
    probe = ParityProbe(service="Writer", name="parity", legacy="old", package="new")
    stack = replace(looking.stack, config=replace(looking.config, probes=(probe,)))
    checks = (
        Check(Category.DATA_INTEGRITY, "parity", False, "Writer", "5 documents differ"),
        Check(Category.FUNCTIONALITY, "health", None, "Reader", "legacy itself fails"),
    )
    look = Observed.look
    monkeypatch.setattr(Observed, "look", lambda self, weights: replace(look(self, weights), checks=checks))
    findings = found(stack)
    assert "system/parity" not in findings
    assert findings["system/health"].passed is None
    with runner_of(looking) as runner:
        runner.walk("high/Writer/backfill")
    assert found(stack)["system/parity"].passed is False


def test_commands_of_services_that_are_complete_need_not_run_again(looking: World) -> None:
    with runner_of(looking) as runner:
        runner.walk("high/Writer/dual-write")
    stack = replace(looking.stack, config=replace(looking.config, readiness={"Reader": ("exit 7",)}))
    finding = found(stack)["packages/readiness"]
    assert (finding.passed, finding.detail) == (True, "every service with commands is complete")


def test_a_priority_that_was_never_backed_up_is_no_go(looking: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    archive = str(tmp_path_factory.mktemp("archive"))
    backup = Backups((Priority("high", "hourly", ("profiles",)),), archive)
    finding = found(replace(looking.stack, config=replace(looking.config, backup=backup)))["backups/high data (hourly)"]
    assert (finding.passed, finding.detail) == (False, "never backed up")
    assert "causeway backup snapshot --priority high" in finding.remedy


@pytest.mark.parametrize(("verified_hours_ago", "passed"), [(20, True), (80, False), (None, False)])
def test_the_newest_backup_need_not_be_the_one_that_was_verified(
    looking: World, tmp_path: Path, verified_hours_ago: int | None, passed: bool
) -> None:
    """Prevents: backups are hourly, trial restores daily, and no step is ever a go."""
    start = looking.time.now()

    def taken(archive: Archive, name: str, ago: timedelta) -> None:
        archive.begin(Backup(name, BackupKind.FULL, start - ago, start - ago, collections=("profiles",)))
        archive.end_task(name, 0)
        archive.complete(name)

    when = start - timedelta(hours=verified_hours_ago or 0)
    archive = Archive.create(LocalStorage(tmp_path), Database("demo"), now=lambda: when)
    taken(archive, "old", timedelta(hours=90))
    if verified_hours_ago:
        archive.note_verified("old", {"equal": True, "passed": True})
    taken(archive, "new", timedelta(minutes=30))
    backup = Backups((Priority("high", "hourly", ("profiles",)),), str(tmp_path))
    finding = found(replace(looking.stack, config=replace(looking.config, backup=backup)))["backups/high data (hourly)"]
    assert finding.passed is passed, finding.detail


def test_baselines_are_shown_or_missed(looking: World) -> None:
    findings = found(replace(looking.stack, baselines=lambda: {"Reader": 0.0123}))
    assert (findings["backups/baseline of Reader"].passed, findings["backups/baseline of Reader"].detail) == (
        True,
        "12.3 ms",
    )
    assert not findings["backups/baseline of Writer"].passed


def test_requests_longer_than_a_window_are_told_beforehand(looking: World) -> None:
    """Prevents: a soak that can only hold, because work in progress would count as lost."""
    findings = found(replace(looking.stack, baselines=lambda: {"Reader": 90.0, "Writer": 0.1}))
    assert findings["backups/throughput of Reader can be judged"].detail == "requests take 90 s, the window 1 s"
    assert "backups/throughput of Writer can be judged" not in findings


def test_without_firestore_the_rest_is_not_looked_at_in_vain(looking: World) -> None:
    """Whoever needs it gets the one message; nothing is reported as go."""
    looking.store.down = True
    with pytest.raises(Unreachable):
        preflight.examine(looking.stack)
