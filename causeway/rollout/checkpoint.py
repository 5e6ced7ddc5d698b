"""The checkpoint at a phase's end: what must hold before the next phase begins, beside the soak's verdict."""

from __future__ import annotations

from collections.abc import Container, Iterator

from causeway.errors import CausewayError
from causeway.model.moves import Place
from causeway.model.verdict import Cause, Decision, Reason, Verdict
from causeway.rollout.stack import Stack


def phase_end(stack: Stack, place: Place, verdict: Verdict) -> Verdict:
    """The verdict with the checkpoint's own findings: whatever does not hold is a HOLD."""
    return Verdict.of([*verdict.reasons, *_findings(stack, place)])


def _findings(stack: Stack, place: Place) -> Iterator[Reason]:
    missing = _unproven(stack, place)
    yield _reason(not missing, "evidence", "evidence of the next phase is fresh", "; ".join(missing))
    control = stack.control()
    standing = f"an override stands: {control.override_why}"
    yield _reason(not control.override, "override", "no override stands", standing)
    try:
        drift = stack.engine.drift().changed
        yield _reason(not drift, "drift", "the cloud is as the stack says", f"{drift} resources have drifted")
    except CausewayError as error:
        yield _reason(False, "drift", "", f"drift cannot be known: {error.fact}")
    yield _state_kept(stack, place)
    yield _measured(stack, place)


def _unproven(stack: Stack, place: Place) -> list[str]:
    """What the next phase would expose without evidence, at any of its positions: it could be begun but not ended."""
    plan = stack.config.plan
    following = plan.next(place.position)
    ahead = [each for each in plan if following and each.phase == following.phase]
    return list(dict.fromkeys(str(each) for at in ahead for each in stack.gate.certificate.blocked(at.name)))


def _state_kept(stack: Stack, place: Place) -> Reason:
    """The state of the phase's services, kept in service_state_backups and read back by digest."""
    phase = stack.config.plan[place.position].phase
    services = [name for name, own in stack.config.matrix.phase_of.items() if own == phase]
    try:
        kept = [name for name in services if stack.keep_state(name, place)]
    except CausewayError as error:
        return _reason(False, "state", "", f"service state is not kept: {error.fact}")
    return _reason(True, "state", f"state of {', '.join(kept) or 'no service'} is kept and reads back by digest", "")


def _measured(stack: Stack, place: Place) -> Reason:
    """Without legacy's own figures, nobody can tell whether a package is slower."""
    try:
        lacking = unmeasured(stack, place, stack.baselines())
    except CausewayError as error:
        return _reason(False, "baselines", "", f"baselines cannot be read: {error.fact}")
    bad = f"no fresh baseline of {', '.join(lacking)}; `causeway baseline record` measures them"
    return _reason(not lacking, "baselines", "baselines of the next phase are fresh", bad)


def unmeasured(stack: Stack, place: Place, baselines: Container[str]) -> list[str]:
    """The services of the phase after this place that have no baseline."""
    plan = stack.config.plan
    following = plan.next(place.position)
    phase = plan[following.name].phase if following else None
    return [name for name, own in stack.config.matrix.phase_of.items() if own == phase and name not in baselines]


def _reason(holds: bool, source: str, good: str, bad: str) -> Reason:
    if holds:
        return Reason(Decision.ADVANCE, Cause.SAFE, f"checkpoint: {source}", good)
    return Reason(Decision.HOLD, Cause.FAILED, f"checkpoint: {source}", bad)
