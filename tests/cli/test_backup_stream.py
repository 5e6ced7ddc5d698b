"""What a running stream serves."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from causeway.backup.archive import Archive
from causeway.backup.documents import Database
from causeway.backup.storage import LocalStorage
from causeway.backup.stream import Settings, Source, Stream
from causeway.cli.backup_stream import _serving


def test_the_stream_answers_the_probe_of_the_service_it_runs_as(tmp_path: Path) -> None:
    """Prevents: Cloud Run asks /healthz, gets no answer, and kills the real-time backup every half minute."""
    archive = Archive.create(LocalStorage(tmp_path), Database("p"))
    running = Stream(archive, Settings(Source.POLL))
    with _serving(running, "127.0.0.1:0") as address:
        health = json.load(urllib.request.urlopen(f"http://{address}/healthz", timeout=5))
        metrics = urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode()
    assert health["state"] == "starting" and health["alarm"] == "nothing verified yet"
    assert "causeway_backup_stream_up 0.0" in metrics
