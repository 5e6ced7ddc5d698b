"""What the gates would do, as text for a terminal: one simulated run over time, and the shares of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from causeway.model.budget import Budget
from causeway.model.guardrails import Guardrail, percent
from causeway.model.simulation import Scenario, Trace

#: Decades of odds that are drawn; what lies beyond sticks to the edge.
_TOP, _BOTTOM = 4.0, -3.0
_ROWS_PER_DECADE = 2


def simulation_picture(
    service: str | None,
    scenario: Scenario,
    guardrail: Guardrail,
    trace: Trace,
    facts: Mapping[str, float | None],
    runs: int,
    budget: Budget | None = None,
) -> str:
    """The scenario, the evidence of its first run, what became of all runs, and the budget of a stack if given."""
    rate = percent(scenario.error_rate)
    if scenario.then is not None:
        rate += f", {percent(scenario.then)} from window {scenario.change_at}"
    about = f"{service or 'a service'}: {rate} of about {scenario.requests:g} requests a window fail"
    median = facts["median_windows"]
    found = "" if median is None else f", found {median:g} windows after the fault began (median)"
    rolled_back, advanced = (percent(facts[key] or 0.0) for key in ("rolled_back", "advanced"))
    outcome = f"{runs:,} runs of {scenario.windows} windows: {rolled_back} rolled back{found}; {advanced} may advance"
    return "\n".join([about, str(guardrail), "", evidence_plot(trace), "", outcome, *([str(budget)] if budget else [])])


def evidence_plot(trace: Trace, width: int = 72) -> str:
    """Log odds by window: `#` harm, `o` safety, `=` and `-` what each must reach.

    Where there are more windows than columns, a column shows the last of its windows.
    """
    windows = len(trace.harm)
    columns = [math.ceil((column + 1) * windows / min(width, windows)) - 1 for column in range(min(width, windows))]
    rows = int((_TOP - _BOTTOM) * _ROWS_PER_DECADE) + 1
    canvas = [[" "] * len(columns) for _ in range(rows)]
    for x, window in enumerate(columns):
        canvas[_row(trace.needed_for_safety[window])][x] = "-"
        canvas[_row(trace.needed_for_harm)][x] = "="
        canvas[_row(trace.safety[window])][x] = "o"
        canvas[_row(trace.harm[window])][x] = "#"
    lines = [f"{_label(row):>9} |{''.join(line)}" for row, line in enumerate(canvas)]
    axis = f"{'':>9} +{'-' * len(columns)}"
    ends = f"{'window':>9}  1{windows:>{max(1, len(columns) - 1)}}"
    legend = f"{'':>9}  # harm  = rolls back   o safety  - advances   (odds, each against its own null)"
    return "\n".join([*lines, axis, ends, legend])


def _row(log_odds: float) -> int:
    decades = min(_TOP, max(_BOTTOM, log_odds / math.log(10)))
    return round((_TOP - decades) * _ROWS_PER_DECADE)


def _label(row: int) -> str:
    decade, between = divmod(row, _ROWS_PER_DECADE)
    return "" if between else f"{10 ** (_TOP - decade):,.10g} : 1"
