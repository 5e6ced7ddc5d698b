"""The rollback triggers as records in `rollback_triggers`: what fires them, whether they are armed, every firing.

They are armed in every phase, between steps and while waiting for a person, from the first percent to deprecation.
Disarming takes a reason and ends by itself.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from causeway.config import Config
from causeway.model.guardrails import percent
from causeway.model.soak import STRIKES
from causeway.model.verdict import Verdict
from causeway.rollout import control as controls
from causeway.rollout.control import Control
from causeway.rollout.journal import KEPT
from causeway.rollout.notify import Alert, Severity
from causeway.rollout.stack import Stack, whoami
from causeway.rollout.store import Store, Write

COLLECTION = "rollback_triggers"


def conditions(config: Config) -> Iterator[tuple[str, str]]:
    """Each trigger's name and what fires it, in words."""
    rails = config.guardrails
    if rails.error_rate:
        yield "error_rate", f"more than {percent(rails.error_rate.roll_back)} failed: immediately"
    if rails.response_time:
        slow = rails.response_time
        yield "response_time", f"above {slow.warn:g} x baseline: gracefully; above {slow.roll_back:g} x: immediately"
    if rails.throughput:
        yield "throughput", f"below {percent(rails.throughput.roll_back)} of demand: immediately"
    if rails.availability:
        yield "availability", f"below {percent(rails.availability.roll_back)}: immediately"
    yield "probes", f"{STRIKES} consecutive failures of a functionality or integration check"
    yield "data_integrity", "any failure: everything goes back at once"


def install(store: Store, config: Config) -> None:
    """Write the conditions, one record a trigger; again only where they have changed."""
    for name, condition in conditions(config):
        path = f"{COLLECTION}/{config.stack}-{name}"
        found = store.read(path)
        values = {"stack": config.stack, "kind": "condition", "trigger": name, "condition": condition}
        if found is None or dict(found.values) != values:
            store.commit([Write(path, values, found.updated if found else None)])


def fired(stack: Stack, position: str, verdict: Verdict, done: str) -> None:
    """Record a firing with its evidence and what was done about it."""
    service = next(iter(verdict.services), None)
    _record(stack, "firing", position=position, service=service, verdict=verdict.as_dict(), done=done)


def _record(stack: Stack, kind: str, **values: Any) -> None:
    now = stack.clock.now()
    record = {"stack": stack.name, "kind": kind, "fired_at": now, **values, "expires_at": now + KEPT}
    stack.store.commit([Write(f"{COLLECTION}/{stack.name}-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}", record)])


def disarmed(control: Control, now: datetime.datetime) -> str | None:
    """Why nothing rolls back by itself at `now` (by the server's clock); None while the triggers are armed."""
    found = control.disarmed
    if not found or found["until"] <= now:
        return None
    return f"disarmed by {found['by']} until {found['until']:%H:%M} UTC: {found['reason']}"


def arm(stack: Stack, reason: str) -> dict[str, Any]:
    """Arm the triggers. Needs no lease."""
    controls.change(stack.store, stack.name, disarmed=None)
    said = "the triggers are armed"
    _told(stack, "armed", said, reason)
    return {"stack": stack.name, "armed": True, "reason": reason, "said": said}


def disarm(stack: Stack, reason: str, minutes: int) -> dict[str, Any]:
    """Disarm them for some minutes. Needs no lease: whoever watches reads it before acting.

    The end is a time of the server's, so that clocks that disagree end it neither at once nor late.
    """
    until = stack.server_now() + datetime.timedelta(minutes=minutes)
    found: Mapping[str, Any] = {"by": whoami(), "reason": reason, "until": until}
    controls.change(stack.store, stack.name, disarmed=dict(found))
    said = f"the triggers are disarmed until {until:%H:%M} UTC; traffic goes back only by hand until then"
    _told(stack, "disarmed", said, reason, until=until)
    return {"stack": stack.name, "armed": False, "until": until, "reason": reason, "said": said}


def _told(stack: Stack, kind: str, said: str, reason: str, **values: Any) -> None:
    """Arming is recorded and told like a firing: afterwards somebody will ask who, when and why."""
    _record(stack, kind, who=whoami(), why=reason, **values)
    alert = Alert(Severity.WARNING, f"triggers-{kind}", said, f"{whoami()}: {reason}", "Nothing, if this is meant.")
    stack.notifier.send(alert)
