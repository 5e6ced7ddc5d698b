"""The stack file as the place where a move is written down: one line changes, everything else stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from causeway.errors import CausewayError, ConfigError
from causeway.model.moves import Place

POSITION, HOLD = "causeway:position", "causeway:hold"


def with_place(text: str, place: Place) -> str:
    """The text of a stack file with another position and hold; comments and layout stay."""
    changed = _with_value(text, POSITION, place.position)
    if place.hold or HOLD in _config(changed):
        changed = _with_value(changed, HOLD, list(place.hold.entries()))
    return changed


def write(path: Path, text: str) -> None:
    """Replace the file in one go: a reader sees the old text or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).chmod(path.stat().st_mode & 0o777)
    Path(temporary).replace(path)


def commit(path: Path, message: str) -> str:
    """Record the file as a commit of its own and return its hash. Raises CausewayError where git refuses."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=path.parent, check=False)
        if done.returncode:
            raise CausewayError(
                f"git {arguments[0]} failed: {(done.stderr or done.stdout).strip()}",
                f"{path} has moved on but git does not know it",
                "Commit the file by hand.",
            )
        return done.stdout.strip()

    if git("status", "--porcelain", "--", path.name):
        git("commit", "--quiet", "--only", "-m", message, "--", path.name)
    return git("rev-parse", "HEAD")


def _config(text: str) -> Mapping[str, Any]:
    loaded = yaml.safe_load(text)
    found = loaded.get("config") if isinstance(loaded, dict) else None
    return found if isinstance(found, dict) else {}


def _with_value(text: str, key: str, value: str | list[str]) -> str:
    """The text with one value of `config:` replaced, or added behind the position."""
    written = value if isinstance(value, str) else json.dumps(value)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    config = next((v for k, v in getattr(root, "value", ()) if k.value == "config"), None)
    if not isinstance(config, yaml.MappingNode):
        raise ConfigError("the stack file has no mapping `config:`", "there is no position to change")
    for name, node in config.value:
        if name.value == key:
            start, end = int(node.start_mark.index), int(node.end_mark.index)
            kept = text[start:end]
            tail = kept[len(kept.rstrip()) :]  # a block's end lies behind its line break
            lead = " " if "\n" in text[name.end_mark.index : start] else ""
            before = text[: int(name.end_mark.index) + 1] if lead else text[:start]
            return before + lead + written + tail + text[end:]
    mark = config.value[0][0].start_mark
    first, indent = int(mark.index), " " * int(mark.column)
    return f"{text[:first]}{key}: {written}\n{indent}{text[first:]}"
