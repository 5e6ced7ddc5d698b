"""How far one service is on its way. Readers of the flag set behave by it when nobody watches any more."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Untouched: weight 0, never moved. In progress: on its ladder. Complete: judged good at 100.

    Retired: the legacy version is gone, so the package serves whatever else happens.
    """

    UNTOUCHED = "untouched"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    RETIRED = "retired"
