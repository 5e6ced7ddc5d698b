"""The public tools that people use for backups of Firestore, run as their pages say, on documents that they can say.

They are installed by npm into a temporary folder, at a version of ours. Where that does not succeed nothing is
compared, and the benchmark says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causeway.backup import queries
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from tests.backup import shapes

TOOLS = {"firestore-export-import": "1.7.0", "node-firestore-import-export": "1.1.0"}
DOCUMENTS = 1_000
"""In a database of their own: they ask for the subcollections of every document, at a price that grows with it."""
_INSTALL_S, _RUN_S = 180, 120
_SCRIPT = Path(__file__).with_suffix(".cjs")


@dataclass(frozen=True, slots=True)
class Found:
    """Documents a second that a tool exported and imported, and how many of `DOCUMENTS` were there afterwards."""

    exported: float
    imported: float
    arrived: int


def run(host: str, folder: Path, document: Callable[[Database, int], Any]) -> dict[str, Found] | str:
    """Each tool's figures, or why there are none. `document` makes the documents of the database."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "no node and npm here"
    try:
        _npm(folder, [f"{name}@{version}" for name, version in TOOLS.items()])
        with Connection.open(Database("bench-tools"), host) as source:
            shapes.write(source, [_plain(document(source.database, number)) for number in range(DOCUMENTS)])
        return {name: _measured(name, host, folder) for name in TOOLS}
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} failed: {(error.stderr or '').strip()[-200:]}"
    except subprocess.TimeoutExpired as error:
        return f"{error.cmd[0]} took longer than {error.timeout:g} s"


def _plain(message: Any) -> Any:
    """Without a vector: one in a batch makes them drop the whole batch."""
    del message.fields["vector"]
    return message


def _npm(folder: Path, packages: Sequence[str]) -> None:
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    subprocess.run([*command, *packages], check=True, capture_output=True, text=True, timeout=_INSTALL_S)


def _measured(tool: str, host: str, folder: Path) -> Found:
    target = Database(f"bench-{tool}")
    file = folder / f"{tool}.json"
    exported = _seconds(tool, "export", "bench-tools", file, folder)
    imported = _seconds(tool, "import", target.project, file, folder)
    with Connection.open(target, host) as connection:
        arrived = queries.count(connection, queries.server_time(connection))
    return Found(DOCUMENTS / exported, min(arrived, DOCUMENTS) / imported, arrived)


def _seconds(tool: str, action: str, project: str, file: Path, folder: Path) -> float:
    """What the tool's own work took, without the start of node."""
    environment = {**os.environ, "GOOGLE_CLOUD_PROJECT": project, "GCLOUD_PROJECT": project}
    command = ["node", str(_SCRIPT), tool, action, project, str(file)]
    options: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": _RUN_S}
    return float(subprocess.run(command, cwd=folder, env=environment, **options).stdout)
