"""Who may do what: one service account per task, each with the few roles that task needs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import projects, serviceaccount


@dataclass(frozen=True, slots=True)
class Grant:
    """A project role, limited to one Firestore database where `database` names one."""

    role: str
    database: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account, what it is for, and its roles."""

    name: str
    purpose: str
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentitiesArgs:
    """`readers` are the application's own members (they read the flag set); `operators` may act as `restore`."""

    project: str
    database: str
    application_database: str
    scratch_database: str
    readers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    prefix: str = "causeway"


def identities(args: IdentitiesArgs) -> tuple[Identity, ...]:
    """Every identity of a stack. Only `restore` can write the application's data, and nothing runs as it by itself."""
    records = Grant("roles/datastore.user", args.database)
    application = Grant("roles/datastore.viewer", args.application_database)
    metrics = Grant("roles/monitoring.viewer")
    scratch = Grant("roles/datastore.user", args.scratch_database)
    restored = Grant("roles/datastore.user", args.application_database)
    return (
        Identity("monitor", "Watches health, renews the heartbeat, can send traffic back", (records, metrics)),
        Identity("runner", "Moves the stack along its plan", (records, metrics)),
        Identity("stream", "Backs up CRITICAL data in real time", (records, application)),
        Identity("backup", "Backs up HIGH and MEDIUM data on schedule", (records, application)),
        Identity("verify", "Restores backups on trial into the scratch database", (records, scratch)),
        Identity("restore", "Restores the application's data; operators act as it", (records, restored)),
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
            self._bind(f"{name}-reader-{index}", args.project, member, Grant("roles/datastore.viewer", args.database))
        for index, member in enumerate(args.operators):
            serviceaccount.IAMMember(
                f"{name}-operator-{index}",
                service_account_id=self.accounts["restore"].name,
                role="roles/iam.serviceAccountTokenCreator",
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"emails": {who: account.email for who, account in self.accounts.items()}})

    def member(self, who: str) -> pulumi.Output[str]:
        """The IAM member of an identity. Raises KeyError for a name that `identities` does not list."""
        return self.accounts[who].member

    def email(self, who: str) -> pulumi.Output[str]:
        """The address of an identity. Raises KeyError for a name that `identities` does not list."""
        return self.accounts[who].email

    def _bind(self, name: str, project: str, member: pulumi.Input[str], grant: Grant) -> None:
        label = grant.role.removeprefix("roles/").replace(".", "-")
        where = f"-{grant.database.strip('()')}" if grant.database else ""
        projects.IAMMember(
            f"{name}-{label}{where}",
            project=project,
            role=grant.role,
            member=member,
            condition=only_database(project, grant.database) if grant.database else None,
            opts=pulumi.ResourceOptions(parent=self),
        )


def only_database(project: str, database: str) -> projects.IAMMemberConditionArgs:
    """A condition that lets a Firestore role reach one database. IAM does not see collections, only databases."""
    return projects.IAMMemberConditionArgs(
        title=f"only database {database.strip('()')}",
        description="Firestore roles are granted per project; this limits one to a database",
        expression=f'resource.name == "projects/{project}/databases/{database}"',
    )
