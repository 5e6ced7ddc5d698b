"""Workflows that finish on the version that began them, and are undone stage by stage if they cannot.

The records are pure; whoever runs them saves each one, so that a crash at any stage is gone on from.
Compensation as in Garcia-Molina and Salem, "Sagas" (1987): in reverse order of the stages that were completed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from causeway.errors import ConfigError
from causeway.model.matrix import Version


class State(StrEnum):
    """Where a workflow stands."""

    RUNNING = "running"
    DONE = "done"
    COMPENSATED = "compensated"


@dataclass(frozen=True, slots=True)
class Workflow:
    """One run: the version that began it, and the stages completed and undone so far, in order of completion.

    `attempt` counts from 1; a restart after compensation is a new attempt under the same id.
    """

    id: str
    service: str
    version: Version
    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    state: State = State.RUNNING
    attempt: int = 1

    def completed(self, stage: str) -> Workflow:
        """With one more stage completed. Completing it again changes nothing."""
        return self if stage in self.done else replace(self, done=(*self.done, stage))

    def finished(self) -> Workflow:
        """With nothing left to do."""
        return replace(self, state=State.DONE)

    def restarted(self) -> Workflow:
        """The next attempt of a compensated workflow, on legacy."""
        return Workflow(self.id, self.service, Version.LEGACY, attempt=self.attempt + 1)


Undo = Callable[[Workflow], Awaitable[None]]
Save = Callable[[Workflow], Awaitable[None]]


class Compensations:
    """How each stage of a service's workflows is undone. An undo may run twice: it must be idempotent."""

    def __init__(self) -> None:
        self._undo: dict[str, Undo] = {}

    def stage(self, name: str) -> Callable[[Undo], Undo]:
        """Registers a stage's undo: `@compensations.stage("publish")`."""

        def register(undo: Undo) -> Undo:
            self._undo[name] = undo
            return undo

        return register

    def nothing_to_undo(self, *names: str) -> None:
        """Says that these stages leave nothing behind."""
        for name in names:
            self._undo[name] = _nothing

    async def compensate(self, workflow: Workflow, save: Save) -> Workflow:
        """Undoes the completed stages in reverse order, saving after each, so that a second call goes on.

        Raises ConfigError, before anything is undone, if a stage has no compensation. One that is done or
        compensated already is left alone.
        """
        if workflow.state is not State.RUNNING:
            return workflow
        left = [stage for stage in reversed(workflow.done) if stage not in workflow.undone]
        if unknown := [stage for stage in left if stage not in self._undo]:
            raise ConfigError(
                f"workflow {workflow.id} of {workflow.service} has completed {', '.join(unknown)}",
                "nothing says how to undo that, so nothing was undone",
                "Register the stage with Compensations.stage, or as nothing_to_undo",
            )
        for stage in left:
            await self._undo[stage](workflow)
            workflow = replace(workflow, undone=(*workflow.undone, stage))
            await save(workflow)
        workflow = replace(workflow, state=State.COMPENSATED)
        await save(workflow)
        return workflow


async def _nothing(_workflow: Workflow) -> None:
    return None
