"""A small migration half way: Reader is complete, Writer has failed at 50 % and gone back."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from causeway.backup.status import Line
from causeway.config import Config, from_file
from causeway.health.baselines import Baseline
from causeway.model.hold import Hold
from causeway.model.moves import Direction, Place
from causeway.model.window import Histogram, Tally, Window
from causeway.rollout.account import Account
from causeway.rollout.journal import Record, State

DATA = Path(__file__).parents[1] / "data" / "report"
START = datetime.datetime(2025, 8, 25, 12, 0, tzinfo=datetime.UTC)
BOUNDS = (0.1, 0.2, 0.4, math.inf)


def config() -> Config:
    return from_file(DATA / "Pulumi.small.yaml", today=START.date())


def after(minutes: int) -> datetime.datetime:
    return START + datetime.timedelta(minutes=minutes)


def record(
    seq: int,
    there: str,
    minute: int,
    direction: Direction = Direction.FORWARD,
    hold: Hold | None = None,
    why: str = "",
    **facts: Any,
) -> Record:
    entries = tuple({"state": state.value, "at": after(minute), "by": "ann", "note": ""} for state in
                    (State.INTENT, State.APPLIED, State.DONE))  # fmt: skip
    place = Place(there, hold or Hold())
    return Record("small", seq, direction, place, None, State.DONE, "ann", why, seq, facts, entries)


def verdict(decision: str, *reasons: tuple[str, str]) -> dict[str, Any]:
    return {
        "decision": decision,
        "reasons": [{"decision": decision, "source": source, "text": text} for source, text in reasons],
    }


GOOD = verdict(
    "ADVANCE",
    ("response_time", "response time of Reader@package: 2 of 400 slower than 0.2 s"),
    ("data_integrity", "data integrity check entries: passed"),
)
BAD = verdict("ROLL_BACK", ("error_rate", "error rate of Writer@package: 61 of 412 failed (14.8 %, limit 5 %)"))


def records() -> tuple[Record, ...]:
    return (
        record(1, "infrastructure", 0, Direction.CREATE, verdict=GOOD),
        record(2, "low/Reader/50", 5, verdict=GOOD, weights={"Reader": [0, 50]}, soak_s=61.0, pulumi_s=4.25),
        record(3, "low/Reader/100", 10, verdict=GOOD, weights={"Reader": [50, 100]}),
        record(
            4,
            "high/Writer/dual-write",
            20,
            verdict=GOOD,
            actions=[{"service": "Writer", "action": "dual-write", "performed": True, "writes": "both"}],
        ),
        record(5, "high/Writer/50", 40, verdict=BAD, weights={"Writer": [0, 50]}),
        record(
            6,
            "high/Writer/50",
            42,
            Direction.HOLD,
            Hold({"Writer": 0}),
            "error rate of Writer@package: 61 of 412 failed",
            level=1,
            evidence=BAD,
            weights={"Writer": [50, 0]},
            traffic_moved_s=0.31,
            settled_s=7.5,
            differences=[],
            compared_with=4,
        ),
    )


def baseline(service: str, *counts: int, bad: int = 0) -> Baseline:
    total = sum(counts)
    return Baseline(service, after(-60), START, 3600.0, Tally(bad, total), Histogram(BOUNDS, counts))


def window(service: str, *counts: int, bad: int = 0) -> Window:
    return Window(service, errors=Tally(bad, sum(counts)), latency=Histogram(BOUNDS, counts))


def account(**changes: Any) -> Account:
    facts: dict[str, Any] = {
        "at": after(60),
        "status": {"judged": "the verdict was ROLL_BACK", "next": "high/Writer/100", "watched": True},
        "records": records(),
        "baselines": {"Reader": baseline("Reader", 900, 90, 10, 0), "Writer": baseline("Writer", 500, 500, 0, 0)},
        "windows": {"Reader": window("Reader", 100, 100, 800, 0)},
        "measured_s": 10.0,
        "backups": (
            Line("b1", "snapshot", "complete", "high", ("profiles",), after(30), 1200, 3, 45_600, after(35)),
            Line("b2", "stream", "streaming", "critical", ("entries",), after(59), 88, 0, 1_000, None),
        ),
    }
    return Account(**{**facts, **changes})
