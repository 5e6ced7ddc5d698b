"""All components together, as a stack of seven services has them: which resources, and what registering them costs."""

from __future__ import annotations

import time
from pathlib import Path

import pulumi
import pytest

from components.alerts import Alert, Alerts, AlertsArgs, missed_run
from components.application_database import ApplicationDatabase, ApplicationDatabaseArgs
from components.backup_bucket import BackupBucket, BackupBucketArgs
from components.channels import Channel, Channels, ChannelsArgs, Severity
from components.identities import Identities, IdentitiesArgs
from components.records import SCRATCH_DATABASE, Records, RecordsArgs
from components.schedulers import Schedulers, SchedulersArgs, schedule

GOLDEN = Path(__file__).parent / "golden" / "resources.txt"
SERVICES = (
    "CVAnalyzer",
    "ImprovementOrchestrator",
    "CacheManager",
    "RecommendationGenerator",
    "CircuitBreakerCore",
    "RecommendationOrchestrator",
    "ActionOrchestrator",
)
GUARDRAILS = ("error_rate", "response_time", "throughput", "availability")


def stack(services: tuple[str, ...] = SERVICES) -> None:
    """Everything but the flag set, whose hook the mocks cannot bear."""
    planned = schedule("local", {"critical": "realtime", "high": "hourly", "medium": "daily"})
    Records("records", RecordsArgs("demo", "europe-west1"))
    ApplicationDatabase("application", ApplicationDatabaseArgs("demo"))
    who = Identities("identities", IdentitiesArgs("demo", "causeway", "(default)", SCRATCH_DATABASE))
    writers = {name: who.member(name) for name in ("stream", "backup")}
    readers = {name: who.member(name) for name in ("verify", "restore")}
    BackupBucket("backups", BackupBucketArgs("demo", "EU", "demo-backups", writers=writers, readers=readers))
    heard = Channels("notify", ChannelsArgs("demo", (Channel("team", "email", {"email_address": "t@example.org"}),)))
    emails = {name: account.email for name, account in who.accounts.items()}
    Schedulers("schedulers", SchedulersArgs("demo", "europe-west1", "image", planned, emails))
    guarded = [
        Alert(f"{service}-{guardrail}", "t", "x", "up == 0", Severity.CRITICAL, service, guardrail)
        for service in services
        for guardrail in GUARDRAILS
    ]
    missed = [missed_run(job.name, job.missed_after_s) for job in planned.scheduled]
    Alerts("alerts", AlertsArgs("demo", (*guarded, *missed), heard.by_severity))


def test_the_resources_of_seven_services_are_those_of_the_golden_list(cloud) -> None:
    cloud.provision(stack)
    listed = "\n".join(sorted(f"{resource.typ} {resource.name}" for resource in cloud.resources)) + "\n"
    assert listed == GOLDEN.read_text(), f"if this is meant, write it to {GOLDEN}"


def test_names_are_unique_so_that_no_urn_clashes(cloud) -> None:
    cloud.provision(stack)
    named = [(resource.typ, resource.name) for resource in cloud.resources]
    assert len(set(named)) == len(named)


def test_registering_grows_linearly_with_the_services(cloud) -> None:
    """Prevents a resource that depends on every other: 8 times the services would cost 64 times as much."""

    def cost(services: int) -> float:
        started = time.process_time()
        cloud.provision(lambda: stack(tuple(f"Service{index}" for index in range(services))))
        return time.process_time() - started

    cost(7)  # the first run imports the SDK's modules and reads its types
    few, many = cost(10), cost(80)
    assert many < 16 * few


def test_a_resource_that_the_sdk_does_not_know_fails_here(cloud) -> None:
    """Prevents mocks that accept anything: without the recorder's check every test here would pass on nonsense."""

    class Odd(pulumi.CustomResource):
        def __init__(self) -> None:
            super().__init__("gcp:storage/bucket:Bucket", "odd", {"location": "EU", "publicAcess": "enforced"})

    with pytest.raises(AssertionError, match="no property 'publicAcess'"):
        cloud.provision(Odd)
