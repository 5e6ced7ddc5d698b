"""The plot of evidence over time."""

from __future__ import annotations

import math

from causeway.model.simulation import Trace
from causeway.report.gates import evidence_plot


def trace(*decades: float) -> Trace:
    harm = tuple(each * math.log(10) for each in decades)
    return Trace(harm, tuple(-each for each in harm), math.log(100), (math.log(40),) * len(harm))


def columns(plot: str) -> list[str]:
    """The plot's columns from top to bottom."""
    rows = [line.partition("|")[2] for line in plot.splitlines() if "|" in line]
    return ["".join(column) for column in zip(*rows, strict=True)]


def test_each_series_lies_at_its_odds() -> None:
    # rows are half decades from 10^4 down to 10^-3; safety needs 40 : 1, which is nearest 10^1.5
    assert columns(evidence_plot(trace(0.0, 3.0, -2.0))) == [
        "    =-  #      ",
        "  # =-        o",
        "    o-      #  ",
    ]


def test_what_lies_beyond_sticks_to_the_edge() -> None:
    (column,) = columns(evidence_plot(trace(300.0)))
    assert (column[0], column[-1]) == ("#", "o")


def test_many_windows_share_columns_and_the_last_is_shown() -> None:
    plot = evidence_plot(trace(*[0.0] * 999, 3.0), width=50)
    assert len(columns(plot)) == 50
    assert columns(plot)[-1][2] == "#"
    assert columns(plot)[-2][8] == "#"
