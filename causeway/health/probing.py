"""When each probe is due, and running those that are side by side, so that a slow one holds up nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import httpx

from causeway.errors import CausewayError
from causeway.health import integrity, probes
from causeway.health.documents import Documents
from causeway.model.matrix import Version
from causeway.model.observation import CompareProbe, HttpProbe, ProbeSpec
from causeway.model.window import Category, Check, Missing, Tally

#: A probe is due this much of its interval early rather than a whole look late.
_EARLY = 0.1
_SIDE_BY_SIDE = 32

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one probe said. `passed` is None where that cannot be known; `version` None where it concerns both."""

    spec: ProbeSpec
    version: Version | None
    passed: bool | None
    detail: str = ""
    again: datetime | None = None

    def check(self) -> Check:
        """The same for the gates. A legacy that fails is no failure of its package, and no reason to go back to it."""
        category, name = category_of(self.spec), _name(self.spec, self.version)
        if self.version is Version.LEGACY and self.passed is False:
            return Check(category, name, None, self.spec.service, f"legacy itself fails: {self.detail}")
        return Check(category, name, self.passed, self.spec.service, self.detail)


@dataclass
class _Run:
    """A probe that is being made. `outdated`: what it will say is of the time before a soak."""

    spec: ProbeSpec
    version: Version | None
    outdated: bool = False
    _looks: int = 0

    @property
    def patience(self) -> float:
        """For how long a look waits for it. A probe that reads data takes its time; one that hangs nobody else's."""
        return self.spec.timeout if isinstance(self.spec, HttpProbe | CompareProbe) and not self._hung else 0.0

    def late(self, due: Collection[ProbeSpec]) -> Asked | None:
        """That it hangs, after a look that waited for it in vain: it has had its timeout then for each request."""
        if not isinstance(self.spec, HttpProbe | CompareProbe):
            return None
        self._looks += 1
        if not self._hung or (self._looks > self._requests + 1 and self.spec not in due):
            return None
        return Asked(self.spec, self.version, False, f"has not answered, and may take {self.spec.timeout:g} s")

    @property
    def _hung(self) -> bool:
        return self._looks > self._requests

    @property
    def _requests(self) -> int:
        return 2 if isinstance(self.spec, CompareProbe) else 1


def category_of(spec: ProbeSpec) -> Category:
    """The category of the checks that a probe makes."""
    return Category.FUNCTIONALITY if isinstance(spec, HttpProbe | CompareProbe) else Category.DATA_INTEGRITY


def names_of(spec: ProbeSpec) -> tuple[str, ...]:
    """The names of the checks that a probe makes."""
    return tuple(_name(spec, each) for each in spec.versions) if isinstance(spec, HttpProbe) else (spec.name,)


class Probing:
    """The probes of a stack. Close it, or use it as a context manager.

    HTTP probes are waited for as long as their own timeout; what takes longer, as reading a collection may, is
    reported by a later `ask`. An HTTP probe that does not end has failed, each time it is due again.
    Raises ConfigError for a template that cannot be filled.
    """

    def __init__(
        self,
        specs: Sequence[ProbeSpec],
        client: httpx.Client,
        documents: Documents | None = None,
        executor: Executor | None = None,
    ) -> None:
        for spec in specs:
            if isinstance(spec, HttpProbe | CompareProbe):
                probes.check_templates(spec)
        self._specs = tuple(specs)
        self._client = client
        self._documents = documents
        self._executor = executor or ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="probe")
        self._watches = {
            _key(spec): integrity.watch(spec) for spec in specs if not isinstance(spec, HttpProbe | CompareProbe)
        }
        self._due: dict[tuple[str, str], datetime] = {}
        self._running: dict[Future[Asked], _Run] = {}

    def begin(self) -> None:
        """Everything is due, and what is still running speaks of the time before: it is waited for and not told."""
        self._due.clear()
        for run in self._running.values():
            run.outdated = True

    def ask(self, now: datetime) -> tuple[Asked, ...]:
        """Starts what is due and returns what is finished, and what hangs: at first, and when it is due again."""
        due = [spec for spec in self._specs if now >= self._due.get(_key(spec), now)]
        busy = {(_key(run.spec), run.version) for run in self._running.values()}
        for spec in due:
            self._due[_key(spec)] = now + timedelta(seconds=spec.every * (1 - _EARLY))
            for version, job in self._jobs(spec, now):
                if (_key(spec), version) not in busy:
                    self._running[self._executor.submit(job)] = _Run(spec, version)
        awaited = {future: run.patience for future, run in self._running.items() if run.patience}
        if awaited:
            wait(awaited, timeout=max(awaited.values()))
        finished = [future for future in self._running if future.done()]
        done = [(self._running.pop(future), future.result()) for future in finished]
        told = [asked for run, asked in done if not run.outdated]
        for run, asked in done:
            if run.outdated or asked.again is not None:
                self._due[_key(run.spec)] = asked.again or now
        told += [late for future, run in self._running.items() if future.running() and (late := run.late(due))]
        return tuple(told)

    def availability(self, asked: Iterable[Asked]) -> dict[tuple[str, Version], Tally | Missing]:
        """Failed http probes among those made, by service and version; missing where none of those due could be made.

        What no probe asks has no entry.
        """
        said: dict[tuple[str, Version], list[Asked]] = {}
        for spec in self._specs:
            if isinstance(spec, HttpProbe):
                said |= {(spec.service, version): [] for version in spec.versions}
        for each in asked:
            if isinstance(each.spec, HttpProbe) and each.version is not None:
                said[each.spec.service, each.version].append(each)
        return {key: _tally(found) for key, found in said.items()}

    def _jobs(self, spec: ProbeSpec, now: datetime) -> list[tuple[Version | None, Callable[[], Asked]]]:
        if isinstance(spec, HttpProbe):
            return [(version, partial(self._http, spec, version)) for version in spec.versions]
        if isinstance(spec, CompareProbe):
            return [(None, partial(self._compare, spec))]
        return [(None, partial(self._data, spec, now))]

    def _http(self, spec: HttpProbe, version: Version) -> Asked:
        answer = _survived(lambda: probes.ask(spec, version, self._client))
        return Asked(spec, version, answer.passed, answer.detail)

    def _compare(self, spec: CompareProbe) -> Asked:
        answer = _survived(lambda: probes.compare(spec, self._client))
        return Asked(spec, None, answer.passed, answer.detail)

    def _data(self, spec: integrity.IntegrityProbe, now: datetime) -> Asked:
        documents = self._documents
        if documents is None:
            return Asked(spec, None, None, "there is no database to read")
        found = _survived(lambda: self._watches[_key(spec)].look(documents.pinned(), now))
        again = found.again if isinstance(found, integrity.Found) else None
        return Asked(spec, None, found.passed, found.detail, again)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def __enter__(self) -> Probing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _survived(probe: Callable[[], Said]) -> Said | probes.Answer:
    """What a probe said; that it could not be made where it broke, so that no answer of a package ends the watch."""
    try:
        return probe()
    except CausewayError as error:
        return probes.Answer(None, str(error))
    except Exception as error:
        return probes.Answer(None, f"the probe broke ({type(error).__name__})")


def _tally(said: Sequence[Asked]) -> Tally | Missing:
    made = [each for each in said if each.passed is not None]
    if said and not made:
        return Missing(said[0].detail)
    return Tally(sum(not each.passed for each in made), len(made))


def _name(spec: ProbeSpec, version: Version | None) -> str:
    return spec.name if version is None else f"{spec.name}@{version}"


def _key(spec: ProbeSpec) -> tuple[str, str]:
    return spec.service, spec.name
