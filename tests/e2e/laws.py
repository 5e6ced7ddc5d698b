"""What must be true of a stack whenever nobody moves it, whatever happened before."""

from __future__ import annotations

import json

from causeway import flags
from causeway.model.hold import Hold
from causeway.model.moves import Place
from causeway.rollout.desired import flag_set, standing
from tests.e2e.small import STACK, Small

ENDED = ("done", "failed", "superseded")


def lawful(stack: Small, position: str | None = None) -> None:
    """Config, journal, flag set and control agree; every move was legal; nothing is left open.

    Raises AssertionError with what is not so.
    """
    config, records = stack.config(), stack.journal()
    place = Place(config.position, config.hold)
    assert position in (None, place.position), f"the stack file says {place}"
    document = stack.read(f"flags/{STACK}")
    assert document is not None
    assert document["definition"] == flags.build(flag_set(config, place)), f"the flag set is not that of {place}"
    assert document["position"] == place.position
    as_planned(stack, place)
    control = stack.read(f"control/{STACK}") or {}
    assert control["override"] is None, control
    assert control["holder"] == "", f"{control['holder']} still holds the lease"
    assert control["running"] is None, f"an update of {control['running']} is said to run"
    assert [record["seq"] for record in records] == list(range(1, len(records) + 1)), "a record is lost or doubled"
    open_ones = [(record["seq"], record["state"]) for record in records if record["state"] not in ENDED]
    assert not open_ones, f"left open: {open_ones}"
    no_step_lost_or_doubled(stack)


def as_planned(stack: Small, place: Place) -> None:
    """What the stack has recorded is what plan and matrix say of a place; on the real engine, nothing is left to do."""
    config, direct = stack.config(), stack.directory / ".local" / "direct.json"
    found = json.loads(direct.read_text()) if direct.exists() else stack.export()
    recorded = [inputs for urn, inputs in found["inputs"].items() if urn.endswith("::flags-document")]
    assert len(recorded) == 1 and not found["pending"], found
    definition = json.loads(recorded[0]["fields"])["definition"]["stringValue"]
    assert definition == flags.build(flag_set(config, place)), f"the stack has recorded another place than {place}"
    assert standing(definition).weights == config.plan.at(place.position, place.hold).weights
    if not direct.exists():
        left = stack.pulumi("preview", "--expect-no-changes")
        assert left.returncode == 0, left.stdout + left.stderr


def no_step_lost_or_doubled(stack: Small) -> None:
    """Replay the journal: each move that was applied begins where the one before ended and goes one step at most."""
    plan, here = stack.config().plan, None
    for record in stack.journal():
        if not any(entry["state"] == "applied" for entry in record["history"]):
            continue
        there = Place(record["position"], Hold.parse(record["hold"]))
        if record["direction"] == "forward" and here is not None:
            steps = plan[there.position].index - plan[here.position].index
            # A step that died after it was applied is judged by a record of its own, which begins at its place.
            assert steps == 1 or (steps in (0, 1) and record["from_position"] is None), (here, record)
        here = there
    assert here is None or here == Place(stack.config().position, stack.config().hold), f"the journal ends at {here}"
