"""A small stack on the real engine: the checkout's own program and policies, two services, soaks of a second.

Its application is a thread of the test: it follows the flags as any application does, and counts as many requests as
would have come since it was last asked, by the weights it obeys at that moment.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

from causeway.client import FirestoreSource, Follower
from causeway.config import Config, from_file
from standin.environment import CHECKOUT, Environment
from standin.gcp.documents import Documents
from standin.processes import Processes, free_port, listening
from standin.tools import emulator_command

STACK = "small"
CAUSEWAY = str(Path(sys.prefix) / "bin" / "causeway")
SERVICES = ("Reader", "Writer")
CONFIG = """\
config:
  gcp:project: $project
  causeway:position: infrastructure
  causeway:seed: s
  causeway:ladder: [50, 100]
  causeway:phases:
    - {name: low, services: [Reader]}
    - {name: high, services: [Writer]}
  causeway:matrix:
    services:
      Reader: {strategy: direct}
      Writer: {strategy: dual_write}
    interactions:
      - consumer: Writer
        provider: Reader
        evidence:
          legacy->package: {verified: contract tests}
          package->package: {verified: integration tests}
  causeway:guardrails:
    error_rate: {warn: 0.02, roll_back: 0.05}
    response_time: {quantile: 0.95, warn: 2.0, roll_back: 3.0}
    throughput: {warn: 0.8, roll_back: 0.6}
    availability: {warn: 0.999, roll_back: 0.99}
  causeway:freshness: {renew: 500ms, max_age: 5s}
  causeway:soak: {interval: 200ms, checks: 2, requests: 10, timeout: 20s}
  causeway:baseline: {requests: 100, window: 1s, max_age: 1d}
  causeway:backup:
    critical: {every: realtime, collections: [things]}
    high: {every: hourly, collections: [profiles]}
    medium: {every: daily, collections: [settings]}
  causeway:metrics:
    source: scrape
    targets: ["$url/metrics"]
    every: 100ms
    timeout: 1s
    max_age: 3s
    requests: requests_total{service="$$service",version="$$version"}
    errors: errors_total{service="$$service",version="$$version"}
    latency: seconds{service="$$service",version="$$version"}
    offered: offered_total{service="$$service",cohort="$$version"}
  causeway:probes:
    - kind: http
      service: "*"
      name: health
      url: $url/health/$$service
      versions: [package]
      every: 200ms
      timeout: 1s
  causeway:hooks:
    url: $url/hooks/$$service/$$action
    legacy_health: $url/health/$$service
    timeout: 5s
"""


def eventually(true: Callable[[], bool], within_s: float = 30.0) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


class Application:
    """What a stack moves. `bad` services fail that share of their package's requests; `asked` are the hooks called."""

    RATE = 500.0  # requests a second and service

    def __init__(self, follower: Follower) -> None:
        self.bad: dict[str, float] = {}
        self.asked: list[tuple[str, str]] = []
        self.legacy_down = False
        self.silent = False
        self._follower = follower
        self._lock = threading.Lock()
        self._counted = time.monotonic()
        self._requests = {(name, version): 0.0 for name in SERVICES for version in ("legacy", "package")}
        self._errors = dict(self._requests)

    def weights(self) -> dict[str, int]:
        """What it obeys at this moment: all on legacy where nobody watches."""
        flags = self._follower.view.flags
        if flags is None or not self._follower.fresh():
            return dict.fromkeys(SERVICES, 0)
        return {flag.service: flag.weight for flag in flags.flags}

    def page(self) -> str:
        """Prometheus' text format."""
        with self._lock:
            now = time.monotonic()
            came, self._counted = self.RATE * (now - self._counted), now
            for name, weight in self.weights().items():
                self._requests[name, "package"] += came * weight / 100
                self._requests[name, "legacy"] += came * (100 - weight) / 100
                self._errors[name, "package"] += came * weight / 100 * self.bad.get(name, 0.0)
            return "".join(self._series(name, version) for name, version in self._requests)

    def _series(self, name: str, version: str) -> str:
        """Every request takes less than the first bound; errors are on packages only."""
        requests, errors = int(self._requests[name, version]), int(self._errors[name, version])
        who = f'service="{name}",version="{version}"'
        buckets = [f'seconds_bucket{{{who},le="{bound}"}} {requests}' for bound in (0.01, 0.02, 0.03, 0.06, "+Inf")]
        lines = [
            f"requests_total{{{who}}} {requests}",
            f"errors_total{{{who}}} {errors}",
            f'offered_total{{service="{name}",cohort="{version}"}} {requests}',
            *buckets,
            f"seconds_count{{{who}}} {requests}",
            f"seconds_sum{{{who}}} {requests * 0.008}",
        ]
        return "\n".join(lines) + "\n"


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, application: Application, *arguments: Any) -> None:
        self._application = application
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(503 if self._application.silent else 200, self._application.page())
        else:
            self._answer(503 if self._application.legacy_down else 200, "ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        _, _, service, action = self.path.split("/")
        self._application.asked.append((service, action))
        self._answer(200, json.dumps({"asked": len(self._application.asked)}))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """A test's output is its own."""


@dataclass
class Small:
    """The stack's project folder, its environment, and the application that follows it."""

    directory: Path
    environment: Environment
    project: str
    application: Application
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.directory / "stacks" / f"Pulumi.{STACK}.yaml"

    def config(self) -> Config:
        """As the stack file has it now."""
        return from_file(self.file)

    def process_variables(self, **more: str) -> dict[str, str]:
        return {**self.environment.process_variables(), **self.variables, **more}

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run what a person would type; its output as text."""
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.process_variables(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def causeway(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A `causeway` command on this stack."""
        return self.run(CAUSEWAY, *arguments, "--stack", STACK, **variables)

    def start(self, *command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, its output in a file."""
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env=self.process_variables(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def pulumi(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A `pulumi` command on this stack."""
        return self.run("pulumi", *arguments, "--stack", STACK, "--non-interactive", "--color", "never", **variables)

    def up(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`pulumi up`, as typed by hand."""
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, **variables)

    def set(self, key: str, value: str) -> None:
        """`pulumi config set`."""
        done = self.pulumi("config", "set", key, value)
        assert done.returncode == 0, done.stderr

    def export(self) -> dict[str, Any]:
        """Inputs of the stack's own resources, and what a crash has left pending."""
        done = self.pulumi("stack", "export")
        assert done.returncode == 0, done.stderr
        deployment = json.loads(done.stdout).get("deployment") or {}
        inputs = {each["urn"]: each.get("inputs") for each in deployment.get("resources") or [] if each.get("custom")}
        return {"inputs": inputs, "pending": deployment.get("pending_operations") or []}

    def digest(self) -> str:
        """One digest over stack, cloud and the documents: equal means that nothing changed at all."""
        cloud = {str(path): path.read_text() for path in sorted(self.environment.cloud.rglob("*.json"))}
        whole = [self.export(), cloud, self.read(f"flags/{STACK}"), self.journal()]
        return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()

    def measure(self) -> None:
        """Legacy's figures, as `causeway baseline record` leaves them."""
        done = self.causeway("baseline", "record")
        assert done.returncode == 0, done.stderr

    def outlive_the_lease(self) -> None:
        """What waiting for a dead holder's lease to end comes to."""
        control = self.client().document(f"control/{STACK}")
        if control.get().exists:
            control.update({"lease_at": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)})

    def client(self) -> Any:
        """The database `causeway` of this stack's project."""
        from google.cloud import firestore

        return firestore.Client(project=self.project, database="causeway")

    def read(self, path: str) -> dict[str, Any] | None:
        """A document of the database `causeway`."""
        found: dict[str, Any] | None = self.client().document(path).get(retry=None, timeout=30).to_dict()
        return found

    def journal(self) -> list[dict[str, Any]]:
        """Every record, oldest first."""
        found = [each.to_dict() for each in self.client().collection("migration_checkpoints").stream()]
        return sorted((each for each in found if "seq" in each), key=lambda each: int(each["seq"]))

    def documents(self) -> Documents:
        """The emulator behind causeway's back."""
        assert self.environment.emulator is not None
        return Documents(self.environment.emulator)


@contextmanager
def small(folder: Path, environment: Environment, config: str = CONFIG) -> Iterator[Small]:
    """A fresh stack, not yet applied, with its application running."""
    assert environment.emulator is not None
    os.environ["FIRESTORE_EMULATOR_HOST"] = environment.emulator
    os.environ["METADATA_SERVER_DETECTION"] = "none"
    project = f"small-{uuid.uuid4().hex[:8]}"
    follower = Follower(FirestoreSource(STACK, project))
    application = Application(follower)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *rest: _Handler(application, *rest))  # type: ignore[arg-type]
    directory = folder / "project"
    (directory / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py", "policies"):
        (directory / name).symlink_to(CHECKOUT / name)
    (directory / ".venv").symlink_to(sys.prefix)
    url = f"http://127.0.0.1:{server.server_port}"
    text = config.replace("$project", project).replace("$url", url).replace("$$", "$")
    made = Small(directory, environment, project, application)
    made.file.write_text(text)
    environment.pulumi("stack", "init", STACK, cwd=directory)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    follower.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        follower.stop()


@contextmanager
def standing(folder: Path, emulator: str, *, judged: bool = True) -> Iterator[Small]:
    """A small stack that stands at `infrastructure`; judged, unless it shall still need its soak."""
    with small(folder, Environment(folder / "environment", emulator).make()) as made:
        done = made.up()
        assert done.returncode == 0, done.stdout + done.stderr
        made.measure()
        if judged:
            soaked = made.causeway("soak")
            assert soaked.returncode == 0, soaked.stderr
        yield made


@contextmanager
def on_its_own(folder: Path) -> Iterator[tuple[Small, psutil.Process]]:
    """The same, with an emulator of its own that may be paused, and without policies, to be quick."""
    with Processes(logs=folder / "logs") as processes:
        port = free_port()
        emulator = processes.start("emulator", emulator_command(port), ready=listening(port), within_s=90)
        with small(folder, Environment(folder / "environment", f"127.0.0.1:{port}").make()) as made:
            (made.directory / "policies").unlink()
            assert made.up().returncode == 0
            made.measure()
            assert made.causeway("soak").returncode == 0
            yield made, psutil.Process(emulator.pid)


def words(done: subprocess.CompletedProcess[str]) -> str:
    """All that a command said, in one line: Pulumi breaks lines and repeats itself."""
    return " ".join((done.stdout + done.stderr).split())
