"""ActionOrchestrator's distributed transactions: every vote is a record with its epoch before anything is committed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from causeway.client.epoch import Outcome, Transaction
from examples.cvplus.database import Database, Write

COLLECTION = "transactions"
PARTICIPANTS = ("transformation", "record")
#: A transaction in doubt for longer was left by a process that died, in seconds.
ABANDONED_S = 5.0


class Transactions:
    """Runs and settles them. `epoch` is the one in force; `now` is aware."""

    def __init__(self, database: Database, epoch: Callable[[], int], now: Callable[[], datetime.datetime]) -> None:
        self._database = database
        self._epoch = epoch
        self._now = now

    async def run(self, name: str, result: dict[str, Any]) -> Outcome:
        """Both participants prepare, then it commits. Running it again finds how it ended. Raises Conflict."""
        found = await self._database.get(f"{COLLECTION}/{name}")
        transaction = _read(name, found) if found else Transaction(name, self._epoch(), PARTICIPANTS)
        if transaction.outcome is None:
            transaction = transaction.prepare("transformation", self._epoch())
            await self._save(transaction, result)
            transaction = transaction.prepare("record", self._epoch()).commit(self._epoch())
            await self._save(transaction, result)
        assert transaction.outcome is not None
        return transaction.outcome

    async def settle(self) -> dict[str, Any]:
        """Ends what earlier epochs, or processes that died, have left in doubt."""
        ended = {Outcome.COMMITTED: 0, Outcome.ABORTED: 0}
        for name, fields in (await self._database.documents(COLLECTION)).items():
            transaction = _read(name, fields)
            abandoned = (self._now() - fields["at"]).total_seconds() > ABANDONED_S
            settled = transaction.settle(transaction.epoch + 1 if abandoned else self._epoch())
            if settled != transaction and settled.outcome is not None:
                ended[settled.outcome] += 1
                await self._save(settled, fields["result"])
        return {"epoch": self._epoch(), **{outcome.value: count for outcome, count in ended.items()}}

    async def _save(self, transaction: Transaction, result: dict[str, Any]) -> None:
        fields = {
            "epoch": transaction.epoch,
            "prepared": sorted(transaction.prepared),
            "outcome": transaction.outcome.value if transaction.outcome else None,
            "result": result,
            "at": self._now(),
        }
        await self._database.commit(Write(f"{COLLECTION}/{transaction.id}", fields))


def _read(name: str, fields: dict[str, Any]) -> Transaction:
    outcome = Outcome(fields["outcome"]) if fields["outcome"] else None
    return Transaction(name, fields["epoch"], PARTICIPANTS, frozenset(fields["prepared"]), outcome)
