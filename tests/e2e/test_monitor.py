"""The monitor as a process beside the real application: a fault leads to legacy without any runner, and it stops.

The project has no program: Pulumi fails at once, which is what the fast path must not care about.
"""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from causeway import flags
from causeway.config import Config, from_file
from causeway.model.moves import Direction, Place
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.rollout import control as controls
from causeway.rollout.control import Control
from causeway.rollout.desired import flag_set
from causeway.rollout.journal import Journal, State
from causeway.rollout.store import NOW, FirestoreStore, Write
from examples.cvplus.front import PACKAGE_HEADER
from standin.environment import CHECKOUT, Environment
from standin.processes import Processes, answering, free_port

pytestmark = pytest.mark.e2e

CAUSEWAY = str(Path(sys.prefix) / "bin" / "causeway")
SERVICE, POSITION = "CVAnalyzer", "low/CVAnalyzer/100"
TESTER = "/cv/qa@example.org/improvements"


@dataclass
class Scene:
    """A stack that was judged good at a position, its application under load, and nobody who moves it."""

    config: Config
    store: FirestoreStore
    project: Path
    processes: Processes
    environment: Environment
    app: str

    def start(self) -> str:
        """Starts a monitor and returns its address once it has looked."""
        address = f"127.0.0.1:{free_port()}"
        command = [CAUSEWAY, "monitor", "--stack", "local", "--listen", address]
        self.processes.start(
            "monitor",
            command,
            ready=answering(f"http://{address}/healthz"),
            env=self.environment.process_variables(),
            cwd=self.project,
            within_s=90,
        )
        wait_for(lambda: self.health(address)["looks"] > 1)
        return address

    @staticmethod
    def health(address: str) -> Any:
        """What the monitor says of itself."""
        return httpx.get(f"http://{address}/healthz", timeout=10).json()

    def watchdog(self) -> Any:
        """What the scheduled command finds."""
        command = [CAUSEWAY, "monitor", "--once", "--stack", "local", "--json"]
        env = self.environment.process_variables()
        done = subprocess.run(command, cwd=self.project, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def on_package(self) -> bool:
        """Whether the application gives the tester the package."""
        return SERVICE in httpx.get(self.app + TESTER, timeout=10).headers[PACKAGE_HEADER]

    def alerts(self) -> list[str]:
        """What people were told."""
        file = self.project / "out" / "alerts.jsonl"
        return [json.loads(line)["happened"] for line in file.read_text().splitlines()] if file.exists() else []

    def override(self) -> str | None:
        return controls.read(self.store, "local").override


def wait_for(true: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def scene(environment: Environment, tmp_path: Path, every: str) -> Iterator[Scene]:
    port, project = free_port(), tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: causeway\nruntime: python\nmain: nothing\n")
    (project / "stacks" / "cvplus.yaml").write_text((CHECKOUT / "stacks" / "cvplus.yaml").read_text())
    cloud = f"monitor-{uuid.uuid4().hex[:8]}"
    stack = yaml.safe_load((CHECKOUT / "stacks" / "Pulumi.local.yaml").read_text().replace("8801", str(port)))
    stack["config"]["gcp:project"] = cloud
    stack["config"]["causeway:metrics"]["every"] = every
    stack["config"]["causeway:soak"]["interval"] = "30s"
    file = project / "stacks" / "Pulumi.local.yaml"
    file.write_text(yaml.safe_dump(stack))
    config = from_file(file)
    store = FirestoreStore(cloud, timeout=30)
    stand_at(store, config, Place(POSITION))
    env = environment.process_variables()
    with Processes(tmp_path / "logs") as processes:
        app = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "examples.cvplus.app", "--port", str(port), "--project", cloud]
        processes.start("app", [*command, "--users", "40"], answering(f"{app}/healthz"), env, CHECKOUT, within_s=90)
        command = [sys.executable, "-m", "examples.cvplus.load", "--url", app, "--users", "40", "--rate", "20"]
        processes.start("load", [*command, "--report", str(tmp_path / "load.json")], None, env, CHECKOUT)
        yield Scene(config, store, project, processes, environment, app)


def stand_at(store: FirestoreStore, config: Config, place: Place) -> None:
    """What a runner leaves: flags and journal agree that the place is reached and good; nobody holds the lease."""
    definition = flags.build(flag_set(config, place))
    store.commit([Write("flags/local", {"definition": definition, "position": place.position})])
    journal = Journal(controls.acquire(store, "local", "a runner"), lambda: datetime.datetime.now(datetime.UTC))
    record = journal.advance(journal.open(Direction.FORWARD, None, place), State.APPLIED)
    good = Verdict.of([Reason(Decision.ADVANCE, Cause.SAFE, "test", "as it was left")])
    journal.advance(journal.advance(record, State.JUDGED, verdict=good.as_dict()), State.DONE)
    journal.lease.commit(renewed_at=NOW)
    journal.lease.release()


@pytest.fixture
def reachable(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(("every", "within_s"), [("5s", 15.0), ("500ms", 5.0)])
def test_a_fault_leads_to_legacy_without_any_runner(
    environment: Environment, tmp_path: Path, every: str, within_s: float
) -> None:
    with scene(environment, tmp_path, every) as here:
        address = here.start()
        wait_for(here.on_package)
        metrics = httpx.get(f"http://{address}/metrics").text
        assert 'causeway_probes_total{outcome="ok",service="CVAnalyzer",version="package"}' in metrics
        assert Control.of(here.store.read("control/local")).holder == ""
        seen, broken = here.health(address)["looks"], time.monotonic()
        fault = {"service": SERVICE, "version": "package", "error_rate": 1.0}
        httpx.post(f"{here.app}/faults", json=fault).raise_for_status()
        wait_for(lambda: here.override() is not None)
        decided, looks = time.monotonic() - broken, here.health(address)["looks"] - seen
        wait_for(lambda: not here.on_package())
        moved = time.monotonic() - broken
        print(f"MEASURED every {every}: override after {decided:.2f} s ({looks} looks), legacy after {moved:.2f} s")
        assert moved <= within_s
        wait_for(lambda: any("level 1 rollback" in each for each in here.alerts()))
        wait_for(lambda: any("could not reconcile" in each for each in here.alerts()))
        assert not here.on_package(), "without Pulumi the override stays"
        watchdog = here.watchdog()
        assert watchdog["position"].startswith(f"{POSITION} (hold {SERVICE}")
        stored = here.store.client.collection("migration_checkpoints").where("kind", "==", "health").get()
        assert [each.get("stack") for each in stored] == ["local"]
        assert list((here.project / "out" / "health").glob("local-*.md"))
        stopped = time.monotonic()
        monitor = here.processes["monitor"]
        monitor.process.send_signal(signal.SIGTERM)
        assert monitor.process.wait(20) == 0
        took = time.monotonic() - stopped
        print(f"MEASURED stopped after {took:.2f} s")
        assert took < 2
        assert controls.read(here.store, "local").holder == "", "the lease is given back"
