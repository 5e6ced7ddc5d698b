"""What the monitor finds wrong, in words: what happened, what it does about it, what a person has to do."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator

from causeway.errors import CausewayError, Held
from causeway.health.baselines import Baseline
from causeway.health.checker import Look
from causeway.model.guardrails import Measure
from causeway.model.verdict import Cause, Reason, Verdict
from causeway.model.window import Missing
from causeway.rollout.monitor_alarms import Condition
from causeway.rollout.monitor_duty import Duty
from causeway.rollout.notify import Severity

#: A living runner has so many seconds to react to harm before people are told that it has not.
PATIENCE = 30.0
#: So long may metrics or records be missing before people are told.
OUTAGE = 60.0
#: The key of the condition that nothing at all can be counted.
_BLIND = "metrics"


def no_metrics(look: Look) -> Condition:
    """Nothing can be counted."""
    reasons = [each.errors.reason for each in look.windows.values() if isinstance(each.errors, Missing)]
    return Condition(
        _BLIND,
        Severity.CRITICAL,
        f"metrics are missing: {reasons[0] if reasons else 'nothing was read'}",
        "Nothing moves forward; looking goes on, and traffic stays where it is.",
        "Bring the metrics back; `causeway rollback` works without them.",
        OUTAGE,
    )


def missing(verdict: Verdict, told: Iterable[Condition]) -> Iterator[Condition]:
    """What cannot be judged of each service, where what is told already does not say it.

    That is: while nothing at all can be counted, and of the response time of a service whose baseline is stale.
    """
    keys = {each.key for each in told}
    found: dict[str, list[Reason]] = {}
    for reason in verdict.reasons:
        stale = reason.source == Measure.RESPONSE_TIME and f"baseline-{reason.service}" in keys
        if reason.cause is Cause.MISSING and not stale:
            found.setdefault(reason.service or "stack", []).append(reason)
    for name, reasons in found.items():
        unwatched = any(reason.source == Measure.ERROR_RATE for reason in reasons)
        yield Condition(
            f"missing-{name}",
            Severity.CRITICAL if unwatched else Severity.WARNING,
            "; ".join(reason.text for reason in reasons),
            "Nothing moves forward, and what is missing sends nobody back; what else is seen is judged.",
            "Bring the figures back; `causeway rollback` works without them.",
            math.inf if _BLIND in keys else OUTAGE,
        )


def unreadable(error: CausewayError) -> Condition:
    """Position and override cannot be read."""
    return Condition(
        "records",
        Severity.CRITICAL,
        error.fact,
        "Watching goes on by what was read last; nothing can be moved.",
        error.remedy or "Check the network and the permissions of the monitor.",
        OUTAGE,
    )


def unexpected(error: Exception) -> Condition:
    """A round broke."""
    return Condition(
        f"round-{type(error).__name__}",
        Severity.CRITICAL,
        f"a round of the monitor broke: {_fact(error)}",
        "The next round comes all the same.",
        "Report it; `causeway status` and `causeway rollback` work without the monitor.",
    )


def undone(duty: Duty, error: Exception) -> Condition:
    """A duty failed. That a soak ends without enough evidence is no failure."""
    if isinstance(error, Held) and duty in (Duty.SOAK, Duty.RESUME):
        severity, happened = Severity.INFO, error.fact
    else:
        severity, happened = Severity.CRITICAL, f"the monitor could not {duty}: {_fact(error)}"
    remedy = error.remedy if isinstance(error, CausewayError) else ""
    return Condition(
        f"undone-{duty.value.replace(' ', '-')}",
        severity,
        happened,
        "It tries again by itself.",
        remedy or "`causeway status` shows where the stack stands.",
    )


def silent_holder(holder: str) -> Condition:
    """The holder of the lease does not renew it."""
    return Condition(
        "holder",
        Severity.WARNING,
        f"{holder} holds the lease and has not renewed it in time",
        "The monitor does what is due in its place.",
        "See why it died; `causeway run` goes on from where it was.",
    )


def frozen(maintenance: str) -> Condition:
    """Writes are frozen and nobody is at it: a restore has died, or what it restored does not read back equal."""
    return Condition(
        "frozen",
        Severity.CRITICAL,
        f"writes are frozen and nobody moves this stack: {maintenance}",
        "Nothing: data that is half restored is a person's decision.",
        "`causeway rollback --level 4` again resumes the restore.",
        OUTAGE,
    )


def stale_baselines(found: Iterable[Baseline], now: datetime.datetime, max_age: float) -> Iterator[Condition]:
    """Baselines that no longer count."""
    for each in found:
        stale = each.stale(now, max_age)
        if stale:
            yield Condition(
                f"baseline-{each.service}",
                Severity.WARNING,
                stale,
                "The response time of its package is not judged, so that nothing moves forward.",
                f"causeway baseline record --service {each.service}",
            )


def warnings(verdict: Verdict, window: float) -> Iterator[Condition]:
    """Guardrails beyond their warning threshold for two windows: at its begin, a block's estimate is anything."""
    for reason in verdict.reasons:
        if reason.cause is Cause.WARNING:
            yield Condition(
                f"warning-{reason.service}-{reason.source}",
                Severity.WARNING,
                reason.text,
                "Nothing moves forward while this lasts.",
                "Look at the package before it becomes a rollback.",
                2 * window,
            )


def harm_with_a_mover(verdict: Verdict, mover: str) -> Condition:
    """Harm that a living runner has to react to."""
    return Condition(
        "harm-moved",
        Severity.CRITICAL,
        f"{verdict.decisive[0].text}; {mover} holds the lease and has not sent traffic back",
        f"Nothing yet: it has {PATIENCE:g} s more; then the monitor takes the stack over and sends traffic back.",
        "`causeway rollback` does not wait for it.",
        PATIENCE,
    )


def harm_while_disarmed(verdict: Verdict, why_not: str) -> Condition:
    """Harm that may not be acted on."""
    return Condition(
        "harm-disarmed",
        Severity.CRITICAL,
        f"{verdict.decisive[0].text}; the triggers are {why_not}",
        "Nothing: traffic stays where it is.",
        "`causeway rollback` sends it back by hand; `causeway arm` arms the triggers again.",
    )


def harm_without_legacy(verdict: Verdict) -> Condition:
    """Harm after legacy has retired."""
    return Condition(
        "harm-retired",
        Severity.CRITICAL,
        f"{verdict.decisive[0].text}; legacy is retired, there is nothing to go back to",
        "Nothing: traffic stays where it is.",
        "Mend the package; `causeway rollback --level 4` restores legacy and its data.",
    )


def _fact(error: Exception) -> str:
    return error.fact if isinstance(error, CausewayError) else f"{type(error).__name__}: {error}"
