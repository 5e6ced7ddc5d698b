"""The application's database: backed up by name, its settings read and checked, itself never owned by the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_gcp import firestore

from components.database_backups import database_backups

#: What CRITICAL data needs of the database it lives in: setting, wanted value, what its absence leads to.
PROTECTION = (
    (
        "pointInTimeRecoveryEnablement",
        "POINT_IN_TIME_RECOVERY_ENABLED",
        "disaster recovery can only go back to the last finished backup",
    ),
    (
        "deleteProtectionState",
        "DELETE_PROTECTION_ENABLED",
        "one mistaken command deletes the database",
    ),
)


def unprotected(settings: Mapping[str, str | None]) -> tuple[str, ...]:
    """What is missing from a database's settings, a sentence each; empty when CRITICAL data is protected."""
    return tuple(
        f"{setting} is {settings.get(setting) or 'not set'}, not {wanted}: {danger}"
        for setting, wanted, danger in PROTECTION
        if settings.get(setting) != wanted
    )


@dataclass(frozen=True, slots=True)
class ApplicationDatabaseArgs:
    """`schedule` is off where the application keeps backup schedules itself: Firestore allows one of each kind.

    `read` is off where the settings cannot be read from here (another team's project, the emulator).
    """

    project: str
    database: str = "(default)"
    schedule: bool = True
    read: bool = True


class ApplicationDatabase(pulumi.ComponentResource):
    """Backup schedules for the application's database, and `findings`: what its own settings leave unprotected.

    A finding is a warning here and an obstacle in preflight. It must not fail an update: the way back stays open
    whatever somebody did to the database's settings meanwhile.
    """

    findings: pulumi.Output[tuple[str, ...]]

    def __init__(self, name: str, args: ApplicationDatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:ApplicationDatabase", name, None, opts)
        self.findings = self._read(name, args) if args.read else pulumi.Output.from_input(())
        if args.schedule:
            database_backups(name, args.project, args.database, parent=self)
        self.register_outputs({"findings": self.findings})

    def _read(self, name: str, args: ApplicationDatabaseArgs) -> pulumi.Output[tuple[str, ...]]:
        found = firestore.Database.get(
            f"{name}-settings",
            f"projects/{args.project}/databases/{args.database}",
            opts=pulumi.ResourceOptions(parent=self),
        )

        def check(settings: list[str | None]) -> tuple[str, ...]:
            findings = unprotected(dict(zip((setting for setting, _, _ in PROTECTION), settings, strict=True)))
            for finding in findings:
                pulumi.log.warn(f"database {args.database}: {finding}", resource=self)
            return findings

        return pulumi.Output.all(found.point_in_time_recovery_enablement, found.delete_protection_state).apply(check)
