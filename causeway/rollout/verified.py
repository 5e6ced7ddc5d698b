"""What verifications of backups have found, in the collection of the journal: who looks at a move sees both."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from causeway.rollout.journal import COLLECTION
from causeway.rollout.store import Store, Write

#: As long as backups are kept under lock by default.
KEPT = datetime.timedelta(days=90)


def note_verification(store: Store, stack: str, facts: Mapping[str, Any], at: datetime.datetime) -> None:
    """Write down how one verification ended. It has no `seq`, which keeps it out of the journal's order.

    Raises:
        Unreachable: the records do not answer. The archive has the result all the same.
    """
    path = f"{COLLECTION}/{stack}-verified-{facts['backup']}-{at:%Y%m%dT%H%M%S%fZ}"
    store.commit([Write(path, {**facts, "stack": stack, "expires_at": at + KEPT})])
