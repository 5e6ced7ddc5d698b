"""Causeway's own Firestore database: backup collections, their indexes, retention, rules and backup schedules."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import firebaserules, firestore

from components.database_backups import database_backups

#: The database everything of causeway lives in; the application's own is never created, ruled or rewound.
DATABASE = "causeway"
#: Where `causeway backup verify` restores into on trial; it holds copies only.
SCRATCH_DATABASE = "causeway-verify"
#: The timestamp after which Firestore deletes a record by itself (TTL).
EXPIRY_FIELD = "expires_at"

#: Nobody reaches these records through a client SDK: server identities go through IAM, which rules do not touch.
DENY_CLIENTS = """\
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /{document=**} {
      allow read, write: if false;
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Collection:
    """A backup collection and the composite indexes its readers query by: field names, `-` in front for descending."""

    name: str
    indexes: tuple[tuple[str, ...], ...]


COLLECTIONS = (
    Collection("service_state_backups", (("stack", "service", "-taken_at"),)),
    Collection("migration_checkpoints", (("stack", "-seq"),)),
    Collection("rollback_triggers", (("stack", "-seq"),)),
    Collection("performance_baselines", (("stack", "service", "-until"),)),
)


@dataclass(frozen=True, slots=True)
class RecordsArgs:
    """`deletion_policy` is what `pulumi destroy` does to the database: PREVENT, ABANDON or DELETE."""

    project: str
    location: str
    deletion_policy: str = "PREVENT"
    collections: tuple[Collection, ...] = COLLECTIONS


class Records(pulumi.ComponentResource):
    """The named database `causeway`, protected against deletion, rewindable for 7 days, closed to clients."""

    database: firestore.Database

    def __init__(self, name: str, args: RecordsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Records", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.database = firestore.Database(
            f"{name}-database",
            project=args.project,
            name=DATABASE,
            location_id=args.location,
            type="FIRESTORE_NATIVE",
            delete_protection_state="DELETE_PROTECTION_ENABLED",
            point_in_time_recovery_enablement="POINT_IN_TIME_RECOVERY_ENABLED",
            deletion_policy=args.deletion_policy,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        firestore.Database(
            f"{name}-scratch",
            project=args.project,
            name=SCRATCH_DATABASE,
            location_id=args.location,
            type="FIRESTORE_NATIVE",
            delete_protection_state="DELETE_PROTECTION_DISABLED",
            deletion_policy="DELETE",
            opts=child,
        )
        for collection in args.collections:
            self._collection(name, args.project, collection)
        self._rules(name, args.project)
        database_backups(name, args.project, self.database.name, parent=self)
        self.register_outputs({"database": self.database.name})

    def _collection(self, name: str, project: str, collection: Collection) -> None:
        child = pulumi.ResourceOptions(parent=self)
        for fields in collection.indexes:
            by = "-".join(field.lstrip("-") for field in fields)
            firestore.Index(
                f"{name}-{collection.name}-by-{by}",
                project=project,
                database=self.database.name,
                collection=collection.name,
                query_scope="COLLECTION",
                fields=[_index_field(field) for field in fields],
                opts=child,
            )
        firestore.Field(
            f"{name}-{collection.name}-ttl",
            project=project,
            database=self.database.name,
            collection=collection.name,
            field=EXPIRY_FIELD,
            ttl_config=firestore.FieldTtlConfigArgs(),
            # Nothing queries by expiry, and an index over rising timestamps is a hotspot.
            index_config=firestore.FieldIndexConfigArgs(indexes=[]),
            opts=child,
        )

    def _rules(self, name: str, project: str) -> None:
        ruleset = firebaserules.Ruleset(
            f"{name}-ruleset",
            project=project,
            source=firebaserules.RulesetSourceArgs(
                files=[firebaserules.RulesetSourceFileArgs(name="causeway.rules", content=DENY_CLIENTS)],
                language="FIREBASE_RULES",
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.database]),
        )
        firebaserules.Release(
            f"{name}-release",
            project=project,
            # A release with the bare name would replace the rules of the application's (default) database.
            name=f"cloud.firestore/{DATABASE}",
            ruleset_name=pulumi.Output.concat("projects/", project, "/rulesets/", ruleset.name),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _index_field(field: str) -> firestore.IndexFieldArgs:
    return firestore.IndexFieldArgs(
        field_path=field.lstrip("-"), order="DESCENDING" if field.startswith("-") else "ASCENDING"
    )
