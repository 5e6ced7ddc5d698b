"""No step is skipped: what the program's hook refuses is refused here as well, from the same piece of logic.

A policy sees only what is wanted. Where the stack stands is read from its state, with the reader of the command line:
during a preview or an update that is still the flag set before the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from causeway.errors import CausewayError
from causeway.model.moves import Move, Place, Standing
from causeway.rollout.desired import standing
from policies.facts import Expected, Resource
from policies.weights import definition_of

#: Judges a move: raises MoveRefused where it is not legal.
Judge = Callable[[Standing | None, Place], Move]


@dataclass(frozen=True)
class Steps:
    """`present` reads the definition that the stack has applied last; None for a stack that has applied nothing."""

    judge: Judge
    present: Callable[[], str | None]

    def legal(self, resource: Resource, expected: Expected) -> Iterator[str]:
        """The flag set is one legal move away from the one the stack has applied."""
        wanted = definition_of(resource)
        if wanted is None:
            return
        present = self.present()
        try:
            self.judge(standing(present) if present else None, standing(wanted).place)
        except CausewayError as error:
            yield str(error)
