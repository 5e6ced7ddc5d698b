"""`causeway backup service-state`: save, list, restore."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from causeway.cli.backup_options import connect, database_option, project_option, source, yes_option
from causeway.cli.common import config_of, json_option, print_json, quietly, selected_stack, stack_option
from causeway.errors import ConfigError, Exit

records_option = click.option(
    "--records", metavar="DATABASE", default="causeway", help="The database the records lie in; default: causeway."
)


@click.group("service-state")
def service_state() -> None:
    """Save and restore the state of services: breakers, cache entries, jobs, active recommendations."""


@service_state.command()
@click.argument("service")
@stack_option
@project_option
@database_option
@records_option
@click.option("--version", required=True, metavar="VERSION", help="The version that runs: legacy, package or a build.")
@click.option(
    "--collection", "collections", multiple=True, metavar="KIND=NAME", help="Where a kind lies; default: the stack's."
)
@json_option
@quietly
def save(
    service: str,
    stack: str | None,
    project: str | None,
    database: str | None,
    records: str,
    version: str,
    collections: tuple[str, ...],
    as_json: bool,
) -> None:
    """Keep a service's state as one record."""
    from causeway.backup.documents import Database
    from causeway.backup.service_state import save_service_state

    application = source(stack, project, database)
    by_kind = dict(map(_kind_and_name, collections)) or _configured(stack, service)
    with connect(application) as read, connect(Database(application.project, records)) as keep:
        kept = save_service_state(read, keep, _whose(stack, project), service, version, by_kind, sleep=time.sleep)
    print_json(kept.as_dict()) if as_json else click.echo(f"{kept.id}: {len(kept.body)} bytes")


def _whose(stack: str | None, project: str | None) -> str:
    """The stack whose records are meant; beside a project named outright there need be none."""
    return stack or ("" if project is not None else selected_stack())


def _kind_and_name(given: str) -> tuple[str, str]:
    kind, equals, name = given.partition("=")
    if not (kind and equals and name):
        raise click.BadParameter(f"{given!r} is not KIND=NAME", param_hint="--collection")
    return kind, name


def _configured(stack: str | None, service: str) -> dict[str, str]:
    collections = config_of(stack).hooks.state.get(service)
    if not collections:
        raise ConfigError(
            f"causeway:hooks names no state of {service}",
            "there is nothing to keep",
            "name its collections under causeway:hooks.state, or give --collection KIND=NAME",
        )
    return dict(collections)


@service_state.command("list")
@click.argument("service", required=False)
@stack_option
@project_option
@records_option
@json_option
@quietly
def list_states(service: str | None, stack: str | None, project: str | None, records: str, as_json: bool) -> None:
    """List the records there are, oldest first."""
    from causeway.backup.documents import Database
    from causeway.backup.service_state import list_service_states

    with connect(Database(source(stack, project, None).project, records)) as connection:
        rows = list_service_states(connection, _whose(stack, project), service)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['timestamp']}  {row['service']}@{row['version']}  {row['bytes']} bytes  {row['id']}")


@service_state.command()
@click.argument("service")
@stack_option
@project_option
@database_option
@records_option
@click.option("--at", metavar="TIME", help="Rounded down to the last record; default: the latest.")
@yes_option
@json_option
@quietly
def restore(
    service: str,
    stack: str | None,
    project: str | None,
    database: str | None,
    records: str,
    at: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Make a service's collections hold exactly what a record holds, and prove it by reading back."""
    from causeway.backup import times
    from causeway.backup.documents import Database
    from causeway.backup.service_state import load_service_state, restore_service_state

    application = source(stack, project, database)
    with connect(application) as write, connect(Database(application.project, records)) as keep:
        kept = load_service_state(keep, _whose(stack, project), service, times.parse(at) if at else datetime.now(UTC))
        if not yes:
            named = ", ".join(sorted(kept.collections.values()))
            click.confirm(f"Replace {named} in {application.name} by {kept.id}?", abort=True, err=True)
        found = restore_service_state(write, kept, sleep=time.sleep)
    statement = (
        f"{found.documents} documents, {found.missing} missing, {found.extra} extra, {found.differing} differing"
    )
    facts = {
        **kept.as_dict(),
        "documents": found.documents,
        "missing": found.missing,
        "extra": found.extra,
        "differing": found.differing,
    }
    print_json(facts) if as_json else click.echo(statement)
    if not found.equal:
        click.get_current_context().exit(Exit.INTEGRITY)
