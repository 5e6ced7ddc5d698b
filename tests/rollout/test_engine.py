"""The Pulumi port on recorded runs of the real engine (tests/data/engine): a refusal is told from a failure.

A `pulumi` of a few lines on the PATH plays the record, so commands, processes and files are real.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from causeway.errors import CausewayError, MoveRefused, Unreachable
from causeway.rollout.engine import Export, Pulumi, UpdateFailed
from causeway.rollout.orphans import CARRIED, Owner

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


def held_by(engine: Played, said: str) -> None:
    """Whoever wants the lock is told of its holder, until it is cancelled."""
    lock, player = engine.folder / "lock", engine.folder / "bin" / "pulumi"
    lock.write_text(f"error: the stack is currently locked by 1 lock(s). {said}\n" if "pid" in said else said)
    refusing = f'case "$1" in refresh) cat {lock}; exit 255;; cancel) echo > {lock};; esac\n'
    player.write_text(player.read_text().replace('case "$1 $2"', refusing + 'case "$1 $2"'))


@contextmanager
def pulumi_that_sleeps(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A living process of that name."""
    (folder / "alive").mkdir()
    command = folder / "alive" / "pulumi"
    command.write_text("#!/bin/sh\nread nothing\n")
    command.chmod(0o755)
    with subprocess.Popen([str(command)], stdin=subprocess.PIPE) as found:
        try:
            yield found
        finally:
            found.kill()


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


@pytest.mark.parametrize(
    ("said", "commands"),
    [
        ("no resource named none found", ["refresh", "stack"]),
        (f"created by anna@{socket.gethostname()} (pid {2**22})", ["refresh", "cancel", "stack"]),
    ],
)
def test_recovery_clears_a_dead_lock_and_refreshes_only_what_is_pending(
    tmp_path: Path, said: str, commands: list[str]
) -> None:
    engine = Played(tmp_path, "applied", 0)
    held_by(engine, said)
    engine.recover()
    assert [line.split()[0] for line in engine.commands] == commands


@pytest.mark.parametrize("host", ["ci-runner-7", socket.gethostname()])
def test_a_lock_whose_holder_may_live_is_not_removed(tmp_path: Path, host: str) -> None:
    """Prevents: a rollback here cancels an update that runs on, and two write one state and one flag set."""
    engine = Played(tmp_path, "applied", 0)
    with pulumi_that_sleeps(tmp_path) as alive:
        held_by(engine, f"created by anna@{host} (pid {alive.pid})")
        with pytest.raises(UpdateFailed, match=f"anna on {host}, process {alive.pid}"):
            engine.recover()
    assert not [line for line in engine.commands if line.startswith("cancel")]


def test_pending_operations_are_refreshed_away(tmp_path: Path) -> None:
    deployment = {"deployment": {"resources": [], "pending_operations": [{"resource": {"urn": URN}}]}}
    (tmp_path / "export.json").write_text(json.dumps(deployment))
    engine = Played(tmp_path, "applied", 0, export=str(tmp_path / "export.json"))
    assert engine.export().pending == (URN,)
    engine.recover()
    assert engine.commands[-1].startswith("refresh") and "--clear-pending-creates" in engine.commands[-1]


@contextmanager
def operation(owner: str, work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of an operation, as the port starts them."""
    environment = {**os.environ, CARRIED: f"{owner} {work.resolve()}"}
    with subprocess.Popen(["sleep", "60"], start_new_session=True, env=environment) as found:
        try:
            while CARRIED not in psutil.Process(found.pid).environ():
                pass  # the kernel fills it in a moment after the new program has begun
            yield found
        finally:
            found.kill()


def a_dead_one() -> Owner:
    return replace(Owner.of_this(), started="0")


def test_what_is_left_of_a_dead_update_is_ended(tmp_path: Path) -> None:
    """An orphaned provider may still write."""
    engine = Played(tmp_path, "applied", 0)
    with operation(str(a_dead_one()), tmp_path / "work") as orphan:
        engine.recover()
        assert orphan.wait(timeout=5) == -signal.SIGKILL


def test_what_somebody_alive_runs_is_not_ended(tmp_path: Path) -> None:
    """Prevents: `causeway drift`, which only looks, kills the runner's update when it has finished looking."""
    engine = Played(tmp_path, "applied", 0)
    with operation(str(Owner.of_this()), tmp_path / "work") as living:
        engine.drift()
        engine.recover()
        assert living.poll() is None


def test_an_operation_elsewhere_is_none_of_ours(tmp_path: Path) -> None:
    engine = Played(tmp_path, "applied", 0)
    with operation(str(a_dead_one()), tmp_path / "other") as other:
        engine.recover()
        assert other.poll() is None


@pytest.mark.parametrize("mark", ["", "0", "x", "a/b/c"])
def test_a_garbled_mark_ends_nobody(tmp_path: Path, mark: str) -> None:
    """Prevents: a stranger that happens to have an orphan's number, or a mark cut by a full disk, is killed."""
    engine = Played(tmp_path, "applied", 0)
    with operation(mark, tmp_path / "work") as stranger:
        engine.recover()
        assert stranger.poll() is None


def test_looking_leaves_the_outputs_of_an_update_alone(tmp_path: Path) -> None:
    """Prevents: a drift beside a refresh overwrites its events, and the refresh is judged by those of the drift."""
    engine = Played(tmp_path, "applied", 0)
    (tmp_path / "work" / "refresh.events").write_text("its own")
    engine.drift()
    assert (tmp_path / "work" / "refresh.events").read_text() == "its own"


def test_an_update_is_broken_off_when_the_stack_is_taken_over(tmp_path: Path) -> None:
    """Prevents: a runner waits for its update although the lease is lost, and that update moves traffic forward."""
    engine = Played(tmp_path, "applied", 0)
    (tmp_path / "bin" / "pulumi").write_text(f"#!/bin/sh\n[ $1 = up ] || exit 0\ntouch {tmp_path}/began\nsleep 60\n")
    failed: list[CausewayError] = []

    def update() -> None:
        try:
            engine.up(None)
        except CausewayError as error:
            failed.append(error)

    running = threading.Thread(target=update)
    running.start()
    while not (tmp_path / "began").exists():
        pass
    engine.abort()
    running.join(timeout=10)
    assert failed and not running.is_alive()
