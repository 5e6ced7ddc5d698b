"""What the monitor exposes is what the alert policies read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from causeway.health.baselines import Baseline
from causeway.health.checker import Look
from causeway.health.exposition import Exposition
from causeway.health.expressions import BASELINE, PROBES
from causeway.health.selectors import Selector
from causeway.model.window import Histogram, Tally, Window

T0 = datetime(2025, 9, 1, 12, tzinfo=UTC)


def test_a_look_is_counted_under_the_names_that_the_expressions_read() -> None:
    baseline = Baseline("X", T0, T0, 60, Tally(0, 100), Histogram((0.1, 0.2, math.inf), (0, 100, 0)))
    look = Look(T0, None, {"X": Window("X", probes=Tally(1, 3))}, {"X": Window("X")}, (), {"X": baseline})
    exposition = Exposition(0.95)
    exposition.observe(look)
    exposition.observe(look)
    families = text_string_to_metric_families(exposition.page().decode())
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    probes, seconds = Selector.parse(PROBES).name, Selector.parse(BASELINE).name
    assert found[probes, "X", "ok", "package"] == 4
    assert found[probes, "X", "failed", "package"] == 2
    assert round(found[seconds, "X"], 3) == 0.195
    assert found["causeway_missing_total", "X", "error_rate"] == 2
    assert found["causeway_missing_total", "X", "availability"] == 0
    assert found["causeway_last_look_timestamp_seconds",] == T0.timestamp()
