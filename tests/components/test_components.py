"""Each component against Pulumi's mocks. A test whose resources are wrong for the SDK fails in the recorder."""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
import sys
from dataclasses import replace

import click
import pulumi
import pytest
from pulumi.runtime import rpc

from causeway.backup import service_state
from causeway.cli import cli
from components.alerts import Alert, Alerts, AlertsArgs, label_value, missed_run
from components.application_database import ApplicationDatabase, ApplicationDatabaseArgs, unprotected
from components.backup_bucket import BackupBucket, BackupBucketArgs
from components.channels import Channel, Channels, ChannelsArgs, Severity
from components.flag_set import FlagSet, FlagSetArgs, fields_json, guarded_by, read_fields
from components.identities import Identities, IdentitiesArgs
from components.records import Records, RecordsArgs
from components.schedulers import Schedulers, SchedulersArgs, schedule
from components.splits import CloudRunSplit, UrlMapSplit, cloud_run_percents, package_percent, url_map_weights
from components.traffic import Traffic, TrafficArgs

BACKUPS = {"critical": "realtime", "high": "hourly", "medium": "daily"}
IDENTITIES = IdentitiesArgs("demo", "causeway", "(default)", "causeway-verify", operators=("user:lead@example.org",))


def test_the_records_database_is_protected_and_its_collections_are_indexed_and_expire(cloud) -> None:
    cloud.provision(lambda: Records("records", RecordsArgs("demo", "europe-west1")))

    database = cloud.one("records-database")
    assert database["name"] == "causeway"
    assert database["deleteProtectionState"] == "DELETE_PROTECTION_ENABLED"
    assert database["pointInTimeRecoveryEnablement"] == "POINT_IN_TIME_RECOVERY_ENABLED"
    assert database["deletionPolicy"] == "PREVENT"
    four = {
        "service_state_backups",
        "migration_checkpoints",
        "rollback_triggers",
        "performance_baselines",
    }
    assert {index.inputs["collection"] for index in cloud.of("Index")} == four
    assert {field.inputs["collection"] for field in cloud.of("Field")} == four
    for field in cloud.of("Field"):
        assert field.inputs["field"] == "expires_at"
        assert field.inputs["ttlConfig"] == {}, "retention"
    for owned in (*cloud.of("Index"), *cloud.of("Field"), *cloud.of("BackupSchedule")):
        assert owned.inputs["database"] == "causeway"


def test_rules_deny_every_client_and_reach_no_database_but_causeway(cloud) -> None:
    cloud.provision(lambda: Records("records", RecordsArgs("demo", "europe-west1")))

    release = cloud.one("records-release")
    assert release["name"] == "cloud.firestore/causeway", "the bare name would rule the application's database"
    assert release["rulesetName"] == "projects/demo/rulesets/records-ruleset-name"
    (source,) = cloud.one("records-ruleset")["source"]["files"]
    allows = [line.strip() for line in source["content"].splitlines() if "allow" in line]
    assert allows == ["allow read, write: if false;"]


def test_the_application_database_is_scheduled_and_read_but_never_created(cloud) -> None:
    cloud.existing = {"pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED"}
    findings = cloud.provision(lambda: ApplicationDatabase("application", ApplicationDatabaseArgs("demo")).findings)

    assert [finding.split(" ")[0] for finding in findings] == ["deleteProtectionState"]
    assert not cloud.of("Database"), "the application's database must not become the stack's"
    assert [schedule.inputs["database"] for schedule in cloud.of("BackupSchedule")] == ["(default)", "(default)"]


def test_a_database_without_protection_is_named_setting_by_setting() -> None:
    both = {
        "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED",
        "deleteProtectionState": "DELETE_PROTECTION_ENABLED",
    }
    assert unprotected(both) == ()
    assert unprotected({}) == (
        "pointInTimeRecoveryEnablement is not set, not POINT_IN_TIME_RECOVERY_ENABLED: disaster recovery can only go "
        "back to the last finished backup",
        "deleteProtectionState is not set, not DELETE_PROTECTION_ENABLED: one mistaken command deletes the database",
    )


def test_the_backup_bucket_is_private_versioned_and_retained(cloud) -> None:
    args = BackupBucketArgs("demo", "EU", "demo-backups", 30, locked=True, kms_key="k", writers={"backup": "user:b"})
    cloud.provision(lambda: BackupBucket("backups", args))

    bucket = cloud.one("backups-bucket")
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["retentionPolicy"] == {"retentionPeriod": str(30 * 86_400), "isLocked": True}
    assert bucket["encryption"] == {"defaultKmsKeyName": "k"}
    deletes = [rule for rule in bucket["lifecycleRules"] if rule["action"]["type"] == "Delete"]
    assert all(rule["condition"]["withState"] == "ARCHIVED" for rule in deletes), "live archives are never aged out"
    assert cloud.one("backups-backup")["role"] == "roles/storage.objectUser"


def test_whoever_adds_to_an_archive_may_not_replace_what_is_there(cloud) -> None:
    """Prevents: a trial restore of hours ends with 403, for its result is one more object of the archive."""
    args = BackupBucketArgs("demo", "EU", "demo-backups", appenders={"verify": "user:v"}, readers={"restore": "user:r"})
    cloud.provision(lambda: BackupBucket("backups", args))
    roles = {grant.name: grant.inputs["role"] for grant in cloud.of("BucketIAMMember")}
    assert roles == {
        "backups-verify": "roles/storage.objectViewer",
        "backups-verify-adds": "roles/storage.objectCreator",
        "backups-restore": "roles/storage.objectViewer",
    }


def test_the_newest_state_of_a_service_is_found_by_an_index(cloud) -> None:
    """Prevents: on real Firestore, which unlike the emulator needs it, neither save nor restore finds a record."""
    cloud.provision(lambda: Records("records", RecordsArgs("demo", "europe-west1")))
    (index,) = [each.inputs for each in cloud.of("Index") if each.inputs["collection"] == service_state.COLLECTION]
    query = service_state.latest("root", "local", "S", datetime.datetime.now(datetime.UTC)).structured_query
    equal = [each.field_filter.field.field_path for each in query.where.composite_filter.filters[:-1]]
    assert [field["fieldPath"] for field in index["fields"]] == [*equal, query.order_by[0].field.field_path]
    assert [field["order"] for field in index["fields"]] == ["ASCENDING", "ASCENDING", "DESCENDING"]


def test_no_identity_holds_a_basic_role_and_firestore_roles_name_one_database(cloud) -> None:
    cloud.provision(lambda: Identities("identities", IDENTITIES))

    grants = [resource.inputs for resource in cloud.of("IAMMember") if resource.typ.startswith("gcp:projects/")]
    assert grants
    for grant in grants:
        assert grant["role"] not in ("roles/owner", "roles/editor", "roles/viewer")
        if grant["role"].startswith("roles/datastore."):
            assert grant["condition"]["expression"].startswith('resource.name == "projects/demo/databases/')
    writers = {
        grant["member"]
        for grant in grants
        if grant["role"] == "roles/datastore.user" and "(default)" in grant["condition"]["expression"]
    }
    own = {"restore": "the data", "stream": "its sentinel and heartbeat"}
    assert writers == {f"serviceAccount:causeway-{who}@demo.iam.gserviceaccount.com" for who in own}


def test_whoever_looks_at_data_may_read_it(cloud) -> None:
    """Prevents: data integrity probes and kept states are refused in the cloud, so that nothing ever advances."""
    cloud.provision(lambda: Identities("identities", IDENTITIES))
    reading = {
        resource.inputs["member"].split(":causeway-")[1].split("@")[0]
        for resource in cloud.of("IAMMember")
        if resource.typ.startswith("gcp:projects/")
        and resource.inputs["role"].startswith("roles/datastore.")
        and "(default)" in resource.inputs["condition"]["expression"]
    }
    assert reading == {"monitor", "runner", "stream", "backup", "restore"}


def test_secrets_of_channels_are_secret_and_severities_find_their_channels(cloud) -> None:
    loud = Channel("pager", "pagerduty", severities=frozenset({Severity.CRITICAL}), secret="s3cret")
    quiet = Channel("team", "email", {"email_address": "team@example.org"})
    channels = cloud.provision(lambda: Channels("notify", ChannelsArgs("demo", (loud, quiet))))
    assert len(channels.by_severity[Severity.CRITICAL]) == 2
    assert len(channels.by_severity[Severity.WARNING]) == 1

    labels = cloud.one("notify-pager")["sensitiveLabels"]
    assert rpc.is_rpc_secret(labels), "the state must encrypt it"
    assert rpc.unwrap_rpc_secret(labels) == {"serviceKey": "s3cret"}
    assert "sensitiveLabels" not in cloud.one("notify-team")
    assert "s3cret" not in repr(loud)


def test_a_secret_for_a_channel_type_that_has_none_is_refused(cloud) -> None:
    with pytest.raises(ValueError, match="takes none"):
        Channels("notify", ChannelsArgs("demo", (Channel("team", "email", secret="s3cret"),)))


def test_an_alert_is_promql_with_its_severity_its_channels_and_its_service(cloud) -> None:
    alert = Alert("CVAnalyzer-error_rate", "t", "x", "up == 0", Severity.CRITICAL, "CVAnalyzer", "error_rate")
    cloud.provision(lambda: Alerts("alerts", AlertsArgs("demo", (alert,), {Severity.CRITICAL: ["channel"]})))

    policy = cloud.one("alerts-CVAnalyzer-error_rate")
    (condition,) = policy["conditions"]
    assert condition["conditionPrometheusQueryLanguage"]["query"] == "up == 0"
    assert condition["conditionPrometheusQueryLanguage"]["evaluationInterval"] == "30s"
    assert policy["severity"] == "CRITICAL"
    assert policy["notificationChannels"] == ["channel"]
    assert policy["userLabels"] == {"causeway_service": "cvanalyzer", "causeway_guardrail": "error_rate"}


def test_an_evaluation_interval_cloud_monitoring_would_refuse_is_refused_here() -> None:
    with pytest.raises(ValueError, match="multiple of 30"):
        Alert("a", "t", "x", "up", Severity.ERROR, interval_s=45)


def test_label_values_are_what_cloud_monitoring_takes() -> None:
    assert label_value("CV Analyzer/ä" + "x" * 80) == ("cv-analyzer--" + "x" * 80)[:63]


def test_a_missed_run_is_found_also_when_the_job_has_never_run() -> None:
    alert = missed_run("causeway-backup-high", 7200)
    assert "or vector(0)" in alert.query, "no series at all must count as no success"
    assert "[7200s]" in alert.query


class Unregistered(pulumi.ResourceHook):
    """A hook as the mocks can bear it: they have no callback server. tests/e2e runs real ones."""

    def __init__(self) -> None:
        self.name, self.opts = "legal_move", None
        self.callback = lambda args: None
        self._registered = asyncio.get_event_loop().create_future()
        self._registered.set_result(None)


def test_a_new_flag_set_and_a_changed_one_are_judged_by_the_same_hook() -> None:
    hook = pulumi.ResourceHook.__new__(pulumi.ResourceHook)
    binding = guarded_by(hook)
    assert (binding.before_create, binding.before_update) == ([hook], [hook])


def test_the_flag_set_is_one_document_of_strings(cloud) -> None:
    def program() -> FlagSet:
        args = FlagSetArgs("demo", "causeway", "local", '{"flags":{}}', "infrastructure", Unregistered())
        return FlagSet("flags", args)

    cloud.provision(program)
    document = cloud.one("flags-document")
    assert (document["collection"], document["documentId"], document["database"]) == ("flags", "local", "causeway")
    assert json.loads(document["fields"]) == {
        "definition": {"stringValue": '{"flags":{}}'},
        "position": {"stringValue": "infrastructure"},
    }


def test_fields_read_back_as_they_were_written() -> None:
    assert read_fields(fields_json('{"a":"ä\\n"}', "low/A+B/25")) == ('{"a":"ä\\n"}', "low/A+B/25")


def test_jobs_are_started_by_the_scheduler_and_nobody_else(cloud) -> None:
    emails = {name: f"{name}@x" for name in ("monitor", "stream", "backup", "verify", "scheduler")}
    args = SchedulersArgs("demo", "europe-west1", "image", schedule("local", BACKUPS), emails)
    cloud.provision(lambda: Schedulers("schedulers", args))

    assert {resource.inputs["member"] for resource in cloud.of("JobIamMember")} == {"serviceAccount:scheduler@x"}
    assert not cloud.of("ServiceIamMember"), "nobody calls the always-on services"
    timers = [resource for resource in cloud.of("Job") if resource.typ.startswith("gcp:cloudscheduler")]
    assert {timer.inputs["name"]: timer.inputs["schedule"] for timer in timers} == {
        "causeway-backup-high": "7 * * * *",
        "causeway-backup-medium": "17 2 * * *",
        "causeway-verify": "47 3 * * *",
        "causeway-prune": "47 8 * * *",
        "causeway-watchdog": "* * * * *",
    }
    for timer in timers:
        assert timer.inputs["httpTarget"]["uri"].endswith(f"/jobs/{timer.inputs['name']}:run")
    for service in cloud.of("Service"):
        template = service.inputs["template"]
        assert template["scaling"] == {"minInstanceCount": 1, "maxInstanceCount": 1}
        assert template["containers"][0]["resources"]["cpuIdle"] is False, "a heartbeat needs its CPU always"
        assert service.inputs["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"


PLANNED = schedule("local", BACKUPS)


@pytest.mark.parametrize("command", [run.command for run in (*PLANNED.always_on, *PLANNED.scheduled)], ids=" ".join)
def test_every_scheduled_command_is_one_the_command_line_understands(command: tuple[str, ...]) -> None:
    """Prevents a job that fails each night with a usage error. Parses as far as the command, and runs nothing."""
    program, *words = command
    assert program == "causeway"
    try:
        context = cli.make_context(program, words)
        while isinstance(context.command, click.Group):
            name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
            assert found is not None
            context = found.make_context(name, rest, parent=context)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not written yet")
    assert context.params["stack"] == "local"


def test_without_realtime_data_nothing_streams() -> None:
    assert [service.name for service in schedule("local", {"high": "hourly"}).always_on] == ["causeway-monitor"]


def test_an_unknown_rhythm_is_no_schedule() -> None:
    with pytest.raises(KeyError):
        schedule("local", {"high": "weekly"})


URL_MAP = UrlMapSplit("CVAnalyzer", "cv-map", "backend/legacy", "backend/package")
CLOUD_RUN = CloudRunSplit("CVAnalyzer", "cv", "europe-west1", "image", "cv-1", "cv-2")


@pytest.mark.parametrize("weight", [0, 10, 100])
def test_shares_add_up_in_the_units_of_each_kind(weight: int) -> None:
    assert sum(share for _, share in url_map_weights(URL_MAP, weight)) == 1000
    assert sum(percent for _, percent in cloud_run_percents(CLOUD_RUN, weight)) == 100


def test_a_weight_beyond_all_traffic_is_refused() -> None:
    with pytest.raises(ValueError, match="110 %"):
        TrafficArgs("demo", URL_MAP, 110, Unregistered.__new__(Unregistered))


def test_revisions_split_a_cloud_run_service(cloud) -> None:
    cloud.provision(lambda: Traffic("traffic", TrafficArgs("demo", CLOUD_RUN, 25, Unregistered())))

    traffics = cloud.one("traffic-CVAnalyzer")["traffics"]
    assert [(target["revision"], target["percent"]) for target in traffics] == [("cv-2", 25), ("cv-1", 75)]
    assert package_percent(CLOUD_RUN, cloud.one("traffic-CVAnalyzer")) == 25


def test_a_url_map_weighs_its_backends(cloud) -> None:
    cloud.provision(lambda: Traffic("traffic", TrafficArgs("demo", URL_MAP, 25, Unregistered())))

    action = cloud.one("traffic-CVAnalyzer")["defaultRouteAction"]
    weights = [(backend["backendService"], backend["weight"]) for backend in action["weightedBackendServices"]]
    assert weights == [("backend/package", 250), ("backend/legacy", 750)]
    assert package_percent(URL_MAP, cloud.one("traffic-CVAnalyzer")) == 25


def test_the_compute_module_is_only_loaded_for_url_maps() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, components.traffic; print('pulumi_gcp.compute.url_map' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"


def test_the_monitor_alone_gets_the_addresses_of_people_and_by_reference(cloud) -> None:
    """Prevents: alerts of the deployed monitor reach nobody, for the variables that channels name are set nowhere."""
    members = ("serviceAccount:app@demo.iam.gserviceaccount.com",)
    who = replace(IDENTITIES, readers=members, secrets=("team",))

    def program() -> None:
        emails = {name: account.email for name, account in Identities("identities", who).accounts.items()}
        secrets = {"CAUSEWAY_NOTIFY_TEAM": "team"}
        Schedulers("s", SchedulersArgs("demo", "eu", "image", schedule("local", BACKUPS), emails, secrets=secrets))

    cloud.provision(program)
    holders = {
        run.name
        for run in (*cloud.of("Service"), *cloud.of("Job"))
        if "secretKeyRef" in json.dumps(run.inputs.get("template"), default=str)
    }
    assert holders == {"s-causeway-monitor", "s-causeway-watchdog"}
    (grant,) = [each.inputs for each in cloud.of("SecretIamMember")]
    assert (grant["secretId"], grant["role"]) == ("team", "roles/secretmanager.secretAccessor")
    assert grant["member"] == "serviceAccount:causeway-monitor@demo.iam.gserviceaccount.com"
    assert cloud.one("identities-reader-0-datastore-viewer")["member"] == members[0]
