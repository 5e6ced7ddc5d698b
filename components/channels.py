"""Where alerts go: Cloud Monitoring notification channels, secrets kept apart from what people may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi
from pulumi_gcp import monitoring


class Severity(StrEnum):
    """How loud an alert is, in Cloud Monitoring's words."""

    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


#: The sensitive label in which each type of channel keeps its secret; the other types have none.
_SECRET_LABEL = {"slack": "auth_token", "pagerduty": "service_key", "webhook_basicauth": "password"}


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: Cloud Monitoring's `type` and `labels` (`email` has `email_address`), and who hears what on it.

    `secret` is the token, key or password of types that have one; it is stored encrypted in the stack's state.
    """

    name: str
    type: str
    labels: Mapping[str, str] = field(default_factory=dict)
    severities: frozenset[Severity] = frozenset(Severity)
    secret: pulumi.Input[str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChannelsArgs:
    """The channels of a stack."""

    project: str
    channels: tuple[Channel, ...]


class Channels(pulumi.ComponentResource):
    """Notification channels, and for each severity the ids of those that hear it (`by_severity`)."""

    by_severity: dict[Severity, list[pulumi.Output[str]]]

    def __init__(self, name: str, args: ChannelsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Channels", name, None, opts)
        self.by_severity = {severity: [] for severity in Severity}
        for channel in args.channels:
            created = monitoring.NotificationChannel(
                f"{name}-{channel.name}",
                project=args.project,
                display_name=f"causeway {channel.name}",
                type=channel.type,
                labels=channel.labels,
                sensitive_labels=_sensitive(channel),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for severity in sorted(channel.severities):
                self.by_severity[severity].append(created.name)
        self.register_outputs({"channels": {str(severity): ids for severity, ids in self.by_severity.items()}})


def _sensitive(channel: Channel) -> monitoring.NotificationChannelSensitiveLabelsArgs | None:
    if channel.secret is None:
        return None
    if channel.type not in _SECRET_LABEL:
        raise ValueError(f"channel {channel.name} of type {channel.type} has a secret, but that type takes none")
    secret = pulumi.Output.secret(channel.secret)
    return monitoring.NotificationChannelSensitiveLabelsArgs(**{_SECRET_LABEL[channel.type]: secret})
