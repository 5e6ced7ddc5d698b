"""Firestore's own backup schedules for a database: daily and weekly, the most the service allows."""

from __future__ import annotations

import pulumi
from pulumi_gcp import firestore

_DAY_S = 86_400
#: Firestore keeps a backup for at most 14 weeks.
_LONGEST_DAYS = 98


def database_backups(
    name: str,
    project: str,
    database: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    daily_days: int = 14,
    weekly_days: int = _LONGEST_DAYS,
) -> None:
    """Schedule a daily backup kept `daily_days` and a weekly one kept `weekly_days` for `database`."""
    child = pulumi.ResourceOptions(parent=parent)
    firestore.BackupSchedule(
        f"{name}-daily",
        project=project,
        database=database,
        retention=f"{daily_days * _DAY_S}s",
        daily_recurrence={},
        opts=child,
    )
    firestore.BackupSchedule(
        f"{name}-weekly",
        project=project,
        database=database,
        retention=f"{weekly_days * _DAY_S}s",
        weekly_recurrence=firestore.BackupScheduleWeeklyRecurrenceArgs(day="SUNDAY"),
        opts=child,
    )
