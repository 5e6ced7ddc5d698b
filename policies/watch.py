"""Nobody migrates unwatched: every service has an alert for each guardrail, and it is on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.alerts import GUARDRAIL_LABEL, SERVICE_LABEL, label_value
from policies.facts import Expected, Resource, StackRule, of_kind

ALERT = "gcp:monitoring/alertPolicy:AlertPolicy"


def every_service_has_its_alerts(resources: Sequence[Resource], expected: Expected) -> Iterator[str]:
    """An enabled alert policy for each service and guardrail, found by its labels."""
    alerts = [alert.inputs for alert in of_kind(resources, ALERT) if alert.inputs.get("enabled", True)]
    labels = [alert.get("userLabels", {}) for alert in alerts]
    watched = {(found.get(SERVICE_LABEL), found.get(GUARDRAIL_LABEL)) for found in labels}
    if expected.guardrails and not any(service for service, _ in watched):  # alerts of jobs name no service
        yield "no service has an alert: without causeway:metrics nobody hears of trouble, and nothing advances"
        return
    for service in expected.plan.matrix.services:
        missing = [name for name in expected.guardrails if (label_value(service), label_value(name)) not in watched]
        if missing:
            yield f"{service} has no alert for {', '.join(missing)}: nobody would hear of its trouble"


STACK_RULES = (
    StackRule("services-have-alerts", "Every migrating service has its alerts", every_service_has_its_alerts),
)
