"""The checker on a real Prometheus that scrapes a real process: the same exact counts as scraping it directly."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from causeway.health.baselines import Baseline, Recorder
from causeway.health.checker import Checker, Look
from causeway.health.metrics import Source
from causeway.health.probing import Probing
from causeway.health.promql import PromqlSource
from causeway.health.recording import replay
from causeway.health.scrape import ScrapeSource
from causeway.health.windows import Names
from causeway.model.guardrails import Guardrails
from causeway.model.matrix import Matrix, Service
from causeway.model.observation import BaselineRules, MetricNames
from causeway.model.observation import Soak as Rules
from causeway.model.soak import Soak
from causeway.model.verdict import Decision, Verdict
from causeway.model.window import Missing, Tally

pytestmark = pytest.mark.e2e

NAMES = Names(
    MetricNames(
        requests='app_requests_total{service="$service",version="$version"}',
        errors='app_requests_total{service="$service",version="$version",outcome="error"}',
        latency='app_seconds{service="$service",version="$version"}',
    )
)
T = TypeVar("T")


class Application:
    """A process with metrics of its own on a port of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        labels = ["service", "version"]
        self.requests = Counter("app_requests", "Requests", [*labels, "outcome"], registry=registry)
        self.seconds = Histogram("app_seconds", "Durations", labels, registry=registry, buckets=(0.1, 0.2, 0.3))
        self.serve(ok=5, failed=0)
        self.port = free_port()
        self.server, self.thread = start_http_server(self.port, "127.0.0.1", registry)

    def serve(self, ok: int, failed: int, slow: int = 0, version: str = "package") -> None:
        self.requests.labels("X", version, "ok").inc(ok)
        self.requests.labels("X", version, "error").inc(failed)
        for number in range(ok + failed):
            self.seconds.labels("X", version).observe(0.25 if number < slow else 0.05)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def application() -> Iterator[Application]:
    application = Application()
    yield application
    application.stop()


@pytest.fixture
def server(prometheus: str, application: Application, tmp_path: Path) -> Iterator[str]:
    """A Prometheus that scrapes the application every second."""
    port = free_port()
    jobs = [{"job_name": "app", "static_configs": [{"targets": [f"127.0.0.1:{application.port}"]}]}]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    arguments = [
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    environment = {**os.environ, "GOMAXPROCS": "1"}
    process = subprocess.Popen([prometheus, *arguments], stderr=subprocess.DEVNULL, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: ready(url), "Prometheus is ready")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def until(condition: Callable[[], T], what: str, seconds: float = 20) -> T:
    """The first true answer; another process is at work, and there is nothing to step by hand."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def checker(source: Source) -> Checker:
    matrix = Matrix({"X": Service("X")}, ())
    return Checker(source, NAMES, matrix, Probing((), httpx.Client()), allowed_errors=0.05, now=now)


def now() -> datetime:
    return datetime.now(UTC)


def errors(look: Look) -> Tally | Missing:
    return look.windows["X"].errors


def test_prometheus_and_a_direct_scrape_count_the_same(server: str, application: Application) -> None:
    through = checker(PromqlSource(server, NAMES.selectors, now=now, max_age=5))
    direct = checker(ScrapeSource([f"http://127.0.0.1:{application.port}/metrics"], NAMES.series, now=now))
    weights = {"X": 100}
    direct.look(weights)
    until(lambda: errors(through.look(weights)) == Tally(0, 0), "Prometheus has scraped the application")
    application.serve(ok=37, failed=5, slow=3)
    wanted = direct.look(weights).windows["X"]
    assert wanted.errors == Tally(5, 42)
    found = until(lambda: (look := through.look(weights)) and errors(look) == Tally(5, 42) and look, "it is seen")
    assert isinstance(found, Look)
    assert found.windows["X"].latency == wanted.latency
    assert errors(through.look(weights)) == Tally(0, 0), "nothing is counted twice"

    application.stop()
    gone = until(lambda: isinstance(reason := errors(through.look(weights)), Missing) and reason, "it is down")
    assert isinstance(gone, Missing)
    assert gone.reason == f"app/127.0.0.1:{application.port} is down"


def test_a_total_failure_seen_through_prometheus_rolls_back(server: str, application: Application) -> None:
    watcher = checker(PromqlSource(server, NAMES.selectors, now=now, max_age=5))
    weights = {"X": 100}
    until(lambda: errors(watcher.look(weights)) == Tally(0, 0), "Prometheus has scraped the application")
    rails = Guardrails(response_time=None, throughput=None, availability=None)
    soak = Soak.begin(["X"], rails, Rules(30, 10, 500), {})
    application.serve(ok=0, failed=10)

    def judged() -> Verdict | None:
        nonlocal soak
        soak = soak.observe(watcher.look(weights).windows.values())
        verdict = soak.verdict()
        return verdict if verdict.decision is Decision.ROLL_BACK else None

    verdict = until(judged, "it rolls back")
    assert verdict is not None
    assert verdict.services == ("X",)
    assert "10 of 10 failed" in str(verdict)


def test_a_baseline_is_taken_from_what_prometheus_has_kept(server: str, application: Application) -> None:
    source = PromqlSource(server, NAMES.selectors, now=now, max_age=5)
    watcher = checker(source)
    began = now()
    until(lambda: not isinstance(errors(watcher.look({"X": 0})), Missing), "Prometheus has scraped the application")
    application.serve(ok=95, failed=5, slow=1, version="legacy")

    def recorded() -> Baseline | None:
        recorder = Recorder(NAMES, ["X"])
        replay(recorder, source.history(began, now(), timedelta(seconds=0.5)))
        found, _ = recorder.baselines(BaselineRules(requests=100, window=0.5, max_age=60), 0.95)
        return found.get("X")

    found = until(recorded, "Prometheus has kept what legacy did")
    assert found is not None
    assert found.errors == Tally(5, 100)
    assert found.latency.counts == (99, 0, 1, 0)
