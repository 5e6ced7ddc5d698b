"""Work that goes on after its request: improvement jobs and recommendation workflows, on the versions that began them.

Every record keeps the decision of its request, and the worker routes the work by that: nothing joins later, and a
package that its user has lost since is not called any more. A stage that fails is tried again on what its user gets by
then. Only the record's own service stays as it was.
A record is saved before its next stage begins, so a process that dies is taken over by the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from causeway.client import routing
from causeway.client.workflow import Compensations, State, Workflow
from causeway.model.matrix import Version
from examples.cvplus.database import Database, Write
from examples.cvplus.mesh import Mesh

log = logging.getLogger(__name__)

JOBS = "processing_jobs"
WORKFLOWS = "workflows"
RECOMMENDATIONS = "recommendations"
EVENTS = "analytics_events"
#: The service whose records lie in each collection.
OWNERS = {JOBS: "ImprovementOrchestrator", WORKFLOWS: "RecommendationOrchestrator"}
STAGES = {JOBS: ("improve",), WORKFLOWS: ("draft", "publish", "announce")}
#: Records worked on side by side, and how long a failed stage waits for another try, in seconds.
AT_A_TIME, AGAIN_S = 16, 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """A workflow, for whom it runs, on which packages, and what its stages found (`before`: for the undo)."""

    collection: str
    workflow: Workflow
    user: str
    cv: dict[str, Any]
    packages: tuple[str, ...]
    before: dict[str, Any] | None = None
    due: float = 0.0

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.workflow.id}"

    def write(self) -> Write:
        """As it is saved."""
        fields = {"user": self.user, "cv": self.cv, "packages": list(self.packages), "before": self.before}
        work = asdict(self.workflow) | {"version": self.workflow.version.value, "state": self.workflow.state.value}
        return Write(
            self.path, fields | work | {"done": list(self.workflow.done), "undone": list(self.workflow.undone)}
        )


class Jobs:
    """Starts records, works on them until they are done, and settles them when traffic goes back."""

    def __init__(
        self,
        database: Database,
        mesh: Mesh,
        decide: Callable[[str], frozenset[str]],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._database = database
        self._mesh = mesh
        self._decide = decide
        self._monotonic = monotonic
        self._sleep = sleep
        self._running: dict[str, Record] = {}
        self._lock = asyncio.Lock()  # a compensation never meets a stage under way
        self._compensations = Compensations()
        self._compensations.nothing_to_undo("draft", "improve", "announce")
        self._compensations.stage("publish")(self._unpublish)

    async def load(self) -> None:
        """Takes over what another process has left running."""
        for collection in OWNERS:
            for name, fields in (await self._database.documents(collection)).items():
                if fields.get("state") == State.RUNNING:
                    record = _read(collection, name, fields)
                    self._running[record.path] = record

    async def start(self, name: str, user: str, cv: dict[str, Any]) -> None:
        """Begins a job and a workflow for a user, on the versions of the current request."""
        packages = tuple(sorted(routing.packages()))
        records = []
        for collection, service in OWNERS.items():
            workflow = Workflow(name, service, self._mesh.version(service))
            records.append(Record(collection, workflow, user, cv, packages))
        await self._database.commit(*(record.write() for record in records))
        self._running.update({record.path: record for record in records})

    async def step(self) -> None:
        """Takes every record that is due one stage further."""
        async with self._lock:
            now = self._monotonic()
            due = [record for record in self._running.values() if record.due <= now][:AT_A_TIME]
            await asyncio.gather(*(self._advance(record) for record in due))

    def running(self, service: str, version: Version) -> int:
        """How many records of a service a version still has to finish."""
        return sum(1 for _ in self._of(service, version))

    async def drain(self, services: Iterable[str], within: float) -> dict[str, Any]:
        """Waits until legacy has finished what it began for these services, but no longer than `within` seconds."""
        services = tuple(services)
        begun = self._monotonic()
        while left := sum(self.running(service, Version.LEGACY) for service in services):
            if self._monotonic() - begun > within:
                break
            await self._sleep(0.05)
        return {"left": left, "waited_s": round(self._monotonic() - begun, 3)}

    async def compensate(self, service: str) -> dict[str, Any]:
        """Undoes what the package of a service has not finished, and begins it again on legacy."""
        async with self._lock:
            undone = []
            for record in list(self._of(service, Version.PACKAGE)):
                compensated = await self._compensations.compensate(record.workflow, _saving(self._database, record))
                again = replace(record, workflow=compensated.restarted(), packages=(), before=None, due=0.0)
                await self._save(again)
                undone.append(record.workflow.id)
        return {"compensated": len(undone), "restarted_on": Version.LEGACY.value, "workflows": undone[:20]}

    def _of(self, service: str, version: Version) -> Iterable[Record]:
        return (
            record
            for record in self._running.values()
            if record.workflow.service == service and record.workflow.version is version
        )

    async def _advance(self, record: Record) -> None:
        stage = next(stage for stage in STAGES[record.collection] if stage not in record.workflow.done)
        try:
            with routing.routed(self._decide(record.user) & frozenset(record.packages)):
                await self._perform(stage, record)
        except Exception as error:
            log.info("%s waits: %s", record.path, error)
            packages = tuple(sorted(self._decide(record.user)))
            self._running[record.path] = replace(record, packages=packages, due=self._monotonic() + AGAIN_S)

    async def _perform(self, stage: str, record: Record) -> None:
        workflow = record.workflow.completed(stage)
        match stage:
            case "improve":
                arguments = {
                    "skills": record.cv["skills"],
                    "suggestions": ["learn:go"],
                    "transaction": f"{record.workflow.id}-{record.workflow.attempt}",
                }
                await self._mesh.call("ImprovementOrchestrator", "improve", arguments, version=self._pinned(record))
                await self._save(replace(record, workflow=workflow.finished()))
            case "draft":
                await self._draft(record)
                await self._save(replace(record, workflow=workflow))
            case "publish":
                draft = await self._draft(record)
                path = f"{RECOMMENDATIONS}/{record.user}"
                before = await self._database.get(path)
                content = {"user": record.user, "score": draft["score"], "gaps": draft["gaps"]}
                await self._save(replace(record, workflow=workflow, before=before), Write(path, content))
            case "announce":
                event = {"event": "recommended", "user": record.user, "attempt": workflow.attempt}
                await self._save(replace(record, workflow=workflow.finished()), Write(f"{EVENTS}/{workflow.id}", event))

    async def _draft(self, record: Record) -> dict[str, Any]:
        return await self._mesh.call(
            "RecommendationOrchestrator", "draft", {"cv": record.cv}, version=self._pinned(record)
        )

    def _pinned(self, record: Record) -> Version:
        """The version that began it, unless that has been retired: then only the package is left to finish it."""
        if self._mesh.retired(record.workflow.service):
            return Version.PACKAGE
        return record.workflow.version

    async def _save(self, record: Record, *beside: Write) -> None:
        await self._database.commit(record.write(), *beside)
        if record.workflow.state is State.RUNNING:
            self._running[record.path] = record
        else:
            self._running.pop(record.path, None)

    async def _unpublish(self, workflow: Workflow) -> None:
        record = self._running[f"{WORKFLOWS}/{workflow.id}"]
        await self._database.commit(Write(f"{RECOMMENDATIONS}/{record.user}", record.before))


def _saving(database: Database, record: Record) -> Callable[[Workflow], Awaitable[None]]:
    async def save(workflow: Workflow) -> None:
        await database.commit(replace(record, workflow=workflow).write())

    return save


def _read(collection: str, name: str, fields: dict[str, Any]) -> Record:
    workflow = Workflow(
        name,
        fields["service"],
        Version(fields["version"]),
        tuple(fields["done"]),
        tuple(fields["undone"]),
        State(fields["state"]),
        fields["attempt"],
    )
    return Record(collection, workflow, fields["user"], fields["cv"], tuple(fields["packages"]), fields["before"])
