"""Noticing that a stack's config has changed while it is being watched."""

from __future__ import annotations

from dataclasses import replace

from causeway.config import Config, from_file
from causeway.errors import CausewayError
from causeway.model.hold import NO_HOLD
from causeway.rollout.stack import Stack


class ConfigWatch:
    """Compares the stack file, and what lies beside it, with what the stack was opened with.

    Where a stack stands changes at every step and is read from its flag set, so that it does not count here.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._rules = _rules(stack.config)
        self._stamps = self._stamped()

    def changed(self) -> bool:
        """Whether it says something else now. What cannot be read is told once, and the old one stays in force."""
        stamps = self._stamped()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            return (
                _rules(from_file(self._stack.file, today=self._stack.clock.now().date(), anywhere=True)) != self._rules
            )
        except CausewayError as error:
            self._stack.say("config", f"config cannot be read, the old one stays in force: {error}")
            return False

    def _stamped(self) -> dict[str, int]:
        found = {}
        for path in self._stack.file.parent.glob("*.yaml"):
            try:
                found[path.name] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # replaced just now; the next look sees the new one
        return found


def _rules(config: Config) -> Config:
    return replace(config, position="", hold=NO_HOLD, target=None)
