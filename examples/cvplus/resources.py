"""What both versions of a service share: the state that outlives a request, and the time that work takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from causeway.client.dualwrite import DualWrite
from examples.cvplus.breakers import Breakers
from examples.cvplus.database import Database
from examples.cvplus.transactions import Transactions

#: Waits for as long as the work that this demo does not do (models, documents, networks) would take, in seconds.
Work = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything a service may need beside the other services."""

    database: Database
    cache: DualWrite
    breakers: Breakers
    transactions: Transactions
    work: Work
