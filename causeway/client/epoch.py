"""Distributed transactions with an epoch: going back starts a new one, and nothing begun before it can commit late.

Two-phase commit (Gray, 1978) whose records carry the epoch they began in. Pure records; the caller saves them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from causeway.errors import Conflict


class Outcome(StrEnum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: who takes part, who has prepared, and how it ended. Without an outcome it is in doubt."""

    id: str
    epoch: int
    participants: tuple[str, ...]
    prepared: frozenset[str] = frozenset()
    outcome: Outcome | None = None

    def prepare(self, participant: str, epoch: int) -> Transaction:
        """With one more participant prepared, in the epoch it sees. Raises Conflict if that is a newer one."""
        self._still_open(epoch)
        if participant not in self.participants:
            raise Conflict(f"{participant} takes no part in transaction {self.id}", "its vote was not recorded")
        return replace(self, prepared=self.prepared | {participant})

    def commit(self, epoch: int) -> Transaction:
        """Committed. Raises Conflict in a newer epoch, where only `settle` may end it, or if a vote is missing."""
        self._still_open(epoch)
        if missing := [name for name in self.participants if name not in self.prepared]:
            raise Conflict(f"transaction {self.id} misses {', '.join(missing)}", "it was not committed")
        return replace(self, outcome=Outcome.COMMITTED)

    def abort(self) -> Transaction:
        """Aborted, unless it has ended already."""
        return self if self.outcome else replace(self, outcome=Outcome.ABORTED)

    def settle(self, epoch: int) -> Transaction:
        """Ended, if it was in doubt and began before `epoch`: committed if all had prepared, else aborted.

        One that has ended, or belongs to the present epoch, is left alone.
        """
        if self.outcome is not None or self.epoch >= epoch:
            return self
        ready = self.prepared.issuperset(self.participants)
        return replace(self, outcome=Outcome.COMMITTED if ready else Outcome.ABORTED)

    def _still_open(self, epoch: int) -> None:
        if self.outcome is not None:
            raise Conflict(f"transaction {self.id} is {self.outcome}", "nothing more was recorded")
        if epoch != self.epoch:
            raise Conflict(
                f"transaction {self.id} began in epoch {self.epoch} and this is {epoch}",
                "it would commit on a side that has been left",
                "Settle it, and begin a new one",
            )
