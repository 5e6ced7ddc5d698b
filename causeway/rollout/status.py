"""Where a stack stands, what applications obey, who moves it, and what it waits for: facts, gathered once."""

from __future__ import annotations

from typing import Any

from causeway.errors import CausewayError
from causeway.model.moves import Place
from causeway.rollout import journal as journals
from causeway.rollout.control import Control
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.stack import Stack
from causeway.rollout.store import Document


def gather(stack: Stack) -> dict[str, Any]:
    """The facts, for `--json` and for people. Raises Unreachable."""
    config, plan = stack.config, stack.config.plan
    wanted = Place(config.position, config.hold)
    document = stack.store.read(f"flags/{stack.name}")
    found = stack.store.read(f"control/{stack.name}")
    control = Control.of(found)
    applied = standing(document.values["definition"]) if document else None
    served = standing(control.override) if control.override else applied
    records = journals.history(stack.store, stack.name, 50)
    here = applied.place if applied else None
    following = plan.next(here.position) if here and here.position in plan else None
    return {
        "stack": stack.name,
        "config": str(wanted),
        "applied": str(here) if here else None,
        "served": str(served.place) if served else None,
        "override": control.override_why if control.override else None,
        "phase": plan[here.position].phase if here and here.position in plan else None,
        "hold": here.hold.entries() if here else [],
        "weights": dict(served.weights) if served else {},
        "judged": (stack.gate.unjudged(records, here) or "good") if here else None,
        "next": following.name if following else None,
        "lease": {
            "holder": control.holder or None,
            "fence": control.fence,
            "alive": bool(control.holder) and found is not None and not control.expired(found.read),
        },
        "watched": _watched(stack, control, found.read if found else None),
        "maintenance": control.maintenance,
        "disarmed": control.disarmed,
        "frozen": stack.gate.frozen(),
        "certificate": str(stack.gate.certificate.status),
        "accepted": [each.acceptance for each in stack.gate.certificate.accepted],
        "last": _brief(records[0]) if records else None,
    }


def drift(stack: Stack) -> dict[str, Any]:
    """What differs between plan, stack, cloud and what applications obey. Raises CausewayError where it is unknown."""
    lines = []
    config = stack.config
    export = stack.engine.export()
    recorded = stack.standing(export)
    document = stack.store.read(f"flags/{stack.name}")
    control = stack.control()
    if control.override:
        lines.append(f"an override stands: {control.override_why}")
    if recorded is None:
        lines.append("the stack has applied nothing yet")
    elif document is None:
        lines.append(f"flags/{stack.name} is gone; the stack says {recorded.place}")
    else:
        lines += _flag_drift(stack, document, recorded.place)
        if recorded.place != Place(config.position, config.hold):
            lines.append(f"config says {Place(config.position, config.hold)}, the stack stands at {recorded.place}")
        if config.splits and recorded.place.position in config.plan:
            from causeway.rollout.splits import elsewhere  # loads the SDK, which few stacks need for this

            lines += elsewhere(config, recorded.place, export)
    lines += [f"{urn.rsplit('::', 1)[-1]} has an operation that never ended" for urn in export.pending]
    outcome = stack.engine.drift()
    changes = {kind: count for kind, count in outcome.changes.items() if kind not in ("same", "read")}
    lines += [f"{_name(event)} differs in the cloud" for event in outcome.events if _drifted(event)]
    if changes and not lines:
        lines.append(f"pulumi preview would change {', '.join(f'{count} ({kind})' for kind, count in changes.items())}")
    return {"stack": stack.name, "drift": lines, "pulumi": changes}


def _flag_drift(stack: Stack, document: Document, place: Place) -> list[str]:
    try:
        live = standing(document.values["definition"])
    except (CausewayError, KeyError) as error:
        return [f"flags/{stack.name} cannot be read as a flag set: {error}"]
    if place.position not in stack.config.plan:
        return [f"the stack stands at {place}, which this plan does not have"]
    wanted = {flag.service: flag.weight for flag in flag_set(stack.config, place).flags}
    return [
        f"flags/{stack.name} gives {name} {live.weights.get(name, 0)} %, the plan says {weight} % at {place}"
        for name, weight in wanted.items()
        if live.weights.get(name, 0) != weight
    ]


def _drifted(event: Any) -> bool:
    """A refresh announces every resource as refreshed; only its outcome says which of them differ."""
    metadata = event.get("resOutputsEvent", {}).get("metadata", {})
    return (
        bool(metadata)
        and metadata["op"] not in ("same", "read", "refresh")
        and "pulumi:pulumi:" not in metadata["type"]
    )


def _name(event: Any) -> str:
    return str(event["resOutputsEvent"]["metadata"]["urn"]).rsplit("::", 1)[-1]


def _watched(stack: Stack, control: Control, read: Any) -> bool:
    """Whether the heartbeat is younger than what readers accept."""
    renewed = control.renewed_at
    return bool(renewed and read) and (read - renewed).total_seconds() <= stack.config.freshness.max_age


def _brief(record: journals.Record) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "direction": str(record.direction),
        "to": str(record.there),
        "from": str(record.here) if record.here else None,
        "state": str(record.state),
        "verdict": record.verdict,
        "who": record.who,
        "why": record.why,
        "at": record.began,
    }


def log(stack: Stack, count: int) -> list[dict[str, Any]]:
    """The newest records, newest first: who moved what, when and why, and what was found on the way."""
    return [
        {**_brief(record), "facts": dict(record.facts), "history": list(record.history)}
        for record in journals.history(stack.store, stack.name, count)
    ]
