"""The seven strategies as recipes: what happens in front of, between and behind the ladder, and the way back of each.

A recipe is data. The plan turns its actions into positions, the runner asks the application to perform them through
the hooks in config, and the way back is performed in reverse order after the weight has fallen.
Recipes and their meaning: `docs/reference/strategies.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Action:
    """Something a strategy does besides moving traffic.

    `modes` are the switches it leaves in the service's flag from its position on (`writes: both`); `undo` names the
    hook that takes it back, or None where lowering the weight is the whole way back.
    """

    name: str
    does: str
    undo: str | None = None
    undoes: str = "nothing to undo: the weight is the way back"
    modes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One strategy. `before` and `after` are positions of their own around the ladder.

    `going_back` are hooks performed each time the weight falls, in order; they settle what is running.
    `modes` hold for as long as the service is in progress or complete.
    """

    name: str
    summary: str
    before: tuple[Action, ...] = ()
    after: tuple[Action, ...] = ()
    going_back: tuple[str, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    converts_state: bool = False
    new_epoch_on_the_way_back: bool = False

    def action(self, name: str) -> Action | None:
        """The action of that name, if the recipe has it."""
        return next((action for action in (*self.before, *self.after) if action.name == name), None)


DRAIN = Action("drain", "waits until the jobs that legacy began have ended; until then legacy counts as live")

RETIRE = Action(
    "retire-legacy",
    "ends dual writes and retires the legacy side of every service",
    undo="revive",
    undoes="legacy is brought back and dual writes start again",
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("direct", "the preserved interface is evidence; only traffic moves"),
            Recipe(
                "basic_orchestration",
                "new jobs follow the cohort of their user; running jobs finish where they started",
                after=(DRAIN,),
                modes={"jobs": "pinned"},
            ),
            Recipe(
                "feature_toggle",
                "a toggle opens the feature for the cohort, then traffic shifts",
                before=(
                    Action(
                        "toggle",
                        "switches the feature toggle on; nobody sees it before the first rung",
                        undo="toggle-off",
                        undoes="the toggle is switched off",
                        modes={"toggle": "on"},
                    ),
                ),
            ),
            Recipe(
                "dual_write",
                "both sides are written until deprecation; reads move by the ladder",
                before=(
                    Action(
                        "dual-write",
                        "every write goes to both sides; reads stay on legacy",
                        undo="single-write",
                        undoes="writes go to legacy alone; nothing is lost, it was written all along",
                        modes={"writes": "both"},
                    ),
                    Action("backfill", "copies what was written before dual writes began"),
                    Action("verify-parity", "compares both sides by digest; a difference stops the plan"),
                ),
                converts_state=True,
            ),
            Recipe(
                "state_preservation",
                "both versions read and write one shared, versioned state document",
                before=(
                    Action(
                        "snapshot",
                        "keeps the service's state in service_state_backups",
                        undo="restore",
                        undoes="the state is restored from the snapshot if its digest differs",
                    ),
                    Action(
                        "hand-over",
                        "moves the state into the shared, versioned document",
                        undo="hand-back",
                        undoes="legacy owns its state again",
                        modes={"state": "shared"},
                    ),
                ),
                converts_state=True,
            ),
            Recipe(
                "workflow_compensation",
                "each workflow finishes on the version that began it; unfinished ones are compensated on the way back",
                after=(DRAIN,),
                going_back=("compensate",),
                modes={"workflows": "pinned"},
            ),
            Recipe(
                "distributed_transaction",
                "participants record prepare and commit with an epoch; the way back starts a new epoch",
                before=(
                    Action(
                        "epoch",
                        "participants record prepare and commit with the epoch",
                        modes={"transactions": "epoch"},
                    ),
                ),
                after=(Action("settle", "settles transactions in doubt: all prepared commit, the others abort"),),
                going_back=("settle",),
                new_epoch_on_the_way_back=True,
            ),
        )
    }
)


def converts_state(strategy: str) -> bool:
    """Whether the strategy lets a package read what legacy has written without evidence for it."""
    return RECIPES[strategy].converts_state
