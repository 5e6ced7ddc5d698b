"""Level 4: everything back to legacy, then the application's data and the services' state as of a chosen time.

Writes are frozen through control's maintenance flag while data is restored; traffic is opened only after it has been
read back and compared by digest. The journal is never restored: it lives in a database of its own.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import Any

from causeway.backup import times
from causeway.backup.archive import Archive
from causeway.backup.connection import Connection
from causeway.backup.documents import Database
from causeway.backup.history import find
from causeway.backup.ramp import Ramp, unlimited
from causeway.backup.restore import Outcome, Restore, summary
from causeway.backup.service_state import load_service_state, restore_service_state
from causeway.backup.storage import open_storage
from causeway.errors import ConfigError, IntegrityError
from causeway.model.plan import LAST
from causeway.model.strategies import RETIRE
from causeway.rollout import rollback, updates
from causeway.rollout.journal import Journal, Record, State
from causeway.rollout.opening import project_of
from causeway.rollout.rollback import Request
from causeway.rollout.stack import Stack
from causeway.rollout.store import DATABASE


def recover(stack: Stack, journal: Journal, request: Request, at: str | None) -> Record:
    """Level 3, frozen writes, restored and verified data, settled stack, thawed writes; each part timed.

    `at` is a time or a backup's id; the latest point there is by default. Raises IntegrityError where what was
    restored does not read back equal: writes stay frozen then.
    """
    clock = stack.clock
    archive = Archive(open_storage(stack.config.backup.archive), clock.now)
    parts = find(archive, at, ())  # refuses before anything moves
    _revive(stack)
    record = rollback.send_back(stack, journal, request)
    timings: dict[str, float] = {}
    began = clock.monotonic()
    clock.sleep(stack.config.freshness.renew)  # every reader has seen it by then
    stack.say("frozen", "writes are frozen", record.there)
    outcomes = _restore_data(stack, archive, parts)
    timings["data_s"] = round(clock.monotonic() - began, 3)
    for outcome in outcomes:
        stack.say("restored", outcome.statement, record.there)
    began = clock.monotonic()
    states = _restore_states(stack, _as_of(parts))
    timings["state_s"] = round(clock.monotonic() - began, 3)
    record = journal.advance(record, State.INTENT, "data written", data=summary(outcomes), states=states)
    _verified(outcomes, states)
    record = journal.advance(record, State.INTENT, "data restored", restored=times.text(_as_of(parts)), timings=timings)
    updates.clear(stack, journal.lease)
    record = rollback.reconcile(stack, journal, record)
    journal.lease.commit(maintenance=None)
    stack.say("thawed", "writes are open again", record.there)
    return record


def _restore_data(stack: Stack, archive: Archive, parts: list[Any]) -> list[Outcome]:
    """The application's database holds exactly what the archive held: what is newer goes, that is what level 4 is."""
    database = Database(project_of(stack.config), stack.config.backup.database)
    with Connection.open(database) as connection, ExitStack() as opened:
        wait = unlimited if connection.emulated else Ramp(stack.clock.monotonic, stack.clock.sleep).wait
        works = [opened.enter_context(Restore(archive, part, connection, replace_newer=True)) for part in parts]
        return [work.apply(work.plan(), wait=wait, sleep=stack.clock.sleep) for work in works]


def _restore_states(stack: Stack, at: datetime) -> dict[str, Any]:
    """The state of each service that config describes, as last kept before that time; none kept is said."""
    project = project_of(stack.config)
    found: dict[str, Any] = {}
    with (
        Connection.open(Database(project, stack.config.backup.database)) as application,
        Connection.open(Database(project, DATABASE)) as records,
    ):
        for service in stack.config.hooks.state:
            try:
                kept = load_service_state(records, stack.name, service, at)
            except ConfigError as error:
                found[service] = {"kept": None, "why": error.fact}
                continue
            difference = restore_service_state(application, kept, sleep=stack.clock.sleep)
            found[service] = {
                "kept": kept.id,
                "missing": difference.missing,
                "extra": difference.extra,
                "differing": difference.differing,
            }
    return found


def _verified(outcomes: list[Outcome], states: dict[str, Any]) -> None:
    wrong = [outcome.statement for outcome in outcomes if not outcome.equal]
    wrong += [
        f"state of {service} does not read back equal"
        for service, found in states.items()
        if found["kept"] and (found["missing"] or found["extra"] or found["differing"])
    ]
    if wrong:
        raise IntegrityError(
            f"what was restored does not read back equal: {'; '.join(wrong)}",
            "writes stay frozen and traffic stays on legacy",
            "`causeway rollback --level 4` again resumes; `causeway backup verify` says whether the archive is whole.",
        )


def _as_of(parts: list[Any]) -> datetime:
    instant: datetime = min(part.point.instant for part in parts)
    return instant


def _revive(stack: Stack) -> None:
    """A retired legacy is brought back before any traffic is sent to it."""
    served = stack.served()
    if served is not None and served.place.position == LAST and RETIRE.undo:
        for service in stack.config.matrix.services:
            stack.application.perform(service, RETIRE.undo, {"position": LAST})
