"""Ways down from what is served, on a plan that may have been edited since: never up.

A rollback comes when something is wrong, and what is wrong may be the plan itself: evidence that has just turned out
false changes the order, so that the same position means other weights, or is not there any more.
"""

from __future__ import annotations

from causeway.model.edited import named
from causeway.model.moves import Place, Standing
from causeway.model.plan import Plan


def known(plan: Plan, served: Standing) -> Place:
    """The served place; where the plan has no such position, the last one that puts nobody on a package anew."""
    hold = named(plan, served.place.hold)
    if served.place.position in plan:
        return Place(served.place.position, hold)
    below = (each for each in reversed(plan.positions) if not _rising(plan, served, Place(each.name)))
    return Place(next(below).name, hold)  # the first position moves no traffic, so there always is one


def never_up(plan: Plan, served: Standing, there: Place) -> Place:
    """The place with everything that would rise capped at what is served."""
    hold = there.hold
    for name in _rising(plan, served, there):
        hold = hold.capped([name], served.weights.get(name, 0))
    return Place(there.position, hold)


def _rising(plan: Plan, served: Standing, there: Place) -> list[str]:
    wanted = plan.at(there.position, there.hold).weights
    return [name for name, weight in wanted.items() if weight > served.weights.get(name, 0)]
