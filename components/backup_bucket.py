"""The bucket that keeps archives: nobody public, nothing overwritten, nothing deleted before its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import storage

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class BackupBucketArgs:
    """`retention_days` is the time nothing can be deleted or replaced; locking it is irreversible.

    `kms_key` is the full name of a Cloud KMS key (CMEK). `writers`, `appenders` (who read, and add but never replace)
    and `readers` are names of identities and their IAM members. Objects turn colder after `nearline_days`; versions
    that were replaced go after `noncurrent_days`.
    """

    project: str
    location: str
    name: str
    retention_days: int = 30
    locked: bool = False
    kms_key: str | None = None
    nearline_days: int = 30
    noncurrent_days: int = 90
    deletion_policy: str = "PREVENT"
    writers: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    appenders: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    readers: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class BackupBucket(pulumi.ComponentResource):
    """A bucket with uniform access, public access prevention, versioning and a retention policy."""

    bucket: storage.Bucket

    def __init__(self, name: str, args: BackupBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:BackupBucket", name, None, opts)
        self.bucket = storage.Bucket(
            f"{name}-bucket",
            project=args.project,
            location=args.location,
            name=args.name,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=storage.BucketVersioningArgs(enabled=True),
            retention_policy=storage.BucketRetentionPolicyArgs(
                retention_period=str(args.retention_days * _DAY_S), is_locked=args.locked
            ),
            encryption=storage.BucketEncryptionArgs(default_kms_key_name=args.kms_key) if args.kms_key else None,
            lifecycle_rules=_lifecycle(args),
            force_destroy=False,
            deletion_policy=args.deletion_policy,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        for role, members in (
            ("objectUser", args.writers),
            ("objectViewer", {**args.appenders, **args.readers}),
            ("objectCreator", args.appenders),
        ):
            for who, member in members.items():
                storage.BucketIAMMember(
                    f"{name}-{who}-adds" if role == "objectCreator" else f"{name}-{who}",
                    bucket=self.bucket.name,
                    role=f"roles/storage.{role}",
                    member=member,
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({"bucket": self.bucket.name, "url": self.bucket.url})


def _lifecycle(args: BackupBucketArgs) -> list[storage.BucketLifecycleRuleArgs]:
    """Live archives are pruned by `causeway backup`, which knows what was verified; only replaced versions go here."""
    return [
        storage.BucketLifecycleRuleArgs(
            action=storage.BucketLifecycleRuleActionArgs(type="SetStorageClass", storage_class="NEARLINE"),
            condition=storage.BucketLifecycleRuleConditionArgs(age=args.nearline_days),
        ),
        storage.BucketLifecycleRuleArgs(
            action=storage.BucketLifecycleRuleActionArgs(type="Delete"),
            condition=storage.BucketLifecycleRuleConditionArgs(
                with_state="ARCHIVED", days_since_noncurrent_time=args.noncurrent_days
            ),
        ),
    ]
