"""What the demo has shown: the success criteria as measured figures, each with what it was held against."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

#: What the demo must show beside the success criteria.
UPDATES = 35
#: Seconds after a traffic move in which a user's change of version belongs to it: requests under way end first.
SETTLING_S = 12.0
BUDGET_S = 480.0
ROLLBACK_BUDGET_S = 120.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `held` says whether it meets `wanted`."""

    name: str
    value: Any
    wanted: str
    held: bool


@dataclass(frozen=True)
class Outcome:
    """All figures of a run, and what stopped it if anything did."""

    figures: tuple[Figure, ...]
    facts: Mapping[str, Any]
    trouble: str | None

    @property
    def held(self) -> bool:
        """Whether everything was as wanted."""
        return self.trouble is None and all(figure.held for figure in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For `report.json`."""
        rows = {each.name: {"value": each.value, "wanted": each.wanted, "held": each.held} for each in self.figures}
        return {"held": self.held, "trouble": self.trouble, "figures": rows, **self.facts}

    def table(self) -> Table:
        """For the terminal."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("", "figure", "measured", "wanted"):
            table.add_column(heading)
        for each in self.figures:
            mark = Text("✓", style="green") if each.held else Text("✗", style="bold red")
            table.add_row(mark, Text(each.name), Text(_words(each.value)), Text(each.wanted))
        return table

    def markdown(self) -> str:
        """For `report.md`."""
        head = "# The demo: " + (
            "everything held" if self.held else f"not everything held. {self.trouble or ''}".rstrip()
        )
        rows = [
            f"| {'✓' if each.held else '✗'} | {each.name} | {_words(each.value)} | {each.wanted} |"
            for each in self.figures
        ]
        return "\n".join([head, "", "| | figure | measured | wanted |", "| --- | --- | --- | --- |", *rows, ""])


def measure(
    *,
    load: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    updates: Sequence[Mapping[str, Any]],
    application: str,
    moments: Mapping[str, float],
    faulty: str,
    trouble: str | None,
    seconds: float,
) -> Outcome:
    """The figures, from the load generator's report, the journal, Pulumi's history and the application's counters."""
    backs = [record for record in records if record["direction"] in ("hold", "back")]
    succeeded = [update for update in updates if update["result"] == "succeeded" and update["kind"] == "update"]
    flipped = _flipped_by_an_advance(load["flip_list"], backs)
    moved = _fault_to_traffic_moved(load, moments, faulty)
    parity = _judged(records, "response time")
    integrity = _judged(records, "data_integrity")
    same = _judged(records, "functionality")
    figures = (
        Figure("requests sent", load["requests"], "> 0", load["requests"] > 0),
        Figure("failed although nothing was injected", load["failed_otherwise"], "0", load["failed_otherwise"] == 0),
        Figure("failed by the injected fault", load["failed_by_injected_fault"], "counted apart", True),
        Figure("users who flipped back at an advance", flipped, "0", flipped == 0),
        Figure("stack updates by the engine", len(succeeded), f">= {UPDATES}", len(succeeded) >= UPDATES),
        Figure("automatic rollbacks", len(backs), ">= 1", len(backs) >= 1),
        Figure(
            "fault to traffic on legacy, s",
            moved,
            f"<= {ROLLBACK_BUDGET_S:g}",
            moved is not None and moved <= ROLLBACK_BUDGET_S,
        ),
        Figure(
            "trigger to traffic moved, s",
            max((back["facts"].get("traffic_moved_s", 1e9) for back in backs), default=None),
            f"<= {ROLLBACK_BUDGET_S:g}",
            all(back["facts"].get("traffic_moved_s", 1e9) <= ROLLBACK_BUDGET_S for back in backs) and bool(backs),
        ),
        Figure("soaks in which response time was within the guardrails", *parity),
        Figure("soaks in which data integrity held", *integrity),
        Figure("soaks in which legacy and package answered alike", *same),
        Figure("steps done by a person instead of a command", 0 if trouble is None else None, "0", trouble is None),
        Figure("seconds, set-up not counted", round(seconds, 1), f"<= {BUDGET_S:g}", seconds <= BUDGET_S),
    )
    facts = {
        "load": {key: value for key, value in load.items() if key not in ("flip_list", "per_second")},
        "positions": [record["to"] for record in reversed(records)],
        "moments": dict(moments),
        "steps": _steps(records),
    }
    return Outcome(figures, facts, trouble)


def _flipped_by_an_advance(flips: Sequence[Mapping[str, Any]], backs: Sequence[Mapping[str, Any]]) -> int:
    """Users who left a package although no traffic was sent back between the two requests that show it."""
    moved = [_seconds(back["at"]) for back in backs]
    return len(
        {
            flip["user"]
            for flip in flips
            if not any(flip["package_at"] - SETTLING_S <= at <= flip["legacy_at"] + SETTLING_S for at in moved)
        }
    )


def _fault_to_traffic_moved(load: Mapping[str, Any], moments: Mapping[str, float], faulty: str) -> float | None:
    """From the fault to the first second in which no user was on the faulty package any more."""
    fault = moments.get("fault")
    if fault is None:
        return None
    after = [second for second in load["per_second"] if second["at"] > fault]
    clear = next((second["at"] for second in after if not second["on_package"].get(faulty)), None)
    return None if clear is None else round(clear - fault, 1)


def _judged(records: Sequence[Mapping[str, Any]], source: str) -> tuple[str, str, bool]:
    """How many of the soaks that went on had judged this, and found it in order."""
    verdicts = [record["facts"]["verdict"] for record in records if record["verdict"] == "ADVANCE"]
    names = {source, source.replace(" ", "_")}
    seen = [reason for verdict in verdicts for reason in verdict["reasons"] if reason["source"] in names]
    bad = [reason for reason in seen if reason["decision"] != "ADVANCE"]
    return f"{len(seen) - len(bad)} of {len(seen)}", "all, and at least one", bool(seen) and not bad


def _steps(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Time of the steps, split into Pulumi, soak and ours, in seconds."""
    steps = [record["facts"] for record in records if "pulumi_s" in record["facts"]]
    return {
        "count": len(steps),
        "pulumi_s": round(sum(step["pulumi_s"] for step in steps), 1),
        "ours_s": round(sum(step.get("ours_s", 0.0) for step in steps), 1),
        "soak_s": round(sum(record["facts"].get("soak_s", 0.0) for record in records), 1),
    }


def _seconds(at: str) -> float:
    return datetime.datetime.fromisoformat(at).timestamp()


def _words(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
