"""An operator as a process of its own: takes orders as lines of JSON, answers each with a line of JSON.

    walker.py STACK SKEW_MINUTES SLOW_S

Orders: {"do": "run", "to": TARGET}, {"do": "rollback", "level": 1-3, "service": NAME}, {"do": "reconcile"}. The stack
is the one of the working directory, on the engine without Pulumi; the operator's clock is off by so many minutes.
With {"die": ["before" | "after", N]} it dies by SIGKILL at the Nth write of the journal.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from causeway.errors import CausewayError
from causeway.rollout import levels
from causeway.rollout.journal import COLLECTION
from causeway.rollout.opening import open_runner, open_stack, project_of
from causeway.rollout.rollback import Request
from causeway.rollout.stack import Clock, Stack
from causeway.rollout.store import FirestoreStore, Write
from standin.direct import Direct


class Mortal(FirestoreStore):
    """A store that ends its process at a chosen write of the journal, before or after it has landed."""

    fate: tuple[str, int] | None = None

    def commit(self, writes: Sequence[Write]) -> datetime.datetime:
        ours = any(write.path.startswith(COLLECTION) and "-export-" not in write.path for write in writes)
        if ours and self.fate is not None:
            self.fate = (self.fate[0], self.fate[1] - 1)
        if ours and self.fate == ("before", 0):
            os.kill(os.getpid(), signal.SIGKILL)
        at = super().commit(writes)
        if ours and self.fate == ("after", 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return at


def obey(stack: Stack, order: Mapping[str, Any]) -> str:
    """Do it; where the stack then stands."""
    if order["do"] == "run":
        with open_runner(stack) as runner:
            return str(runner.walk(order["to"]))
    if order["do"] == "reconcile":
        return str(levels.reconcile(stack)["place"])
    services = (order["service"],) if "service" in order else ()
    return str(levels.roll_back(stack, Request(order["level"], "a test", services)).there)


def main() -> None:
    name, skew, slow = sys.argv[1], datetime.timedelta(minutes=float(sys.argv[2])), float(sys.argv[3])
    clock = Clock(now=lambda: datetime.datetime.now(datetime.UTC) + skew)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        opened = open_stack(name, clock=clock)
        store = Mortal(project_of(opened.config))
        store.fate = tuple(order["die"]) if "die" in order else None
        engine = Direct(opened.file, Path(".local") / "direct.json", store, clock, slow)
        try:
            answer: dict[str, Any] = {"place": obey(replace(opened, store=store, engine=engine), order)}
        except CausewayError as error:
            answer = {"error": type(error).__name__, "said": str(error), "code": int(error.code)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
