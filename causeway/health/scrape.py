"""Counters read directly from `/metrics` of each process.

Format: Prometheus text 0.0.4 or OpenMetrics 1.0, parsed by `prometheus_client`. A page is thousands of lines of
which only the figures change, so that the series a line stands for is looked up by the text before its last space;
only lines not seen before go through the parser.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import NamedTuple

import httpx
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from causeway.errors import without_secrets
from causeway.health.metrics import Reading, Sample, Series

_STARTED = "process_start_time_seconds"
#: A target that sends byte by byte keeps within the client's timeout; it is waited for this many of them.
_PATIENCE = 1.5
_ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5"


class NotMetrics(ValueError):
    """An answer that is no page of metrics."""


class Page:
    """Reads the successive pages of one target. `names` are the names of the series to keep."""

    def __init__(self, origin: str, names: Collection[str], max_age: float) -> None:
        self._origin = origin
        self._names = frozenset(names) | {_STARTED}
        self._max_age = max_age
        self._known: dict[str, Series | None] = {}

    def parse(self, text: str, at: datetime, open_metrics: bool = False) -> dict[Series, float]:
        """The values of the kept series. Raises NotMetrics if any line is not one, or its figures are too old."""
        try:
            if open_metrics:
                return self._kept(openmetrics.text_string_to_metric_families(text), at)  # type: ignore[no-untyped-call]
            return self._text(text, at)
        except NotMetrics:
            raise
        except (ValueError, KeyError, IndexError) as error:
            raise NotMetrics(f"answered something that is not metrics ({str(error)[:80]})") from error

    def _text(self, text: str, at: datetime) -> dict[Series, float]:
        values: dict[Series, float] = {}
        unknown: list[str] = []
        known = self._known
        for line in text.split("\n"):
            if not line or line[0] == "#":
                continue
            head, _, figure = line.rpartition(" ")
            try:
                series = known[head]
            except KeyError:
                unknown.append(line)
                continue
            if series is not None:
                values[series] = float(figure)
        if len(known) > 2 * text.count("\n") + 100:
            known.clear()  # most of what is remembered no longer exists
        for line in unknown:
            values.update(self._learn(line, at))
        return values

    def _learn(self, line: str, at: datetime) -> dict[Series, float]:
        """Parses a line not seen before, and keeps what its head stands for where its value follows its last space."""
        families: list[Metric] = list(text_string_to_metric_families(line + "\n"))
        found = self._kept(families, at)
        samples = [sample for family in families for sample in family.samples]
        head, _, figure = line.rpartition(" ")
        if head.strip() and len(samples) == 1 and samples[0].timestamp is None and _says(figure, samples[0].value):
            self._known[head] = next(iter(found), None)
        return found

    def _kept(self, families: Iterable[Metric], at: datetime) -> dict[Series, float]:
        values = {}
        for family in families:
            for sample in family.samples:
                if sample.name not in self._names:
                    continue
                age = 0.0 if sample.timestamp is None else at.timestamp() - float(sample.timestamp)
                if age > self._max_age:
                    raise NotMetrics(f"has figures that are {age:.0f} s old")
                series = Series(self._origin, sample.name, tuple(sorted(sample.labels.items())))
                values[series] = float(sample.value)
        return values


def _says(figure: str, value: float) -> bool:
    """Whether the text is that value: after a tab or before a blank it is not."""
    try:
        return repr(float(figure)) == repr(float(value))  # NaN is NaN here
    except ValueError:
        return False


class _Answer(NamedTuple):
    values: dict[Series, float]
    down: str | None


_LATE = _Answer({}, "did not answer in time")


class ScrapeSource:
    """A `Source` over the `/metrics` of several processes, read side by side.

    `names` are the names of all series of interest (histograms with their `_bucket`), `timeout` bounds one target in
    seconds. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        targets: Collection[str],
        names: Collection[str],
        *,
        now: Callable[[], datetime],
        timeout: float = 2.0,
        max_age: float = 30.0,
        client: httpx.Client | None = None,
    ) -> None:
        self._pages = {target: Page(target, names, max_age) for target in targets}
        self._now = now
        self._client = client or httpx.Client(timeout=timeout, headers={"accept": _ACCEPT}, follow_redirects=False)
        self._patience = _PATIENCE * timeout
        self._workers = ThreadPoolExecutor(max_workers=max(1, min(16, len(self._pages))), thread_name_prefix="scrape")
        self._running: dict[str, Future[_Answer]] = {}

    def read(self) -> Sample:
        """One look at every target; a target that fails is down, with the reason."""
        at = self._now()
        for target in self._pages:
            if target not in self._running:
                self._running[target] = self._workers.submit(self._scrape, target, at)
        wait(self._running.values(), timeout=self._patience)
        answers = {target: self._finished(target) for target in self._pages}
        values: dict[Series, float] = {}
        read: dict[str, Reading] = {}
        for target, answer in answers.items():
            if answer.down is None:
                read[target] = Reading(at, answer.values.pop(Series(target, _STARTED, ()), None))
                values.update(answer.values)
        down = {target: f"{target} {answer.down}" for target, answer in answers.items() if answer.down is not None}
        return Sample(at, values, read, {target: without_secrets(why) for target, why in down.items()})

    def _finished(self, target: str) -> _Answer:
        """The answer of a target; one that is late is waited for at the next look. One that breaks stops no other."""
        if not self._running[target].done():
            return _LATE
        try:
            return self._running.pop(target).result()
        except Exception as error:
            return _Answer({}, f"could not be read ({type(error).__name__})")

    def _scrape(self, target: str, at: datetime) -> _Answer:
        try:
            response = self._client.get(target)
        except httpx.TimeoutException:
            return _LATE
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Answer({}, f"could not be reached ({type(error).__name__}: {error})")
        if response.status_code != httpx.codes.OK:
            return _Answer({}, f"answered {response.status_code}")
        open_metrics = "openmetrics" in response.headers.get("content-type", "")
        try:
            return _Answer(self._pages[target].parse(response.text, at, open_metrics), None)
        except NotMetrics as error:
            return _Answer({}, str(error))

    def close(self) -> None:
        self._workers.shutdown(wait=False)
        self._client.close()

    def __enter__(self) -> ScrapeSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
