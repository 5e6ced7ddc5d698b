"""The Pulumi port: preview with policies, apply what was previewed, read the state, recover what a crash left.

The CLI is driven directly. Its output goes to files, so that the death of the runner does not kill an update at its
next line; it runs in a process group of its own, so that Ctrl-C reaches the runner first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from causeway.errors import CausewayError, MoveRefused, Unreachable
from causeway.rollout import orphans
from causeway.rollout.orphans import CARRIED, Owner

#: Types that are Pulumi's own and no resource of the stack.
_NOT_CUSTOM = ("pulumi:pulumi:", "pulumi:providers:")
#: How the engine introduces what the program's hook has said.
_HOOK = 'hook "legal_move" failed:'
#: How Pulumi says that a lock is held, and by whom.
_LOCKED = "the stack is currently locked"
_LOCK = re.compile(r"created by (?P<who>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\)")
#: An operation that is broken off finishes what is in flight, at most so many seconds.
_GRACE = 2.0


class UpdateFailed(CausewayError):
    """Pulumi could not carry an update out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a preview or an update did: counts of steps by kind, its events, and how long it took in seconds."""

    changes: Mapping[str, int]
    events: tuple[Mapping[str, Any], ...]
    seconds: float

    @property
    def changed(self) -> int:
        """How many resources differ."""
        return sum(count for kind, count in self.changes.items() if kind not in ("same", "read"))


@dataclass(frozen=True, slots=True)
class Export:
    """A stack's state: custom resources by URN with their inputs, and the digest of these. Secrets stay encrypted."""

    inputs: Mapping[str, Mapping[str, Any]]
    pending: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 over the inputs in canonical JSON."""
        text = json.dumps(self.inputs, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, then: Export) -> list[str]:
        """What differs from an earlier export, one line a resource property."""
        lines = []
        for urn in sorted({*self.inputs, *then.inputs}):
            mine, theirs = self.inputs.get(urn), then.inputs.get(urn)
            name = urn.rsplit("::", 2)[-2].rsplit("$", 1)[-1] + " " + urn.rsplit("::", 1)[-1]
            if mine is None or theirs is None:
                lines.append(f"{name} exists only {'then' if mine is None else 'now'}")
            else:
                keys = sorted({*mine, *theirs})
                lines += [f"{name}.{key} differs" for key in keys if mine.get(key) != theirs.get(key)]
        return lines


class Engine(Protocol):
    """What the runner needs of Pulumi, for one stack."""

    def preview(self, plan: Path, *, reason: str = "", guarded: bool = True) -> Outcome:
        """Preview (`guarded`: with policies) and keep the plan. Raises MoveRefused or UpdateFailed; changes nothing."""

    def up(self, plan: Path | None, *, reason: str = "") -> Outcome:
        """Apply exactly what was previewed, or everything where there is no plan. Raises UpdateFailed."""

    def export(self) -> Export:
        """The state as it is recorded."""

    def refresh(self) -> None:
        """Read the cloud into the state, and forget operations that a crash left pending."""

    def drift(self) -> Outcome:
        """Compare the cloud with the state, changing neither."""

    def recover(self) -> None:
        """Remove what a dead update left: its processes, its lock. Raises UpdateFailed while a living one holds it."""

    def unlock(self) -> None:
        """Remove the lock, whoever holds it: only where it is certain that he has ended."""

    def abort(self) -> None:
        """Break off what this engine runs, from another thread: the stack has been taken over."""


class Pulumi:
    """The engine on the `pulumi` command. `folder` holds Pulumi.yaml, `work` receives the output of each run."""

    def __init__(
        self,
        stack: str,
        folder: Path,
        work: Path,
        *,
        environment: Mapping[str, str] | None = None,
        policies: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stack = stack
        self._folder = folder
        self._work = work
        self._environment = {**os.environ, **(environment or {}), "PULUMI_SKIP_UPDATE_CHECK": "true"}
        self._policies = policies
        self._clock = clock
        self._running: set[subprocess.Popen[bytes]] = set()
        self._starting = threading.Lock()  # what has begun is known before anybody asks what runs
        self._work.mkdir(parents=True, exist_ok=True)

    def preview(self, plan: Path, *, reason: str = "", guarded: bool = True) -> Outcome:
        plan.unlink(missing_ok=True)
        policies = ("--policy-pack", str(self._policies)) if self._policies and guarded else ()
        return self._run("preview", "--save-plan", str(plan), *policies, reason=reason)

    def up(self, plan: Path | None, *, reason: str = "") -> Outcome:
        planned = ("--plan", str(plan)) if plan else ()
        return self._run("up", "--yes", "--skip-preview", *planned, reason=reason)

    def export(self) -> Export:
        out = self._plain("stack", "export", "--stack", self.stack)
        deployment = json.loads(out).get("deployment") or {}
        resources = deployment.get("resources") or []
        return Export(
            inputs={
                each["urn"]: each.get("inputs", {})
                for each in resources
                if each.get("custom") and not each.get("external") and not each["type"].startswith(_NOT_CUSTOM)
            },
            pending=tuple(each["resource"]["urn"] for each in deployment.get("pending_operations") or []),
        )

    def refresh(self) -> None:
        self._run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")

    def drift(self) -> Outcome:
        name = f"drift-{os.getpid()}"  # anybody may look at any time: no two write into one file
        outcome = self._run("refresh", "--preview-only", name=name)
        for output in self._work.glob(f"{name}.*"):
            output.unlink()
        return outcome

    def recover(self) -> None:
        orphans.end_left_in(self._work)
        self._unlock_the_dead()
        if self.export().pending:
            self.refresh()

    def unlock(self) -> None:
        self._plain("cancel", self.stack, "--yes")

    def abort(self) -> None:
        with self._starting:
            begun = tuple(self._running)
        for process in begun:
            process.send_signal(signal.SIGINT)  # once: what is in flight finishes, and the state stays clean
        deadline = time.monotonic() + _GRACE
        while self._running and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in tuple(self._running):
            orphans.end_session(process.pid)

    def _run(self, verb: str, *arguments: str, reason: str = "", name: str = "") -> Outcome:
        """Run an operation with its events in a file; all its processes carry whose it is, for whoever comes after."""
        name = name or verb
        events, output = self._work / f"{name}.events", self._work / f"{name}.out"
        events.unlink(missing_ok=True)
        command = [self._command(), verb, "--stack", self.stack, "--non-interactive", "--color", "never"]
        command += ["--event-log", str(events), *arguments]
        environment = {**self._environment, "PULUMI_DEBUG_COMMANDS": "1", "CAUSEWAY_REASON": reason}
        environment[CARRIED] = orphans.carried(Owner.of_this(), self._work)
        began = self._clock()
        with output.open("wb") as out:
            with self._starting:
                process = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                code = process.wait()
            except BaseException:
                # Once: the operation in flight finishes and the state stays clean.
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
            finally:
                orphans.end_session(process.pid)  # of a killed `pulumi` as well: its provider would still write
                self._running.discard(process)
        found = tuple(_read_events(events))
        if code < 0:
            with contextlib.suppress(CausewayError):
                self._unlock_the_dead()
            raise UpdateFailed(
                f"pulumi {verb} was killed by {signal.Signals(-code).name}",
                "the stack may stand between two places",
                "`causeway reconcile` settles it; `causeway run` does as well, and goes on.",
            )
        if code:
            raise self._failure(verb, output.read_text(errors="replace"), found)
        summary: Mapping[str, Any] = next((e["summaryEvent"] for e in found if "summaryEvent" in e), {})
        return Outcome(summary.get("resourceChanges", {}), found, self._clock() - began)

    def _unlock_the_dead(self) -> None:
        """Remove a lock whose holders were processes of this machine and are dead. Raises UpdateFailed otherwise.

        Pulumi shows a lock to whoever wants it: here a refresh of nothing, which changes nothing.
        """
        nothing = f"urn:pulumi:{self.stack}::none::none:none:None::none"
        probe = ("refresh", "--stack", self.stack, "--yes", "--skip-preview", "--target", nothing)
        said = self._ask(*probe)
        if _LOCKED not in said.stdout + said.stderr:
            return
        holders = [found.groupdict() for found in _LOCK.finditer(said.stdout + said.stderr)]
        if not holders or not all(_dead(each["host"], int(each["pid"])) for each in holders):
            raise _locked(self.stack, holders)
        self.unlock()

    def _failure(self, verb: str, output: str, events: Sequence[Mapping[str, Any]]) -> CausewayError:
        """One error from an operation's output: a refusal of the hook or of a policy, or a failure."""
        errors = [
            e["diagnosticEvent"]["message"] for e in events if e.get("diagnosticEvent", {}).get("severity") == "error"
        ]
        for message in errors:
            if _HOOK in message:
                return MoveRefused(_clean(message.rsplit(_HOOK, 1)[1]))
        violations = [
            e["policyEvent"] for e in events if e.get("policyEvent", {}).get("enforcementLevel") == "mandatory"
        ]
        if violations:
            first = violations[0]
            said = first["message"].split("\n", 1)[-1]  # behind the policy's own description
            return MoveRefused(
                f"policy {first['policyName']}: {_clean(said)}",
                f"{len(violations)} mandatory {'policy is' if len(violations) == 1 else 'policies are'} violated",
                "Mend the config; nothing was changed.",
            )
        if _LOCKED in output:
            return _locked(self.stack, [found.groupdict() for found in _LOCK.finditer(output)])
        # The first error is the cause; under a saved plan one more follows for every resource not come to since.
        what = _clean(errors[0]) if errors else _clean(output[-600:])
        return UpdateFailed(f"pulumi {verb} failed: {what}", "", f"The whole output: {self._work / verb}.out")

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._command(), *arguments, "--non-interactive"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _plain(self, *arguments: str) -> str:
        done = self._ask(*arguments)
        if done.returncode:
            raise UpdateFailed(
                f"pulumi {arguments[0]} failed: {_clean(done.stderr or done.stdout)}",
                "the state of the stack cannot be read",
                f"`pulumi stack select {self.stack}` shows whether it exists.",
            )
        return done.stdout

    def _command(self) -> str:
        found = shutil.which("pulumi", path=self._environment.get("PATH"))
        if found is None:
            raise Unreachable(
                "pulumi is not on the PATH",
                "no stack can be previewed or updated",
                '`make setup` gets it; then `eval "$(make -s env)"`.',
            )
        return found


def _dead(host: str, pid: int) -> bool:
    """Whether the holder of a lock was a process of this machine and is no more. Of others nothing can be told."""
    return host == socket.gethostname() and not orphans.runs(pid, "pulumi")


def _locked(stack: str, holders: Sequence[Mapping[str, str]]) -> UpdateFailed:
    by = ", ".join(f"{each['who']} on {each['host']}, process {each['pid']}" for each in holders) or "nobody named"
    return UpdateFailed(
        f"Pulumi holds a lock on {stack}",
        f"another update runs, or one has died ({by}); two at once would write one state",
        "Wait for it, or end it. After a crash `causeway reconcile` on that machine removes what it left; where the "
        "machine is gone, `causeway reconcile --ended` does.",
    )


def _read_events(path: Path) -> Iterator[Mapping[str, Any]]:
    """Engine events, one JSON document a line; the last line may be cut."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _clean(message: str) -> str:
    """A diagnostic without colour marks and line breaks."""
    return " ".join(re.sub(r"<\{%.*?%\}>", "", message).split()).strip()
