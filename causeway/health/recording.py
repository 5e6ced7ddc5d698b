"""Measuring a baseline: live, for as long as it takes, or from what Prometheus has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from causeway.health.baselines import Recorder
from causeway.health.metrics import Sample, Source
from causeway.health.probing import Probing
from causeway.model.matrix import Version
from causeway.model.observation import HttpProbe, ProbeSpec
from causeway.model.window import Tally


@dataclass(frozen=True, slots=True)
class Time:
    """The clocks of a recording: for people, for intervals in seconds, and for waiting."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


def legacy_probes(specs: Iterable[ProbeSpec]) -> tuple[HttpProbe, ...]:
    """The probes of a stack that ask legacy, asking nothing else."""
    return tuple(
        replace(spec, versions=(Version.LEGACY,))
        for spec in specs
        if isinstance(spec, HttpProbe) and Version.LEGACY in spec.versions
    )


def record(
    recorder: Recorder,
    source: Source,
    probing: Probing,
    *,
    duration: float,
    every: float,
    time: Time,
    tell: Callable[[float], None] = lambda passed: None,
) -> None:
    """Reads for `duration` seconds, once `every` so many; `tell` hears how many have passed."""
    start = time.monotonic()
    passed = 0.0
    while True:
        recorder.add(source.read())
        for (service, version), probes in probing.availability(probing.ask(time.now())).items():
            if version is Version.LEGACY and isinstance(probes, Tally) and probes.total:
                recorder.add_probes(service, probes)
        tell(passed)
        if passed >= duration:
            return
        time.sleep(min(every, max(0.0, duration - passed)))
        passed = time.monotonic() - start


def replay(recorder: Recorder, samples: Iterable[Sample]) -> None:
    """Reads what a server has kept."""
    for sample in samples:
        recorder.add(sample)


def step(past: timedelta, most: int = 240) -> timedelta:
    """How far apart to look back: a minute or more, and no more looks than `most`."""
    return max(timedelta(minutes=1), past / most)
