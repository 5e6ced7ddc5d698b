"""When and where health reports are written: a document of the stack's journal collection, and files.

How they read is the caller's business (`causeway.report.health`).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causeway.errors import CausewayError
from causeway.health.checker import Look
from causeway.health.history import History
from causeway.health.reports import SPAN, HealthReport, report
from causeway.model.budget import Budget
from causeway.model.moves import Standing
from causeway.rollout.journal import COLLECTION
from causeway.rollout.stack import Stack
from causeway.rollout.store import Write

#: How long a report stays in the database.
KEPT = datetime.timedelta(days=7)
#: How many reports stay in the folder: a day's.
_FILES = 288


@dataclass
class Reports:
    """The looks of the last half hour, and a report of them every five minutes.

    `render` writes a report as Markdown, `folder` receives both forms of it.
    """

    stack: Stack
    render: Callable[[HealthReport], str]
    folder: Path
    history: History = field(init=False)
    _written: float = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.stack.config.soak.interval)
        self._written = self.stack.clock.monotonic()

    @property
    def due(self) -> bool:
        """Whether five minutes have passed since the last one."""
        return self.stack.clock.monotonic() - self._written >= SPAN.total_seconds()

    def add(self, look: Look) -> None:
        """Remember a look."""
        self.history.add(look)

    def write(self, served: Standing | None, notes: Iterable[str]) -> HealthReport:
        """Write a report to both places; where one does not take it, that is told and the other has it."""
        stack, config = self.stack, self.stack.config
        self._written = stack.clock.monotonic()
        budget = Budget.of(config.plan, config.guardrails, config.soak, config.soak_timeout)
        found = report(
            self.history,
            stack.name,
            str(served.place) if served else "nothing applied yet",
            served.weights if served else dict.fromkeys(stack.config.matrix.services, 0),
            stack.config.guardrails,
            stack.clock.now(),
            [*notes, str(budget)],
        )
        try:
            self._to_files(found)
        except OSError as error:
            stack.say("report", f"no health report in {self.folder}: {error}")
        try:
            stack.store.commit([Write(f"{COLLECTION}/{stack.name}-health-{_stamp(found)}", document(found))])
        except CausewayError as error:
            stack.say("report", f"no health report in Firestore: {error.fact}")
        return found

    def _to_files(self, found: HealthReport) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.stack.name}-{_stamp(found)}"
        path.with_suffix(".md").write_text(self.render(found), encoding="utf-8")
        facts = json.dumps(found.as_dict(), default=_iso, ensure_ascii=False, indent=2)
        path.with_suffix(".json").write_text(facts + "\n", encoding="utf-8")
        for suffix in (".md", ".json"):
            for old in sorted(self.folder.glob(f"{self.stack.name}-[0-9]*{suffix}"))[:-_FILES]:
                old.unlink()


#: Figures' courses may hold so many points together, and each so many, for a report to fit into one document.
_POINTS, _POINTS_EACH = 20_000, 60


def document(found: HealthReport) -> dict[str, Any]:
    """A report as a document. It has no `seq`, which keeps it out of the journal's order.

    Courses are thinned, the newest points and the shape stay: the files have all of them.
    """
    facts = found.as_dict()
    figures = [figure for each in facts["services"] for figure in (*each["package"], *each["legacy"], each["demand"])]
    most = max(1, min(_POINTS_EACH, _POINTS // max(1, len(figures))))
    for figure in figures:
        step = -(-len(figure["course"]) // most)
        figure["course"] = figure["course"][::-1][::step][::-1] if step else []
    return {**facts, "kind": "health", "expires_at": found.at + KEPT}


def _stamp(found: HealthReport) -> str:
    return f"{found.at:%Y%m%dT%H%M%SZ}"


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
