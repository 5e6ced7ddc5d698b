"""Bringing a stack to a place: one stack update, compared with what was kept for that place before."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass

from causeway import flags
from causeway.errors import CausewayError, ConfigError
from causeway.model.moves import Place, Standing
from causeway.rollout import journal as journals
from causeway.rollout import stackfile, updates
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.engine import Export, Outcome
from causeway.rollout.journal import COLLECTION, Journal, Record, State
from causeway.rollout.stack import Stack
from causeway.rollout.store import Store, Write

#: A kept export must fit into one document beside its path.
_LARGEST = 900_000


@dataclass(frozen=True, slots=True)
class Applied:
    """A stack update that was carried out: its outcome, the state after it, seconds of Pulumi and of all."""

    outcome: Outcome
    export: Export
    pulumi_s: float
    total_s: float


def apply(stack: Stack, place: Place, why: str, *, guarded: bool = True) -> Applied:
    """Write the place into the stack file, preview with policies, apply exactly that. Inside `updates.running`.

    `guarded` is False on a way back, which no policy may stop: the program's hook judges the move all the same. Where
    the preview refuses or fails, the stack file is put back and nothing has changed.
    """
    clock = stack.clock
    began = clock.monotonic()
    plan = stack.work / "plan.json"
    before = stackfile.read(stack.file)
    stack.write_place(place)
    written = stackfile.read(stack.file)
    try:
        previewed = stack.engine.preview(plan, reason=why, guarded=guarded)
    except CausewayError:
        if stackfile.read(stack.file) == written:  # else somebody has taken over, and it says where he stands
            stackfile.write(stack.file, before)
        raise
    stack.say("previewed", f"preview: {previewed.changed} to change", place, previewed.seconds)
    outcome = stack.engine.up(plan, reason=why)
    _record(stack, place, why)
    exported = clock.monotonic()
    export = stack.engine.export()
    reading = clock.monotonic() - exported
    stack.say("applied", f"stack update: {outcome.changed} changed", place, outcome.seconds)
    pulumi = previewed.seconds + outcome.seconds + reading
    return Applied(outcome, export, pulumi, clock.monotonic() - began)


def _record(stack: Stack, place: Place, why: str) -> None:
    """Tell git. Traffic has moved by now, whatever git says to it: that is told, and the next commit has the file."""
    try:
        stack.record_place(place, why)
    except CausewayError as error:
        stack.say("not-committed", str(error), place)


def keep(store: Store, stack: str, export: Export) -> str:
    """Keep a state under its digest, once; returns the digest. Secrets are as encrypted as Pulumi has them."""
    path = f"{COLLECTION}/{stack}-export-{export.digest[:16]}"
    packed = base64.b64encode(zlib.compress(json.dumps(export.inputs, sort_keys=True).encode(), 9)).decode()
    if len(packed) < _LARGEST and store.read(path) is None:
        store.commit([Write(path, {"digest": export.digest, "inputs": packed})])
    return export.digest


def kept(store: Store, stack: str, digest: str) -> Export | None:
    """What was kept under a digest."""
    found = store.read(f"{COLLECTION}/{stack}-export-{digest[:16]}")
    if found is None:
        return None
    return Export(json.loads(zlib.decompress(base64.b64decode(found.values["inputs"]))), ())


def compare(stack: Stack, place: Place, export: Export) -> tuple[list[str] | None, int | None]:
    """What differs from the state kept when the stack last stood there, and by which record; None: it never did."""
    for record in journals.history(stack.store, stack.name):
        digest = record.facts.get("export")
        if record.there == place and digest and record.reached and record.state is State.DONE:
            if digest == export.digest:
                return [], record.seq
            then = kept(stack.store, stack.name, digest)
            return (export.differences(then) if then else ["the kept state is gone"]), record.seq
    return None, None


def reads_back(stack: Stack, place: Place) -> bool:
    """Whether the flag set in the cloud is that of a place."""
    document = stack.store.read(f"flags/{stack.name}")
    return document is not None and document.values.get("definition") == flags.build(flag_set(stack.config, place))


def untouched(stack: Stack, here: Standing) -> None:
    """Raise CausewayError where the flag set is not what the stack has applied: it is never silently overwritten."""
    document = stack.store.read(f"flags/{stack.name}")
    try:
        equal = document is not None and standing(document.values["definition"]) == here
    except ConfigError:
        equal = False
    if not equal:
        raise CausewayError(
            f"flags/{stack.name} is not what the stack has applied",
            "somebody has edited it by hand, and a step would overwrite that",
            "`causeway drift` shows what differs; `pulumi up --refresh` writes the stack's own again.",
        )


def finish(journal: Journal, stack: Stack, record: Record, place: Place) -> Record:
    """Lift the override once no update is alive and the flag set reads back as the place says; end the record."""
    updates.wait_for_others(stack, journal.lease)
    if not reads_back(stack, place):
        raise CausewayError(
            f"flags/{stack.name} does not read back as {place}",
            "the override stays, so nobody sees what is there",
            "`causeway reconcile` again; `causeway drift` shows the difference.",
        )
    return journal.advance(record, State.DONE, control={"override": None, "override_why": ""})
