"""A stage: emulator, application and load as `stacks/stage.<stack>.yaml` describes them, and a project to type in.

Everything lies in a folder of its own, so that no file of the checkout changes, and ends with the context.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import yaml

from causeway.errors import CausewayError, ConfigError
from standin.environment import CHECKOUT, Environment
from standin.local import ensure_stack
from standin.processes import Processes, answering, free_port, listening
from standin.tools import emulator_command


@dataclass
class Stage:
    """What runs. `urls` are the application's processes; the stack file names the first."""

    stack: str
    environment: Environment
    project: Path
    processes: Processes
    script: dict[str, Any]
    urls: list[str] = field(default_factory=list)

    @property
    def report(self) -> Path:
        """Where the load leaves its figures when it is stopped."""
        return self.project.parent / "load.json"

    def type(self, *command: str) -> str:
        """Run what a person would type; what it prints. Raises CausewayError with what it said where it fails."""
        print(f"$ {' '.join(command)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment.process_variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CausewayError(f"`{' '.join(command)}` ended with {done.returncode}", done.stderr or done.stdout)
        return done.stdout

    def apply(self) -> None:
        """The first update, legacy's baselines, and the first soak."""
        named = ("--stack", self.stack)
        self.type("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", *named)
        self.type("causeway", "baseline", "record", *named)
        self.type("causeway", "soak", *named)

    def start_application(self, port: int, project: str) -> None:
        """One more process of the application."""
        url = f"http://127.0.0.1:{port}"
        known = {"port": str(port), "url": url, "project": project}
        self._start(f"application-{len(self.urls)}", "application", answering(self._filled("ready", known)[0]), known)
        self.urls.append(url)

    def start_load(self, rate: float, url: str | None = None) -> None:
        """Traffic at so many requests a second, on the first process unless another is named."""
        self._start("load", "load", None, {"url": url or self.urls[0], "rate": str(rate), "report": str(self.report)})

    def _start(self, name: str, part: str, ready: Any, known: dict[str, str]) -> None:
        environment = {**self.environment.process_variables(), "PYTHONPATH": str(CHECKOUT)}
        self.processes.start(name, self._filled(part, known), ready=ready, env=environment, within_s=120)

    def _filled(self, part: str, known: dict[str, str]) -> list[str]:
        words = self.script[part] if isinstance(self.script[part], list) else [self.script[part]]
        values = {"python": sys.executable, "stack": self.stack, **known}
        return [Template(word).substitute(values) for word in words]


@contextmanager
def stage(
    folder: Path, stack: str = "local", *, rate: float = 60.0, applications: int = 1, heap_mib: int = 512
) -> Iterator[Stage]:
    """A stage with nothing applied yet, on an emulator with so much memory.

    Raises ConfigError where nobody has described one for the stack.
    """
    described = CHECKOUT / "stacks" / f"stage.{stack}.yaml"
    if not described.is_file():
        raise ConfigError(
            f"{described} does not exist", "nobody has said how the application is run here", "stage.local.yaml is one."
        )
    script = yaml.safe_load(described.read_text())
    with Processes(logs=folder / "logs") as processes:
        emulator, port = free_port(), free_port()
        processes.start("emulator", emulator_command(emulator, heap_mib), ready=listening(emulator), within_s=120)
        environment = Environment(folder / "environment", f"127.0.0.1:{emulator}").make()
        project = _project(folder, script["address"], port)
        ensure_stack(environment, project, stack)
        made = Stage(stack, environment, project, processes, script)
        name = yaml.safe_load((project / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]["gcp:project"]
        for number in range(applications):
            made.start_application(port if number == 0 else free_port(), name)
        if rate:
            made.start_load(rate)
        yield made


def _project(folder: Path, address: str, port: int) -> Path:
    """The checkout's project with stack files of its own, which name the application where it is."""
    project = folder / "project"
    (project / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py", "policies"):
        (project / name).symlink_to(CHECKOUT / name)
    (project / ".venv").symlink_to(sys.prefix)
    for file in (CHECKOUT / "stacks").iterdir():
        (project / "stacks" / file.name).write_text(file.read_text().replace(address, f"127.0.0.1:{port}"))
    return project
