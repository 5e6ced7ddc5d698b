"""Alert policies: one per service and guardrail, and one per scheduled job that must not be missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import monitoring

from components.channels import Severity

#: User labels by which policies, drift checks and people find the alert of a service and guardrail.
SERVICE_LABEL = "causeway_service"
GUARDRAIL_LABEL = "causeway_guardrail"

_CLOSE_AFTER_S = 1800


@dataclass(frozen=True, slots=True)
class Alert:
    """A PromQL expression that is empty while all is well, and what people read when it is not.

    It fires after being true for `duration_s`. Cloud Monitoring evaluates it every `interval_s`, a multiple of 30.
    `service` and `guardrail` are empty for alerts about causeway's own machinery.
    """

    name: str
    title: str
    text: str
    query: str
    severity: Severity
    service: str = ""
    guardrail: str = ""
    duration_s: int = 0
    interval_s: int = 30

    def __post_init__(self) -> None:
        if self.interval_s <= 0 or self.interval_s % 30:
            raise ValueError(f"alert {self.name} is evaluated every {self.interval_s} s, not a multiple of 30 s")


@dataclass(frozen=True, slots=True)
class AlertsArgs:
    """Alerts, and for each severity the notification channels that hear it."""

    project: str
    alerts: tuple[Alert, ...]
    channels: Mapping[Severity, Sequence[pulumi.Input[str]]] = field(default_factory=dict)


def missed_run(job: str, within_s: int, severity: Severity = Severity.ERROR) -> Alert:
    """An alert for a Cloud Run job that has not succeeded once in `within_s` seconds.

    It counts on Cloud Run's own metric, so it also speaks when the job's program never starts.
    """
    succeeded = f'run_googleapis_com:job_completed_execution_count{{job_name="{job}",result="succeeded"}}'
    return Alert(
        name=f"missed-{job}",
        title=f"{job} has not succeeded for {within_s // 60} min"
        if within_s < 7_200
        else f"{job} has not succeeded for {within_s // 3_600} h",
        text=f"The scheduled job {job} did not finish in time. What it protects is older than it should be: "
        f"read the job's executions, start it by hand, and move nothing forward until it has succeeded.",
        query=f"(sum(increase({succeeded}[{within_s}s])) or vector(0)) < 1",
        severity=severity,
        interval_s=60,
    )


def label_value(text: str) -> str:
    """`text` as a Cloud Monitoring label value: lower case letters, digits, `_` and `-`, at most 63."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "-" for c in text.lower())[:63]


class Alerts(pulumi.ComponentResource):
    """One alert policy per alert. No policy depends on another, so that registering them stays linear."""

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Alerts", name, None, opts)
        for alert in args.alerts:
            monitoring.AlertPolicy(
                f"{name}-{alert.name}",
                project=args.project,
                display_name=alert.title,
                combiner="OR",
                severity=alert.severity,
                enabled=True,
                conditions=[_condition(alert)],
                notification_channels=list(args.channels.get(alert.severity, ())),
                documentation=monitoring.AlertPolicyDocumentationArgs(
                    subject=alert.title, content=alert.text, mime_type="text/markdown"
                ),
                alert_strategy=monitoring.AlertPolicyAlertStrategyArgs(auto_close=f"{_CLOSE_AFTER_S}s"),
                user_labels=_labels(alert),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"alerts": len(args.alerts)})


def _condition(alert: Alert) -> monitoring.AlertPolicyConditionArgs:
    return monitoring.AlertPolicyConditionArgs(
        display_name=alert.title,
        condition_prometheus_query_language=monitoring.AlertPolicyConditionConditionPrometheusQueryLanguageArgs(
            query=alert.query,
            duration=f"{alert.duration_s}s",
            evaluation_interval=f"{alert.interval_s}s",
            # The series of a package appear with its first request; until then their absence is no error.
            disable_metric_validation=True,
        ),
    )


def _labels(alert: Alert) -> dict[str, str]:
    named = {SERVICE_LABEL: alert.service, GUARDRAIL_LABEL: alert.guardrail}
    return {label: label_value(value) for label, value in named.items() if value}
