"""The stand-in under the real engine: update, drift, refusal, crash and recovery."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from standin.gcp.documents import Documents
from standin.gcp.faults import Fault
from standin.project import Project

pytestmark = pytest.mark.e2e

PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def no_tens(args, report):
    if args.resource_type == "gcp:firestore/document:Document" and '"10"' in args.props["fields"]:
        report("no tens")

PolicyPack("pack", policies=[ResourceValidationPolicy(
    name="no-tens", description="no tens", validate=no_tens, enforcement_level=EnforcementLevel.MANDATORY)])
"""


def eventually(true: Callable[[], bool], within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def gcp_project(project: Project) -> str:
    return project.pulumi("config", "get", "gcp:project").stdout.strip()


def document(project: Project) -> str:
    return f"projects/{gcp_project(project)}/databases/journal/documents/flags/tiny"


def weight(project: Project) -> str:
    """What the emulator holds."""
    assert project.environment.emulator is not None
    found = Documents(project.environment.emulator).read(document(project))
    assert found is not None
    return str(found["fields"]["weight"]["integerValue"])


def processes(project: Project) -> list[psutil.Process]:
    """The processes of this environment, whoever their parents are."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CAUSEWAY_CLOUD") == str(project.environment.cloud):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def nothing_left(project: Project) -> Iterator[None]:
    yield
    assert eventually(lambda: not processes(project)), f"left behind: {processes(project)}"


def test_an_update_reaches_the_emulator_and_the_way_back_gives_equal_inputs(project: Project) -> None:
    def inputs() -> dict[str, object]:
        return {r["urn"]: r.get("inputs") for r in project.export()["resources"] if r["custom"]}

    project.up()
    first = inputs()
    assert weight(project) == "0"
    project.up(weight="25")
    assert weight(project) == "25"
    project.up(weight="0")
    assert weight(project) == "0"
    assert inputs() == first
    outputs = json.loads(project.pulumi("stack", "output", "--json").stdout)
    assert outputs["email"] == f"runner@{gcp_project(project)}.iam.gserviceaccount.com"


def test_previews_show_the_change_and_touch_nothing(project: Project) -> None:
    project.up()
    project.pulumi("config", "set", "weight", "50")
    shown = project.pulumi("preview", "--diff").stdout
    assert "gcp:firestore/document:Document" in shown
    assert weight(project) == "0"
    assert "using pulumi-" not in shown, "plugins found on PATH are warned about at every update"


def test_a_hand_edit_of_a_document_is_drift_that_an_update_after_refresh_mends(project: Project) -> None:
    project.up()
    assert project.pulumi("preview", "--refresh", "--expect-no-changes", check=False).returncode == 0
    emulator = project.environment.emulator
    assert emulator is not None
    Documents(emulator).update(document(project), json.dumps({"weight": {"integerValue": "99"}}))
    assert project.pulumi("preview", "--refresh", "--expect-no-changes", check=False).returncode == 7
    project.pulumi("up", "--refresh", "--yes", "--skip-preview")
    assert weight(project) == "0"


def test_an_edit_of_the_local_cloud_is_drift(project: Project) -> None:
    project.up()
    (bucket,) = (project.environment.cloud / "storage.Bucket").iterdir()
    thing = json.loads(bucket.read_text())
    thing["inputs"]["storageClass"] = "ARCHIVE"
    bucket.write_text(json.dumps(thing))
    assert project.pulumi("preview", "--refresh", "--expect-no-changes", check=False).returncode == 7


def test_a_resource_that_vanished_is_made_again(project: Project) -> None:
    project.up()
    (bucket,) = (project.environment.cloud / "storage.Bucket").iterdir()
    bucket.unlink()
    project.pulumi("up", "--refresh", "--yes", "--skip-preview")
    assert len(list(bucket.parent.iterdir())) == 1


def test_what_the_sdk_does_not_know_is_refused_before_anything_changes(project: Project) -> None:
    refused = project.up(check=False, bucket='{"location": "EU", "versioning": {"enabled": "certainly"}}')
    assert refused.returncode != 0
    assert "'versioning.enabled' of gcp:storage/bucket:Bucket must be a boolean" in refused.stdout + refused.stderr
    assert not (project.environment.cloud / "storage.Bucket").exists()


def test_a_failing_write_fails_the_update_and_the_next_one_succeeds(project: Project) -> None:
    project.up()
    project.environment.inject(Fault("update", "*::flags", fail="quota exceeded", times=1))
    failed = project.up(check=False, weight="10")
    assert failed.returncode != 0
    assert "quota exceeded" in failed.stdout + failed.stderr
    assert weight(project) == "0"
    project.up()
    assert weight(project) == "10"


@pytest.mark.parametrize(("die", "landed"), [("before", "0"), ("after", "10")])
def test_a_provider_that_dies_at_a_write_fails_the_update_and_the_next_one_settles_it(
    project: Project, die: str, landed: str
) -> None:
    project.up()
    project.environment.inject(Fault("update", "*::flags", die=die, times=1))  # type: ignore[arg-type]
    assert project.up(check=False, weight="10").returncode != 0
    assert weight(project) == landed
    project.up()
    assert weight(project) == "10"


@pytest.mark.usefixtures("nothing_left")
def test_the_late_write_of_an_orphaned_provider_lands_and_then_it_leaves(project: Project, tmp_path: Path) -> None:
    """After SIGKILL of the CLI, a slow write in flight still lands: what every rollback must reckon with."""
    project.up()
    project.pulumi("config", "set", "weight", "10")
    project.environment.inject(Fault("update", "*::flags", slow_s=3.0, times=1))
    with (tmp_path / "up.log").open("w") as log:
        update = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=project.directory,
            env=project.environment.process_variables(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert eventually(lambda: '"times": 0' in project.environment.fault_file.read_text()), "the write never began"
    os.kill(update.pid, signal.SIGKILL)
    update.wait()
    assert weight(project) == "0"
    left = [process.pid for process in processes(project)]
    assert left, "the provider is orphaned with its write in flight"
    # The engine gives each plugin a process group of its own; whoever must find them all goes by session.
    assert {os.getsid(pid) for pid in left} == {update.pid}
    assert update.pid not in {os.getpgid(pid) for pid in left}
    assert eventually(lambda: weight(project) == "10"), "the write in flight did not land"
    assert [operation["type"] for operation in project.export()["pending_operations"]] == ["updating"]
    project.pulumi("cancel", "test", "--yes")
    project.up(weight="25")
    assert weight(project) == "25"
    assert not project.export().get("pending_operations")


@pytest.mark.usefixtures("nothing_left")
def test_one_interrupt_lets_the_write_in_flight_finish(project: Project, tmp_path: Path) -> None:
    project.up()
    project.pulumi("config", "set", "weight", "10")
    project.environment.inject(Fault("update", "*::flags", slow_s=1.5, times=1))
    update = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=project.directory,
        env=project.environment.process_variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert eventually(lambda: '"times": 0' in project.environment.fault_file.read_text()), "the write never began"
    os.killpg(update.pid, signal.SIGINT)
    assert update.wait(timeout=20) != 0
    assert weight(project) == "10"
    assert not project.export().get("pending_operations")


def test_functions_answer_or_refuse_clearly(project: Project) -> None:
    program = project.directory / "__main__.py"
    text = program.read_text()
    program.write_text(text + 'pulumi.export("number", gcp.organizations.get_project().number)\n')
    project.up()
    assert json.loads(project.pulumi("stack", "output", "--json").stdout)["number"].isdigit()
    program.write_text(text + 'gcp.compute.get_image(family="debian-12", project="debian-cloud")\n')
    refused = project.pulumi("preview", check=False)
    assert refused.returncode != 0
    assert "the local gcp provider does not answer gcp:compute/getImage:getImage" in refused.stdout + refused.stderr


def test_policy_packs_run(project: Project) -> None:
    pack = project.directory / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
    (pack / "__main__.py").write_text(PACK)
    project.up()
    project.pulumi("config", "set", "weight", "25")
    project.pulumi("preview", "--policy-pack", "pack")
    project.pulumi("config", "set", "weight", "10")
    refused = project.pulumi("preview", "--policy-pack", "pack", check=False)
    assert refused.returncode != 0
    assert "no tens" in refused.stdout


def test_a_second_resource_of_the_same_name_is_refused_as_gcp_does(project: Project) -> None:
    project.up()
    program = project.directory / "__main__.py"
    program.write_text(program.read_text() + 'gcp.serviceaccount.Account("twin", account_id="runner")\n')
    refused = project.up(check=False)
    assert refused.returncode != 0
    assert "Error 409" in refused.stdout + refused.stderr


def test_destroy_leaves_an_empty_cloud(project: Project) -> None:
    project.up()
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert not list(project.environment.cloud.rglob("*.json"))
