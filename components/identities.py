"""Who may do what: one service account per task, each with the few roles that task needs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import projects, secretmanager, serviceaccount


@dataclass(frozen=True, slots=True)
class Grant:
    """A project role, limited to some Firestore databases where `databases` names any."""

    role: str
    databases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account, what it is for, and its roles."""

    name: str
    purpose: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentitiesArgs:
    """`readers` are the application's own members (they read the flag set); `operators` may act as `restore`.

    `secrets` are names in Secret Manager: the addresses of people, which the monitor alone reads.
    """

    project: str
    database: str
    application_database: str
    scratch_database: str
    readers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    prefix: str = "causeway"


def identities(args: IdentitiesArgs) -> tuple[Identity, ...]:
    """Every identity of a stack. Only `restore` and `stream` can write the application's database."""
    records, application = args.database, args.application_database

    def writes(*databases: str) -> Grant:
        return Grant("roles/datastore.user", databases)

    metrics, reads = Grant("roles/monitoring.viewer"), Grant("roles/datastore.viewer", (application,))
    return (
        # Data integrity probes and the service state kept at each step read the application's data.
        Identity(
            "monitor", "Watches health, renews the heartbeat, sends traffic back", (writes(records), reads, metrics)
        ),
        Identity("runner", "Moves the stack along its plan", (writes(records), reads, metrics)),
        # Its sentinel and heartbeat lie in the database that it backs up; IAM cannot be narrowed to their collection.
        Identity("stream", "Backs up CRITICAL data in real time", (writes(records, application),)),
        Identity("backup", "Backs up HIGH and MEDIUM data on schedule", (writes(records), reads)),
        Identity("verify", "Restores backups on trial", (writes(records, args.scratch_database),)),
        Identity("restore", "Restores the application's data", (writes(records, application),)),
        Identity("scheduler", "Starts the scheduled jobs"),
    )


class Identities(pulumi.ComponentResource):
    """The service accounts by name (`accounts`), bound to their roles one by one."""

    accounts: dict[str, serviceaccount.Account]

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("causeway:components:Identities", name, None, opts)
        self.accounts = {}
        for identity in identities(args):
            account = serviceaccount.Account(
                f"{name}-{identity.name}",
                project=args.project,
                account_id=f"{args.prefix}-{identity.name}",
                display_name=f"{args.prefix} {identity.name}",
                description=identity.purpose,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.accounts[identity.name] = account
            for grant in identity.grants:
                self._bind(f"{name}-{identity.name}", args.project, account.member, grant)
        for index, member in enumerate(args.readers):
            self._bind(
                f"{name}-reader-{index}", args.project, member, Grant("roles/datastore.viewer", (args.database,))
            )
        for index, member in enumerate(args.operators):
            serviceaccount.IAMMember(
                f"{name}-operator-{index}",
                service_account_id=self.accounts["restore"].name,
                role="roles/iam.serviceAccountTokenCreator",
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        for secret in args.secrets:
            secretmanager.SecretIamMember(
                f"{name}-monitor-{secret}",
                project=args.project,
                secret_id=secret,
                role="roles/secretmanager.secretAccessor",
                member=self.accounts["monitor"].member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"emails": {who: account.email for who, account in self.accounts.items()}})

    def member(self, who: str) -> pulumi.Output[str]:
        """The IAM member of an identity. Raises KeyError for a name that `identities` does not list."""
        return self.accounts[who].member

    def _bind(self, name: str, project: str, member: pulumi.Input[str], grant: Grant) -> None:
        projects.IAMMember(
            f"{name}-{grant.role.removeprefix('roles/').replace('.', '-')}",
            project=project,
            role=grant.role,
            member=member,
            condition=only(project, grant.databases) if grant.databases else None,
            opts=pulumi.ResourceOptions(parent=self),
        )


def only(project: str, databases: tuple[str, ...]) -> projects.IAMMemberConditionArgs:
    """A condition that lets a Firestore role reach these databases. IAM sees databases, not their collections."""
    return projects.IAMMemberConditionArgs(
        title=f"only {' and '.join(databases)}",
        description="Firestore roles are granted per project; this limits one to databases",
        expression=" || ".join(f'resource.name == "projects/{project}/databases/{name}"' for name in databases),
    )
