"""The Pulumi port on recorded runs of the real engine (tests/data/engine): a refusal is told from a failure.

A `pulumi` of a few lines on the PATH plays the record, so commands, processes and files are real.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from causeway.errors import CausewayError, MoveRefused, Unreachable
from causeway.rollout.engine import Export, Pulumi, UpdateFailed

RECORDS = Path(__file__).parents[1] / "data" / "engine"
URN = "urn:pulumi:test::tiny::gcp:storage/bucket:Bucket::backups"
PLAYER = """\
#!/bin/sh
echo "$@" >> {folder}/commands
for word in "$@"; do
  if [ "$before" = --event-log ]; then test -f {record}.events && cp {record}.events "$word"; fi
  before=$word
done
case "$1 $2" in
  "stack export") cat {export}; exit 0;;
  cancel*) exit 0;;
esac
echo "$CAUSEWAY_REASON" > {folder}/reason
cat {record}.out
exit {code}
"""


class Played(Pulumi):
    """The port over a record that is played, and what it was asked for."""

    def __init__(self, folder: Path, record: str, code: int, policies: Path | None = None, export: str = "") -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        given = Path(export) if export else RECORDS / "export.json"
        script = PLAYER.format(folder=folder, record=RECORDS / record, code=code, export=given)
        player = folder / "bin" / "pulumi"
        player.write_text(script)
        player.chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        super().__init__(
            "test", folder, folder / "work", environment={"PATH": path}, policies=policies, clock=lambda: 0
        )

    @property
    def commands(self) -> list[str]:
        return (self.folder / "commands").read_text().splitlines()


def failure(tmp_path: Path, record: str) -> CausewayError:
    with pytest.raises(CausewayError) as raised:
        Played(tmp_path, record, 255).up(None)
    return raised.value


def test_an_update_says_what_changed(tmp_path: Path) -> None:
    outcome = Played(tmp_path, "applied", 0).up(None, reason="because")
    assert (outcome.changes, outcome.changed) == ({"create": 3}, 3)
    assert (tmp_path / "reason").read_text() == "because\n"
    assert not (tmp_path / "work" / "running.pid").exists()


def test_what_is_applied_is_what_was_previewed(tmp_path: Path) -> None:
    engine, plan = Played(tmp_path, "applied", 0, policies=Path("policies")), tmp_path / "plan.json"
    plan.write_text("of an earlier step")
    engine.preview(plan)
    assert not plan.exists(), "a plan that this preview did not write is never applied"
    engine.up(plan)
    preview, up = engine.commands
    assert f"--save-plan {plan} --policy-pack policies" in preview
    assert f"--skip-preview --plan {plan}" in up


def test_a_refusal_of_the_hook_is_the_model_s_own_words(tmp_path: Path) -> None:
    error = failure(tmp_path, "hook")
    assert isinstance(error, MoveRefused)
    assert str(error) == (
        "position high/Writer/50 is 6 steps ahead of infrastructure; 5 steps would be skipped without a soak or a "
        "verdict. Go to low/Reader/50 next: pulumi config set causeway:position low/Reader/50"
    )


def test_a_violated_policy_is_a_refusal_with_its_name(tmp_path: Path) -> None:
    error = failure(tmp_path, "policy")
    assert isinstance(error, MoveRefused)
    assert error.fact.startswith("policy config-readable: stacks/Pulumi.small.yaml:11: causeway:matrix.services.Reader")
    assert (error.consequence, error.remedy) == (
        "1 mandatory policy is violated",
        "Mend the config; nothing was changed.",
    )


@pytest.mark.parametrize(("record", "cause"), [("failed", "quota exceeded"), ("failed_planned", "quota exceeded for")])
def test_a_failure_names_its_cause_and_not_what_follows_from_it(tmp_path: Path, record: str, cause: str) -> None:
    """Prevents: under a saved plan, the last of fifty complaints about resources that were never come to is shown."""
    error = failure(tmp_path, record)
    assert isinstance(error, UpdateFailed)
    assert error.fact.startswith(f"pulumi up failed: {cause}")
    assert error.remedy == f"The whole output: {tmp_path / 'work' / 'up'}.out"
    assert Path(error.remedy.removeprefix("The whole output: ")).exists()


def test_a_lock_is_told_from_a_failure(tmp_path: Path) -> None:
    error = failure(tmp_path, "lock")
    assert isinstance(error, UpdateFailed)
    assert error.fact == "Pulumi holds a lock on test"
    assert "causeway reconcile" in error.remedy


def test_without_pulumi_it_says_how_to_get_it(tmp_path: Path) -> None:
    engine = Pulumi("test", tmp_path, tmp_path, environment={"PATH": str(tmp_path)})
    with pytest.raises(Unreachable, match="make setup"):
        engine.export()


def test_events_of_a_run_before_are_not_taken_for_this_one_s(tmp_path: Path) -> None:
    """Prevents: a run that dies before its first event is judged by yesterday's."""
    engine = Played(tmp_path, "lock", 255)
    shutil.copy(RECORDS / "hook.events", tmp_path / "work" / "up.events")
    with pytest.raises(UpdateFailed):
        engine.up(None)


def test_a_cut_last_event_is_left_out(tmp_path: Path) -> None:
    cut = (RECORDS / "applied.events").read_text() + '{"sequence": 32, "summ'
    record = tmp_path / "record"
    record.with_suffix(".events").write_text(cut)
    record.with_suffix(".out").write_text("")
    assert Played(tmp_path, str(record), 0).up(None).changed == 3


# --- the recorded state -------------------------------------------------------------------------------------------


def test_an_export_holds_the_stack_s_own_resources(tmp_path: Path) -> None:
    found = Played(tmp_path, "applied", 0).export()
    assert {urn.rsplit("::", 1)[-1] for urn in found.inputs} == {"backups", "runner"}
    assert found.pending == ()


def test_equal_inputs_have_equal_digests_whatever_their_order() -> None:
    one = Export({URN: {"x": 1, "y": [1, 2]}, URN + "2": {}}, ())
    two = Export({URN + "2": {}, URN: {"y": [1, 2], "x": 1}}, ("pending",))
    assert one.digest == two.digest
    assert one.digest != Export({URN: {"x": 1, "y": [2, 1]}, URN + "2": {}}, ()).digest
    assert one.differences(two) == []


def test_differences_name_the_resource_and_the_property() -> None:
    then = Export({URN: {"location": "EU", "labels": {"v": "a"}}}, ())
    now = Export({URN: {"location": "EU", "labels": {"v": "b"}, "name": "n"}, URN + "2": {}}, ())
    assert now.differences(then) == [
        "gcp:storage/bucket:Bucket backups.labels differs",
        "gcp:storage/bucket:Bucket backups.name differs",
        "gcp:storage/bucket:Bucket backups2 exists only now",
    ]


# --- what a crash has left ----------------------------------------------------------------------------------------


def test_recovery_clears_the_lock_and_refreshes_only_what_is_pending(tmp_path: Path) -> None:
    Played(tmp_path, "applied", 0).recover()
    assert [line.split()[0] for line in (tmp_path / "commands").read_text().splitlines()] == ["cancel", "stack"]


def test_pending_operations_are_refreshed_away(tmp_path: Path) -> None:
    deployment = {"deployment": {"resources": [], "pending_operations": [{"resource": {"urn": URN}}]}}
    (tmp_path / "export.json").write_text(json.dumps(deployment))
    engine = Played(tmp_path, "applied", 0, export=str(tmp_path / "export.json"))
    assert engine.export().pending == (URN,)
    engine.recover()
    assert engine.commands[-1].startswith("refresh") and "--clear-pending-creates" in engine.commands[-1]


def test_what_is_left_of_a_dead_update_is_ended(tmp_path: Path) -> None:
    """An orphaned provider may still write."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as orphan:
        engine = Played(tmp_path, "applied", 0)
        (tmp_path / "work" / "running.pid").write_text(str(orphan.pid))
        engine.recover()
        assert orphan.poll() is not None
    assert not (tmp_path / "work" / "running.pid").exists()


@pytest.mark.parametrize("note", ["", "0", "x"])
def test_a_cut_note_ends_nobody(tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: a note cut by a full disk reads as session 0, which is everybody's in a container."""
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: ended.append(pid))
    monkeypatch.setattr(os, "getsid", lambda pid: 0)
    engine = Played(tmp_path, "applied", 0)
    (tmp_path / "work" / "running.pid").write_text(note)
    engine.recover()
    assert ended == []
