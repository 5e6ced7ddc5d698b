"""No step is skipped: what the program's hook refuses is refused here as well, from the same piece of logic.

A policy sees only what is wanted. Where the stack stands is read from its state, with the reader of the command line:
during a preview or an update that is still the flag set before the change.
"""

from __future__ import annotations

from collections.abc import Iterator

from causeway.errors import CausewayError
from causeway.rollout.desired import standing
from policies.facts import Expected, Resource, Rule
from policies.weights import definition_of


def one_legal_move(resource: Resource, expected: Expected) -> Iterator[str]:
    """The flag set, and what splits traffic beside it, is one legal move away from what the stack has applied."""
    wanted = definition_of(resource)
    if wanted is None and expected.split(resource) is None:
        return
    present = expected.present()
    try:
        expected.judge(standing(present) if present else None, standing(wanted).place if wanted else expected.place)
    except CausewayError as error:
        yield str(error)


RULES = (Rule("no-skipped-steps", "The stack moves one step of its plan at a time", one_legal_move),)
