"""The stack file as the place where a move is written down: one line changes, everything else stays as it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from causeway.errors import CausewayError, ConfigError
from causeway.model.moves import Place

POSITION, HOLD = "causeway:position", "causeway:hold"


def with_place(text: str, place: Place) -> str:
    """The text of a stack file with another position and hold; comments, layout and line ends stay.

    Raises ConfigError where the text is no stack file with a position.
    """
    changed = _with_value(text, POSITION, place.position)
    if place.hold or any(name.value == HOLD for name, _ in _config(changed).value):
        changed = _with_value(changed, HOLD, json.dumps(place.hold.entries()))
    return changed


def read(path: Path) -> str:
    """The text of a stack file, with the line ends it has."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def write(path: Path, text: str) -> None:
    """Replace the file in one go: a reader sees the old text or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
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


def _config(text: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"the stack file is not YAML: {error}", "there is no position to change") from None
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    config = next((value for name, value in pairs if name.value == "config"), None)
    if not isinstance(config, yaml.MappingNode):
        raise ConfigError("the stack file has no mapping `config:`", "there is no position to change")
    return config


def _with_value(text: str, key: str, written: str) -> str:
    """The text with one value of `config:` replaced, or added behind the position."""
    config = _config(text)
    found = {name.value: (name, node) for name, node in config.value}
    if key in found:
        return _replaced(text, *found[key], written)
    if POSITION not in found:
        raise ConfigError(f"the stack file has no {POSITION}", "there is no position to change")
    name, node = found[POSITION]
    if config.flow_style:
        end = int(node.end_mark.index)
        return f"{text[:end]}, {key}: {written}{text[end:]}"
    line = re.compile(r"(?=\r?\n|\Z)").search(text, int(node.end_mark.index))
    assert line is not None
    ending = "\r\n" if "\r\n" in text else "\n"
    return f"{text[: line.start()]}{ending}{' ' * int(name.start_mark.column)}{key}: {written}{text[line.start() :]}"


def _replaced(text: str, name: yaml.Node, node: yaml.Node, written: str) -> str:
    """The text with one value replaced: behind its key, where it is a block on lines of its own."""
    colon = text.index(":", int(name.end_mark.index)) + 1
    start = int(node.start_mark.index)
    while isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        node = node.value[-1]  # a block's own end lies behind the comments that follow it
    end = start + len(text[start : int(node.end_mark.index)].rstrip())
    between = text[colon:start]
    if "\n" in between:
        comment = between[: between.index("\n")].rstrip()
        return f"{text[:colon]} {written}{comment}{text[end:]}"
    return f"{text[:colon]}{between or ' '}{written}{text[end:]}"
