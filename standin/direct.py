"""An engine without Pulumi: a stack of nothing but its flag set, written straight to Firestore.

For rounds in which Pulumi's seconds would hide what is measured or tried: races, crashes of the runner, the fast path.
Like Pulumi it asks whether the move is legal, and leaves an operation pending where it dies between cloud and state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causeway import flags
from causeway.config import Config, from_file
from causeway.model.moves import Place
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.engine import Export, Outcome
from causeway.rollout.gate import Gate
from causeway.rollout.stack import Clock
from causeway.rollout.store import Store, Write

URN = "urn:pulumi:direct::causeway::causeway:components:FlagSet$gcp:firestore/document:Document::flags-document"


@dataclass(frozen=True)
class Direct:
    """`file` is the stack file, `state` where the state is kept, `slow_s` how long a write takes (seconds)."""

    file: Path
    state: Path
    store: Store
    clock: Clock
    slow_s: float = 0.0

    def preview(self, plan: Path, *, reason: str = "", guarded: bool = True) -> Outcome:
        """Judge the move that the stack file wants. Raises MoveRefused."""
        config, place = self._wanted()
        found = self._read()["inputs"].get(URN)
        here = standing(_definition(found)) if found else None
        Gate(config, lambda: self.store, self.clock.now).judge(here, place, reason or None)
        return Outcome({"same" if found == self._inputs(config, place) else "update": 1}, (), 0.0)

    def up(self, plan: Path | None, *, reason: str = "") -> Outcome:
        """Write the flag set, then the state. Dying in between leaves the operation pending."""
        outcome = self.preview(self.state, reason=reason)
        config, place = self._wanted()
        inputs = self._inputs(config, place)
        before = self._read()["inputs"]
        self._write(before, (URN,))
        self.clock.sleep(self.slow_s)
        path, values = f"flags/{config.stack}", {"definition": _definition(inputs), "position": place.position}
        found = self.store.read(path)
        self.store.commit([Write(path, values, found.updated if found else None)])
        self.clock.sleep(self.slow_s)
        self._write({URN: inputs}, ())
        return outcome

    def export(self) -> Export:
        found = self._read()
        return Export(found["inputs"], tuple(found["pending"]))

    def refresh(self) -> None:
        """What lies in the cloud becomes the state."""
        config, _ = self._wanted()
        found = self.store.read(f"flags/{config.stack}")
        self._write({URN: _document(config, found.values)} if found else {}, ())

    def drift(self) -> Outcome:
        config, _ = self._wanted()
        found = self.store.read(f"flags/{config.stack}")
        same = (_document(config, found.values) if found else None) == self._read()["inputs"].get(URN)
        return Outcome({"same" if same else "update": 1}, (), 0.0)

    def recover(self) -> None:
        if self.export().pending:
            self.refresh()

    def unlock(self) -> None:
        """Nothing is ever locked."""

    def abort(self) -> None:
        """Nothing runs beside its owner."""

    def _wanted(self) -> tuple[Config, Place]:
        config = from_file(self.file)
        return config, Place(config.position, config.hold)

    @staticmethod
    def _inputs(config: Config, place: Place) -> dict[str, Any]:
        return _document(config, {"definition": flags.build(flag_set(config, place)), "position": place.position})

    def _read(self) -> dict[str, Any]:
        if not self.state.exists():
            return {"inputs": {}, "pending": []}
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    def _write(self, inputs: Mapping[str, Any], pending: tuple[str, ...]) -> None:
        draft = self.state.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({"inputs": inputs, "pending": pending}))
        draft.replace(self.state)


def _document(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """A flag set's document as the inputs of its resource."""
    fields = json.dumps({name: {"stringValue": values[name]} for name in ("definition", "position")})
    return {"collection": "flags", "documentId": config.stack, "fields": fields}


def _definition(inputs: Mapping[str, Any]) -> str:
    definition: str = json.loads(inputs["fields"])["definition"]["stringValue"]
    return definition
