"""Operators as processes of their own, with clocks that disagree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.small import STACK, Small

WALKER = Path(__file__).parent / "walker.py"
#: Clocks of the operators, in minutes.
SKEWS = (-10.0, 0.0, 10.0)


class Operator:
    """A process that takes orders."""

    def __init__(self, stack: Small, number: int, slow_s: float = 0.0) -> None:
        command = [sys.executable, str(WALKER), STACK, str(SKEWS[number % len(SKEWS)]), str(slow_s)]
        self._process = subprocess.Popen(
            command,
            cwd=stack.directory,
            env=stack.process_variables(CAUSEWAY_USER=f"operator-{number}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.answer()

    def order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def wait(self) -> int:
        """The exit code of an operator that was told to die."""
        return self._process.wait(timeout=60)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
