"""The monitor's parts on their own: alarms, its address, config that changes, its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from causeway.errors import ConfigError
from causeway.rollout.monitor_alarms import REMIND, Alarms, Condition
from causeway.rollout.monitor_config import ConfigWatch
from causeway.rollout.monitor_server import address, serving
from causeway.rollout.notify import Severity
from tests.rollout.fakes import Alerts, Time, World

CAUSEWAY = str(Path(sys.prefix) / "bin" / "causeway")


def condition(after: float = 0.0) -> Condition:
    return Condition("k", Severity.WARNING, "it rains", "Nothing.", "Take an umbrella.", after)


def test_a_condition_is_told_once_reminded_of_and_told_when_it_is_over() -> None:
    time, alerts = Time(), Alerts()
    alarms = Alarms(alerts, time.monotonic)
    assert alarms.update([condition()]) == [condition()]
    for _ in range(10):
        time.sleep(5)
        assert alarms.update([condition()]) == []
    assert [alert.key for alert in alerts.sent] == ["k"]
    time.sleep(REMIND)
    alarms.update([condition()])
    alarms.update([])
    assert [(alert.key, alert.severity) for alert in alerts.sent] == [
        ("k", Severity.WARNING),
        ("k", Severity.WARNING),
        ("k-over", Severity.INFO),
    ]
    assert not alarms.present


def test_a_condition_that_does_not_last_is_not_told() -> None:
    time, alerts = Time(), Alerts()
    alarms = Alarms(alerts, time.monotonic)
    for raised in ([condition(60)], [condition(60)], [], [condition(60)]):
        alarms.update(raised)
        time.sleep(40)
    assert alerts.sent == [], "the time starts again once it was over"


def test_serves_metrics_and_health_on_a_free_port() -> None:
    well = [True]
    with serving("127.0.0.1:0", lambda: b"a 1\n", lambda: (well[0], {"alive": well[0]})) as at:
        assert httpx.get(f"http://{at}/metrics").text == "a 1\n"
        assert httpx.get(f"http://{at}/healthz").json() == {"alive": True}
        well[0] = False
        assert httpx.get(f"http://{at}/healthz").status_code == 503
        assert httpx.get(f"http://{at}/etc/passwd").status_code == 404
        with pytest.raises(ConfigError, match="cannot listen on"), serving(at, bytes, lambda: (True, {})):
            pass


@pytest.mark.parametrize("listen", ["8080", "localhost", "host:port", ":80", ""])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(ConfigError, match="no HOST:PORT"):
        address(listen)


def test_config_that_says_something_else_is_noticed_and_a_step_is_not(here: World) -> None:
    """Prevents: every step of a runner makes the monitor forget what it has seen."""
    file, watch = here.stack.file, ConfigWatch(here.stack)
    assert not watch.changed()

    def saved(old: str, new: str) -> bool:
        file.write_text(file.read_text().replace(old, new))
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**9))
        return watch.changed()

    assert not saved("position: infrastructure", "position: low/Reader/50")
    assert not saved("roll_back: 0.05", "roll_back: nonsense")
    assert [event.kind for event in here.told] == ["config"], "the old one stays in force"
    assert not saved("roll_back: nonsense", "roll_back: 0.05")
    assert saved("roll_back: 0.05", "roll_back: 0.04")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [CAUSEWAY, "monitor", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_a_mistake_is_one_message(tmp_path: Path) -> None:
    nowhere = run(tmp_path, "--once", "--stack", "test", "--json")
    assert nowhere.returncode == 2
    assert json.loads(nowhere.stdout)["error"] == "ConfigError"
    assert nowhere.stderr.count("\n") == 1 and "Traceback" not in nowhere.stderr
    assert run(tmp_path, "--stack", "test", "--listen", "here").returncode == 2
    assert run(tmp_path, "--stack", "test", "--json").returncode == 2
