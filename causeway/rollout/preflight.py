"""Go or no-go before a step: system health, package readiness, backups, flags (V1 to V4).

Each finding says what was checked, whether it holds, and what to do where it does not. Nothing is changed, except
that Firestore is written to in a document of causeway's own, to know that it can be.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from causeway import flags
from causeway.backup.archive import Archive
from causeway.backup.status import lines
from causeway.backup.storage import open_storage
from causeway.config.records import Priority
from causeway.errors import CausewayError
from causeway.health.resources import judge, selectors
from causeway.health.sources import open_source
from causeway.health.windows import Names
from causeway.model.stage import Stage
from causeway.model.window import Missing, Tally
from causeway.rollout import control as controls
from causeway.rollout.desired import standing
from causeway.rollout.opening import open_checker
from causeway.rollout.soaking import not_in_force
from causeway.rollout.stack import Stack
from causeway.rollout.store import NOW, Write

_PATIENCE_S = 600
#: How old the newest backup of a priority may be: its rhythm, and as much again for the run to end.
_MOST_AGE_S = {"realtime": 60, "hourly": 2 * 3600, "daily": 2 * 86400}
#: Trial restores are daily: one of the backups of so many seconds must have been given back whole.
_PROVEN_S = 3 * 86400


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. `area` is V1 to V4 in words; `remedy` says what to do where it does not hold.

    `passed` is None where nothing could be checked, or config asks for nothing: no reason to stop, and no pass.
    """

    area: str
    name: str
    passed: bool | None
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def go(findings: Iterable[Finding]) -> bool:
    """Whether nothing that was checked stands against the next step."""
    return all(each.passed is not False for each in findings)


def examine(stack: Stack) -> list[Finding]:
    """Everything that must hold before the next step."""
    return [*_system(stack), *_packages(stack), *_backups(stack), *_flags(stack)]


def _system(stack: Stack) -> Iterator[Finding]:
    """V1: functions answer, Firestore reads and writes, error rates are in order."""
    yield _firestore(stack)
    for name in stack.config.matrix.services:
        yield _legacy(stack, name)
    try:
        with open_checker(stack) as checker:
            weights = (served.weights if (served := stack.served()) else {}) or dict.fromkeys(
                stack.config.matrix.services, 0
            )
            checker.look(weights)
            stack.clock.sleep(max(stack.config.metrics.every if stack.config.metrics else 1.0, 1.0))
            look = checker.look(weights)
    except CausewayError as error:
        yield Finding("system", "metrics", False, error.fact, error.remedy)
        return
    yield Finding("system", "metrics", True, f"{len(look.legacy)} services measured")
    for name, window in look.legacy.items():
        seen = window.errors
        if isinstance(seen, Missing):
            yield Finding("system", f"errors of {name}@legacy", False, seen.reason, "Check causeway:metrics.")
        else:
            yield _error_rate(stack, name, seen)
    yield from _resources(stack)
    here = stack.served()
    silent = not_in_force(stack.config, here.place) if here and here.place.position in stack.config.plan else ()
    for check in look.checks:
        if check.name not in silent:
            yield Finding("system", check.name, check.passed, check.detail or "in order", "See to what it probes.")


def _resources(stack: Stack) -> Iterator[Finding]:
    """Memory, quota, instances: read once, each against its limit."""
    config = stack.config
    if config.metrics is None or not config.resources:
        return
    names = Names(config.metrics.names)
    with open_source(config.metrics, names, stack.clock.now, also=selectors(config.resources)) as source:
        sample = source.read()
    for resource in config.resources:
        check = judge(resource, sample)
        yield Finding("system", resource.name, check.passed is True, check.detail, "Make room before traffic moves.")


def _firestore(stack: Stack) -> Finding:
    path = f"control/{stack.name}.preflight"
    try:
        found = stack.store.read(path)
        stack.store.commit([Write(path, {"at": NOW}, found.updated if found else None)])
    except CausewayError as error:
        return Finding("system", "Firestore", False, error.fact, error.remedy)
    return Finding("system", "Firestore", True, "reads and writes")


def _error_rate(stack: Stack, name: str, seen: Tally) -> Finding:
    rail = stack.config.guardrails.error_rate
    most = rail.warn if rail else 1.0
    share = seen.bad / seen.total if seen.total else 0.0
    return Finding(
        "system",
        f"errors of {name}@legacy",
        share <= most,
        f"{seen.bad} of {seen.total} failed",
        "Legacy itself fails; a rollback would lead there.",
    )


def _legacy(stack: Stack, name: str) -> Finding:
    wrong = stack.application.legacy_health(name)
    if wrong is None and stack.config.hooks.legacy_health is None:
        return Finding("system", f"legacy of {name}", None, "not configured", "Add causeway:hooks.legacy_health.")
    return Finding("system", f"legacy of {name}", wrong is None, wrong or "answers", "Mend it: it is the way back.")


def _packages(stack: Stack) -> Iterator[Finding]:
    """V2: the commands of `causeway:readiness`, side by side, for the services that are not complete."""
    served = stack.served()
    here = served.place.position if served and served.place.position in stack.config.plan else None
    stages = stack.config.plan.at(here).stages if here else {}
    open_services = [name for name in stack.config.matrix.services if stages.get(name) is not Stage.COMPLETE]
    wanted = [
        (name, Template(command).safe_substitute(service=name))
        for name in open_services
        for command in (*stack.config.readiness.get("*", ()), *stack.config.readiness.get(name, ()))
    ]
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda pair: _command(stack.file.parent.parent, *pair), wanted)
    if not wanted:
        yield _nothing_to_run(stack)


def _nothing_to_run(stack: Stack) -> Finding:
    if any(stack.config.readiness.values()):
        return Finding("packages", "readiness", True, "every service with commands is complete")
    return Finding("packages", "readiness", None, "not configured; nothing was checked", "Add causeway:readiness.")


def _command(folder: Path, service: str, command: str) -> Finding:
    name = f"{service}: {command}"
    try:
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding("packages", name, False, f"did not end within {_PATIENCE_S} s", "Run it by hand.")
    last = (done.stdout + done.stderr).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return Finding("packages", name, done.returncode == 0, last[0][:200], "Run it by hand to see all of its output.")


def _backups(stack: Stack) -> Iterator[Finding]:
    """V3: archives present and fresh, baselines measured and fresh."""
    for priority in stack.config.backup.priorities:
        yield _kept(stack, priority)
    measured = stack.baselines()
    for name in stack.config.matrix.services:
        detail = f"{measured[name] * 1000:.1f} ms" if name in measured else "none, or stale"
        yield Finding("backups", f"baseline of {name}", name in measured, detail, "`causeway baseline record`.")
    window, flows = stack.config.soak.interval, stack.config.guardrails.throughput
    for name in (name for name, usual in measured.items() if flows and usual > window):
        detail = f"requests take {measured[name]:.3g} s, the window {window:g} s"
        yield Finding("backups", f"throughput of {name} can be judged", False, detail, "Raise causeway:soak.interval.")


def _kept(stack: Stack, priority: Priority) -> Finding:
    """Whether a priority has a backup that is young enough, and a lately verified one: the same may be both."""
    name = f"{priority.name} data ({priority.every})"
    try:
        archive = Archive(open_storage(stack.config.backup.archive), stack.clock.now)
        found = [each for each in lines(archive) if set(priority.collections) <= set(each.collections) and each.instant]
    except CausewayError as error:
        return Finding("backups", name, False, error.fact, error.remedy)
    newest = max(found, key=lambda each: each.instant or stack.clock.now(), default=None)
    remedy = f"`causeway backup snapshot --priority {priority.name}`, then `causeway backup verify`."
    if newest is None or newest.instant is None:
        return Finding("backups", name, False, "never backed up", remedy)
    age = (stack.clock.now() - newest.instant).total_seconds()
    young = age <= _MOST_AGE_S[priority.every]
    detail = f"{newest.text.strip()}; {age / 60:.0f} min old"
    proven = max((each.verified for each in found if each.verified), default=None)
    if newest.verified is None and proven:
        detail += f"; an earlier one was verified {proven:%Y-%m-%d %H:%M} UTC"
    lately = proven is not None and (stack.clock.now() - proven).total_seconds() <= _PROVEN_S
    return Finding("backups", name, young and lately, detail, remedy)


def _flags(stack: Stack) -> Iterator[Finding]:
    """V4: every flag is there, legacy by default, with its rollback conditions; somebody watches."""
    document = stack.store.read(f"flags/{stack.name}")
    if document is None:
        yield Finding("flags", "flag set", False, "there is none", "`pulumi up` at infrastructure.")
        return
    found = flags.read(document.values["definition"])
    for name in stack.config.matrix.services:
        flag = found.by_service.get(name)
        good = flag is not None and bool(flag.rollback)
        yield Finding("flags", f"flag of {name}", good, flag.rollback if flag else "missing", "`pulumi up`.")
    control = controls.read(stack.store, stack.name)
    override = control.override_why if control.override else ""
    yield Finding("flags", "override", not override, override or "none", "`causeway reconcile`.")
    place = standing(document.values["definition"]).place
    yield Finding("flags", "position", place.position in stack.config.plan, str(place), "`causeway drift`.")
