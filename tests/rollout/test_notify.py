"""Alerts: once in a while, by severity, never in a move's way, and never with an address in a file."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from causeway.rollout.notify import Alert, Channels, Severity, _apprise
from tests.rollout.fakes import Time

SECRET = "slack://T0K3N/secret"
ROUTES = {"info": (), "warning": ("env:TEAM",), "critical": ("env:TEAM", "env:DUTY")}


def alert(key: str = "k", severity: Severity = Severity.CRITICAL) -> Alert:
    return Alert(severity, key, "Reader fails", "traffic went back", "mend it")


class Post:
    """What was delivered to which address; `down` addresses refuse so many times."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.down: dict[str, int] = {}

    def __call__(self, address: str, sent: Alert) -> bool:
        if self.down.get(address, 0) > 0:
            self.down[address] -= 1
            return False
        self.sent.append((address, sent.key))
        return True


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def channels(tmp_path: Path, post: Post, time: Time) -> Channels:
    return Channels(
        "test",
        ROUTES,
        tmp_path / "out" / "undelivered.jsonl",
        time.now,
        time.sleep,
        deliver=post,
        environment={"TEAM": SECRET, "DUTY": "mailto://duty"},
    )


def dead(channels: Channels) -> list[dict[str, str]]:
    path = channels.dead_letters
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize(
    ("severity", "addresses"),
    [
        (Severity.INFO, []),
        (Severity.WARNING, [SECRET]),
        (Severity.CRITICAL, [SECRET, "mailto://duty"]),
    ],
)
def test_severity_decides_who_hears_it(
    channels: Channels, post: Post, severity: Severity, addresses: list[str]
) -> None:
    channels.send(alert("k", severity))
    channels.flush()
    assert [address for address, _ in post.sent] == addresses
    assert dead(channels) == []


def test_the_same_key_is_quiet_for_a_while(channels: Channels, post: Post, time: Time) -> None:
    for seconds in (0, 1, 298.9, 0.2):
        time.sleep(seconds)
        channels.send(alert("k", Severity.WARNING))
        channels.send(alert("other", Severity.WARNING))
    channels.flush()
    assert [key for _, key in post.sent] == ["k", "other", "k", "other"], "again once 300 s have passed"


def test_a_warning_that_becomes_critical_is_heard_at_once(channels: Channels, post: Post) -> None:
    channels.send(alert("k", Severity.WARNING))
    channels.send(alert("k", Severity.CRITICAL))
    channels.flush()
    assert len(post.sent) == 3


def test_a_storm_is_kept_and_not_sent(channels: Channels, post: Post, time: Time) -> None:
    for number in range(40):
        channels.send(alert(f"k{number}", Severity.WARNING))
    channels.flush()
    assert len(post.sent) == 30
    assert [letter["key"] for letter in dead(channels)] == [f"k{number}" for number in range(30, 40)]
    time.sleep(61)
    channels.send(alert("after", Severity.WARNING))
    channels.flush()
    assert post.sent[-1] == (SECRET, "after")


def test_delivery_is_tried_three_times_then_kept(channels: Channels, post: Post, time: Time) -> None:
    post.down[SECRET] = 2
    channels.send(alert("once", Severity.WARNING))
    channels.flush()
    assert post.sent == [(SECRET, "once")]
    assert time.seconds == 1.5, "half a second, then one"
    post.down[SECRET] = 3
    channels.send(alert("lost", Severity.WARNING))
    channels.flush()
    assert [(letter["key"], letter["channel"]) for letter in dead(channels)] == [("lost", "env:TEAM")]


def test_no_address_is_ever_written(channels: Channels, post: Post, tmp_path: Path) -> None:
    """Whatever fails: refused, raised, storm; files name the channel."""
    post.down[SECRET] = 99
    channels.send(alert("refused"))
    channels.flush()

    def raising(address: str, _: Alert) -> bool:
        raise ValueError(f"cannot reach {address}")

    channels.deliver = raising
    channels.send(alert("raised"))
    channels.flush()
    assert {letter["key"] for letter in dead(channels)} == {"refused", "raised"}
    assert all("T0K3N" not in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_an_address_that_is_not_set_is_a_dead_letter(channels: Channels) -> None:
    channels.environment = {}
    channels.send(alert("k", Severity.WARNING))
    channels.flush()
    assert [letter["why"] for letter in dead(channels)] == ["TEAM is not set in the environment"]


def test_a_file_is_a_channel(channels: Channels, tmp_path: Path) -> None:
    channels.channels = {"info": (f"file:{tmp_path / 'alerts.jsonl'}",)}
    channels.send(alert("k", Severity.INFO))
    channels.flush()
    line = json.loads((tmp_path / "alerts.jsonl").read_text())
    assert (line["stack"], line["severity"], line["todo"]) == ("test", "info", "mend it")
    assert line["at"].startswith("2026-01-01 00:00:00")


def test_a_slow_channel_never_holds_a_move_up(channels: Channels) -> None:
    """Prevents: a rollback waits for somebody's chat server. The alert is kept when the process ends meanwhile."""
    entered, released = threading.Event(), threading.Event()

    def slow(address: str, _: Alert) -> bool:
        entered.set()
        return released.wait(10)

    channels.deliver, channels.patience = slow, 0.0
    channels.send(alert("first", Severity.WARNING))
    assert entered.wait(10)
    channels.send(alert("second", Severity.WARNING))
    channels.flush()
    channels.flush()
    released.set()
    assert [letter["key"] for letter in dead(channels)] == ["first", "second"], "each is kept once"
    assert dead(channels)[0]["why"] == "not delivered within 0 s of the end"


def test_a_full_disk_stops_no_move(channels: Channels, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    channels.dead_letters = tmp_path / "file" / "undelivered.jsonl"
    channels.environment = {}
    channels.send(alert("k", Severity.WARNING))
    channels.flush()
    assert "alert k is lost" in caplog.text
    channels.environment = {"TEAM": SECRET}
    channels.send(alert("next", Severity.WARNING))
    channels.flush()
    assert channels.deliver.sent == [(SECRET, "next")]  # type: ignore[union-attr]


def test_what_is_sent_last_is_delivered_before_the_process_ends(tmp_path: Path) -> None:
    script = (
        "import datetime, sys, time; from pathlib import Path\n"
        "from causeway.rollout.notify import *\n"
        f"path = Path({str(tmp_path)!r})\n"
        "now = lambda: datetime.datetime.now(datetime.UTC)\n"
        "channels = Channels('s', {'info': (f'file:{path}/alerts',)}, path / 'dead', now, time.sleep)\n"
        "channels.send(Alert(Severity.INFO, 'k', 'h', 'd', 't'))\n"
        "sys.exit(8)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 8
    assert json.loads((tmp_path / "alerts").read_text())["key"] == "k"


def test_apprise_refuses_what_is_no_address() -> None:
    assert _apprise("no address", alert()) is False


def test_the_text_says_what_happened_what_was_done_and_what_to_do() -> None:
    found = Alert(Severity.CRITICAL, "k", "Reader fails", "traffic went back", "mend it", stack="prod")
    assert found.title == "[critical] causeway prod: Reader fails"
    assert found.body == "What happened: Reader fails\nWhat was done: traffic went back\nWhat to do next: mend it"
