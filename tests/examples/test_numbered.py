"""The numbered examples do what their comments say, to the letter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NUMBERED = sorted(path for path in EXAMPLES.glob("[0-9][0-9]-*") if path.is_dir())
CODES = {"01-safe": 0, "02-impossible": 4, "03-side-by-side": 0}


@pytest.mark.parametrize("example", NUMBERED, ids=lambda path: path.name)
def test_check_says_what_is_expected(example: Path) -> None:
    command = [sys.executable, "-m", "causeway", "check", "--config", str(example / "stack.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}, check=False)
    assert (done.returncode, done.stdout) == (CODES[example.name], (example / "expected.txt").read_text())


def test_there_are_examples() -> None:
    assert {path.name for path in NUMBERED} == set(CODES)
