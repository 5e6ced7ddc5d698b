"""CRITICAL data keeps its protection: databases that cannot be deleted, backups that are made and stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.application_database import unprotected
from policies.facts import Expected, Resource, Rule, StackRule, of_kind

DATABASE = "gcp:firestore/database:Database"
BUCKET = "gcp:storage/bucket:Bucket"
SCHEDULE = "gcp:firestore/backupSchedule:BackupSchedule"
_DAY_S = 86_400
_KEPT = ("PREVENT", "ABANDON")


def databases_protected(resource: Resource, expected: Expected) -> Iterator[str]:
    """The records' database can be rewound and is deleted neither by a command nor by `pulumi destroy`."""
    records = expected.databases[0]
    if resource.kind != DATABASE or resource.inputs.get("name") != records:
        return
    yield from unprotected(resource.inputs)
    if (policy := resource.inputs.get("deletionPolicy")) not in _KEPT:
        yield f"deletionPolicy of {records} is {policy or 'not set'}: `pulumi destroy` would take the journal along"


def bucket_protected(resource: Resource, expected: Expected) -> Iterator[str]:
    """Archives are versioned, retained for as long as config says, and not deleted with the stack."""
    if resource.kind != BUCKET:
        return
    inputs = resource.inputs
    kept_s = int(float(inputs.get("retentionPolicy", {}).get("retentionPeriod", 0)))
    if kept_s < expected.retention_days * _DAY_S:
        yield f"archives are retained for {kept_s // _DAY_S} days, not {expected.retention_days}"
    if not inputs.get("versioning", {}).get("enabled"):
        yield "versioning is off: a replaced archive is gone"
    if inputs.get("forceDestroy"):
        yield "forceDestroy is on: the archives would be deleted with the bucket"
    if inputs.get("deletionPolicy") not in _KEPT:
        yield "deletionPolicy is not PREVENT or ABANDON: `pulumi destroy` would delete the bucket"
    for rule in inputs.get("lifecycleRules", ()):
        if rule["action"]["type"] == "Delete" and rule["condition"].get("withState") != "ARCHIVED":
            yield "a lifecycle rule deletes live archives; only `causeway backup` knows which of them are verified"


def backups_made(resources: Sequence[Resource], expected: Expected) -> Iterator[str]:
    """The records' database and the bucket are there, and every database has its daily and weekly backup."""
    records = expected.databases[0]
    if not any(found.inputs.get("name") == records for found in of_kind(resources, DATABASE)):
        yield f"the database {records} is not in the stack: backups and journal have no place"
    if not of_kind(resources, BUCKET):
        yield "there is no backup bucket in the stack: archives have no place"
    schedules = of_kind(resources, SCHEDULE)
    for database in expected.backed_up:
        for rhythm in ("daily", "weekly"):
            if not any(
                found.inputs.get("database", database) == database
                and found.inputs.get(f"{rhythm}Recurrence") is not None
                for found in schedules
            ):
                yield f"database {database} has no {rhythm} backup schedule"


RULES = (
    Rule("records-protected", "The database of causeway's records is protected against loss", databases_protected),
    Rule("archives-protected", "Backup archives are kept", bucket_protected),
)
STACK_RULES = (StackRule("backups-made", "CRITICAL data is backed up", backups_made),)
