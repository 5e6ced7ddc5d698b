"""What a stack consists of at a place in its plan: config and plan, turned into the arguments of the components.

Called by the Pulumi program. Everything but the flag set and the traffic splits stands from the first position on.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

import pulumi

from causeway import flags
from causeway.config import Config
from causeway.errors import CausewayError, ConfigError
from causeway.health.expressions import alerts_for
from causeway.model.certificate import certify
from causeway.model.moves import Place
from causeway.rollout.desired import flag_set, standing
from causeway.rollout.gate import Gate
from causeway.rollout.splits import REASON, follows, splits
from causeway.rollout.store import FirestoreStore, preload
from components import traffic
from components.alerts import Alert, Alerts, AlertsArgs, missed_run
from components.application_database import ApplicationDatabase, ApplicationDatabaseArgs
from components.backup_bucket import BackupBucket, BackupBucketArgs
from components.channels import Channel, Channels, ChannelsArgs, Severity
from components.flag_set import FlagSet, FlagSetArgs, read_fields
from components.identities import Identities, IdentitiesArgs
from components.records import Records, RecordsArgs
from components.schedulers import Schedule, Schedulers, SchedulersArgs, schedule
from components.splits import component_name

#: How many accepted unknowns a preview names.
_ACCEPTED = 20
_NO_IMAGE = "REGION-docker.pkg.dev/PROJECT/causeway/causeway:0.1.0"


def provision(config: Config) -> None:
    """Register every resource of the stack at its position. Raises ConfigError where no project is named."""
    project = config.project
    if project is None:
        raise ConfigError(
            "the stack names no project", "resources would go anywhere", "pulumi config set gcp:project ID"
        )
    place = Place(config.position, config.hold)
    records = Records("records", RecordsArgs(project, config.cloud.region))
    identities = Identities(
        "identities",
        IdentitiesArgs(
            project,
            "causeway",
            config.backup.database,
            "causeway-verify",
            readers=config.cloud.readers,
            operators=config.cloud.operators,
            secrets=tuple(sorted({*config.cloud.secrets.values()})),
        ),
    )
    ApplicationDatabase(
        "application",
        ApplicationDatabaseArgs(project, config.backup.database, read=not os.environ.get("FIRESTORE_EMULATOR_HOST")),
    )
    BackupBucket(
        "archive",
        BackupBucketArgs(
            project,
            config.cloud.region,
            config.bucket,
            retention_days=config.cloud.retention_days,
            kms_key=config.cloud.kms_key,
            writers={who: identities.member(who) for who in ("stream", "backup")},
            appenders={"verify": identities.member("verify")},
            readers={who: identities.member(who) for who in ("restore", "runner", "monitor")},
        ),
    )
    runs = schedule(config.stack, {priority.name: priority.every for priority in config.backup.priorities})
    Schedulers(
        "schedulers",
        SchedulersArgs(
            project,
            config.cloud.region,
            config.cloud.image or _NO_IMAGE,
            runs,
            {who: account.email for who, account in identities.accounts.items()},
            secrets=config.cloud.secrets,
        ),
        # Cloud Run refuses a service whose identity cannot read its secrets yet.
        pulumi.ResourceOptions(depends_on=[identities]),
    )
    for finding in (*unheard(config), *accepted(config)):
        pulumi.log.warn(finding)
    channels = Channels("channels", ChannelsArgs(project, _channels(config)))
    Alerts("alerts", AlertsArgs(project, tuple(_alerts(config, runs)), channels.by_severity))
    flag_document = FlagSet(
        "flags",
        FlagSetArgs(
            project=project,
            database=records.database.name,
            document_id=config.stack,
            definition=flags.build(flag_set(config, place)),
            position=place.position,
            legal_move=pulumi.ResourceHook(
                "legal_move", _legal_move(config, project, place), opts=pulumi.ResourceHookOptions(on_dry_run=True)
            ),
        ),
    )
    _splits(config, project, place, flag_document)
    preload()  # the hook reads the journal while the engine is busy with what comes before


def unheard(config: Config) -> list[str]:
    """What a stack that runs in the cloud tells nobody, a sentence each: alerts and channels without an address."""
    if not config.cloud.image:  # a monitor that you start has your environment
        return []
    channels = {channel for each in config.notify.values() for channel in each if channel.startswith("env:")}
    lost = sorted({channel.removeprefix("env:") for channel in channels} - {*config.cloud.secrets})
    nowhere = [
        f"causeway:notify names env:{name}, which the deployed monitor does not have; its alerts reach nobody. "
        f"Add causeway:cloud: {{secrets: {{{name}: NAME-IN-SECRET-MANAGER}}}}."
        for name in lost
    ]
    if not config.cloud.alert_emails:
        nowhere.append("alert policies have no channel; they reach nobody. Add causeway:cloud: {alert_emails: [...]}.")
    return nowhere


def accepted(config: Config) -> list[str]:
    """What nobody knows and an operator accepts, a sentence each: a preview says it as long as it is so."""
    found = certify(config.matrix, config.plan).accepted
    more = [f"… and {len(found) - _ACCEPTED} more; `causeway check` has them all"] if len(found) > _ACCEPTED else []
    return [*(each.acceptance for each in found[:_ACCEPTED]), *more]


def _legal_move(config: Config, project: str, place: Place):  # type: ignore[no-untyped-def]
    """The hook before the flag set is created or changed: raises where the move is not legal."""
    gate = Gate(config, lambda: FirestoreStore(project), lambda: datetime.datetime.now(datetime.UTC))

    def legal_move(args: pulumi.ResourceHookArgs) -> None:
        old = args.old_inputs or {}
        try:
            here = standing(read_fields(old["fields"])[0]) if "fields" in old else None
            pulumi.log.info(str(gate.judge(here, place, os.environ.get(REASON))))
        except CausewayError as error:
            raise RuntimeError(str(error)) from None

    return legal_move


def _channels(config: Config) -> tuple[Channel, ...]:
    return tuple(
        Channel(f"email-{number}", "email", {"email_address": address})
        for number, address in enumerate(config.cloud.alert_emails)
    )


def _alerts(config: Config, runs: Schedule) -> Sequence[Alert]:
    """One per service and guardrail, and one per job that must not be missed. Warnings are the monitor's to send."""
    guarded = [
        Alert(
            name=f"{rule.service}-{rule.guardrail}",
            title=rule.title,
            text=rule.text,
            query=rule.query,
            severity=Severity(rule.severity),
            service=rule.service,
            guardrail=rule.guardrail,
        )
        for rule in alerts_for(config.matrix.services, config.guardrails, config.metrics)
        if rule.severity == Severity.CRITICAL
    ]
    return [*guarded, *(missed_run(job.name, job.missed_after_s) for job in runs.scheduled)]


def _splits(config: Config, project: str, place: Place, flag_document: FlagSet) -> None:
    """Traffic that no flag splits follows the same weights, after the flag set: its hook has judged the move then."""
    weights = config.plan.at(place.position, place.hold).weights
    for service, split in splits(config).items():
        hook = pulumi.ResourceHook(
            f"split_follows_{service}",
            follows(config, project, service, place),
            opts=pulumi.ResourceHookOptions(on_dry_run=True),
        )
        traffic.Traffic(
            component_name(service),
            traffic.TrafficArgs(project, split, weights[service], hook),
            pulumi.ResourceOptions(depends_on=[flag_document]),
        )
