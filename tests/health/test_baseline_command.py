"""`causeway baseline record` and `show`, as typed, on a real process with metrics and the real emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from causeway.errors import Exit

pytestmark = pytest.mark.e2e


class Legacy:
    """A legacy application that serves twenty requests between two readings, and answers probes."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        requests = Counter("app_requests", "Requests", ["service", "version", "outcome"], registry=registry)
        seconds = Histogram("app_seconds", "Durations", ["service", "version"], registry=registry, buckets=(0.1, 0.2))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b"ok"
                if self.path == "/metrics":
                    for service, number in (("Busy", 20), ("Quiet", 1)):
                        requests.labels(service, "legacy", "ok").inc(number)
                        for _ in range(number):
                            seconds.labels(service, "legacy").observe(0.15)
                    body = generate_latest(registry)
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def legacy() -> Iterator[Legacy]:
    legacy = Legacy()
    yield legacy
    legacy.stop()


@pytest.fixture
def stack(legacy: Legacy, tmp_path: Path) -> Path:
    """A stack of two services, of which one is busy enough."""
    of = 'service="$service",version="$version"'
    config: dict[str, Any] = {
        "gcp:project": "baseline-command",
        "causeway:position": "infrastructure",
        "causeway:seed": "seed",
        "causeway:ladder": [50, 100],
        "causeway:phases": [{"name": "low", "services": ["Busy", "Quiet"]}],
        "causeway:matrix": {"services": {"Busy": {"strategy": "direct"}, "Quiet": {"strategy": "direct"}}},
        "causeway:guardrails": {
            "error_rate": {"warn": 0.02, "roll_back": 0.05},
            "response_time": {"quantile": 0.95, "warn": 2.0, "roll_back": 3.0},
            "throughput": {"warn": 0.8, "roll_back": 0.6},
            "availability": {"warn": 0.999, "roll_back": 0.99},
        },
        "causeway:baseline": {"requests": 100, "window": "1s", "max_age": "7d"},
        "causeway:metrics": {
            "source": "scrape",
            "targets": [f"{legacy.url}/metrics"],
            "every": "200ms",
            "requests": f"app_requests_total{{{of}}}",
            "errors": f'app_requests_total{{{of},outcome="error"}}',
            "latency": f"app_seconds{{{of}}}",
        },
        "causeway:probes": [
            {"kind": "http", "name": "alive", "service": "Busy", "url": legacy.url, "versions": ["legacy", "package"]}
        ],
    }
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(yaml.safe_dump({"config": config}))
    return path


@pytest.fixture
def causeway(emulator: str, stack: Path) -> Any:
    environment = {**os.environ, "FIRESTORE_EMULATOR_HOST": emulator}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("causeway")), "baseline", *arguments, "--config", str(stack)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=stack.parent)

    return run


def test_what_is_recorded_is_shown_and_what_is_too_little_is_refused(causeway: Any) -> None:
    assert "no baseline yet" in causeway("show").stdout
    recorded = causeway("record", "--for", "3s", "--json")
    assert recorded.returncode == Exit.HELD, recorded.stderr
    document = json.loads(recorded.stdout)
    assert "no baseline of Quiet@legacy" in document["refused"]["fact"]
    assert "100 are needed" in document["refused"]["fact"]
    (busy,) = document["baselines"].values()
    assert busy["requests"] >= 100
    assert busy["probes"]["total"] > 0
    shown = json.loads(causeway("show", "--json").stdout)
    assert shown["Busy"]["requests"] == busy["requests"]
    assert shown["Busy"]["stale"] is None
    assert "Busy" in causeway("show").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("record", "--service", "Nobody"), "Nobody is no service"),
        (("record", "--past", "1h"), "--past needs the source promql"),
        (("record", "--for", "soon"), "soon is no duration"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_measured(
    causeway: Any, arguments: tuple[str, ...], said: str
) -> None:
    refused = causeway(*arguments)
    assert refused.returncode == Exit.USAGE
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
