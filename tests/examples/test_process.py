"""The application and the load generator as processes, over the real Firestore emulator."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from causeway.flags import Flag, FlagSet, build
from causeway.model.stage import Stage
from examples.cvplus.runtime import SERVICES

pytestmark = pytest.mark.e2e

PROJECT = "demo-cvplus-process"


@pytest.fixture
def environment(emulator: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    monkeypatch.setenv("METADATA_SERVER_DETECTION", "none")
    return dict(os.environ)


@pytest.fixture
def database(environment: dict[str, str]) -> Iterator[Any]:
    from google.cloud import firestore

    client = firestore.Client(project=PROJECT, database="causeway")
    client.document("flags/local").set({"definition": definition(0)})
    yield client
    client.close()


@pytest.fixture
def url(environment: dict[str, str], database: Any) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "examples.cvplus.app", "--port", str(port), "--project", PROJECT, "--users", "40"]
    process = subprocess.Popen(command, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address)
        yield address
        process.terminate()
        assert process.wait(10) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        process.wait()


def wait_for(address: str) -> None:
    for _ in range(200):
        try:
            httpx.get(f"{address}/healthz")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the application does not answer")


def definition(weight: int) -> str:
    flags = tuple(Flag(name, weight, Stage.IN_PROGRESS) for name in SERVICES)
    return build(FlagSet("local", f"p/{weight}", "seed", flags))


def test_a_rollout_under_load_fails_nothing_and_flips_nobody(
    url: str, database: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    from google.cloud import firestore

    report = tmp_path / "load.json"
    command = [sys.executable, "-m", "examples.cvplus.load", "--url", url, "--users", "40", "--rate", "30"]
    load = subprocess.Popen([*command, "--report", str(report)], env=environment)
    try:
        for weight in (10, 50, 100):
            database.document("control/local").set({"renewed_at": firestore.SERVER_TIMESTAMP}, merge=True)
            database.document("flags/local").update({"definition": definition(weight)})
            time.sleep(1.5)
        before_override = time.time()
        database.document("control/local").update({"override": definition(0)})
        time.sleep(1)
    finally:
        load.terminate()
        load.wait(20)
    found = json.loads(report.read_text())
    assert found["requests"] > 80
    assert found["failed"] == 0, found["failed_otherwise_list"]
    flips = found["flip_list"]
    assert flips  # the override sent everybody back
    assert min(flip["legacy_at"] for flip in flips) > before_override
    late = [row for row in found["per_second"] if row["at"] > before_override + 1]
    assert all("CVAnalyzer" not in row["on_package"] for row in late)
