"""Faults on demand: a control file tells the provider which operations to slow, fail or die in.

The file (named by `CAUSEWAY_FAULTS`) holds a JSON list of `Fault`s and is read at every operation, so that a test can
set and clear faults while an update runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

DIED = 70
"""Exit code of a provider that a fault has killed."""


class Injected(Exception):
    """A fault told this operation to fail."""


@dataclass(frozen=True)
class Fault:
    """One fault. `operation` is create, update, delete, read or `*`; `urn` a glob over resource URNs.

    slow_s  wait so long before the write: kill the engine meanwhile, and this is the late write of an orphan
    fail    refuse with this message; nothing is written
    die     exit `before` the write, or `after` it and before the engine is told
    times   how many operations to hit; None = every one
    """

    operation: str = "*"
    urn: str = "*"
    slow_s: float = 0.0
    fail: str | None = None
    die: Literal["before", "after"] | None = None
    times: int | None = None

    def hits(self, operation: str, urn: str) -> bool:
        return self.times != 0 and self.operation in ("*", operation) and fnmatchcase(urn, self.urn)


def inject(path: Path, faults: Sequence[Fault]) -> None:
    """Sets the faults of an environment; an empty list clears them."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([asdict(fault) for fault in faults]))
    draft.replace(path)


def take(path: Path | None, operation: str, urn: str) -> Fault | None:
    """The first fault that hits, counted against its `times` across all provider processes."""
    if path is None or not path.exists():
        return None
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        faults = [Fault(**fault) for fault in json.loads(path.read_text())]
        for index, fault in enumerate(faults):
            if fault.hits(operation, urn):
                if fault.times is not None:
                    faults[index] = replace(fault, times=fault.times - 1)
                    inject(path, faults)
                return fault
    return None


def before_write(fault: Fault | None) -> None:
    """Raises `Injected`, waits, or does not come back."""
    if fault is None:
        return
    time.sleep(fault.slow_s)
    if fault.fail is not None:
        raise Injected(fault.fail)
    if fault.die == "before":
        os._exit(DIED)


def after_write(fault: Fault | None) -> None:
    if fault is not None and fault.die == "after":
        os._exit(DIED)
