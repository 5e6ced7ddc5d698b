"""The demo: CVPlus from legacy to packages and back, on the real Pulumi engine, under load.

`python -m examples.cvplus.demo` starts the emulator, the application and the load generator, then types what a team
would type. One package fails on the way; the gates roll it back by themselves, a fix is shipped, the plan goes on.
It ends with figures that were measured (`out/demo/report.json`, `report.md`) and exits 0 only if all of them hold.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.rule import Rule

from examples.cvplus import outcome
from standin.environment import CHECKOUT, Environment
from standin.local import ensure_stack
from standin.processes import Processes, answering, free_port, listening
from standin.tools import emulator_command

OUT = CHECKOUT / "out" / "demo"
STACK = "local"
#: Where the fault strikes: this service, from this position on, failing this share of its package's requests.
FAULTY, STRIKES_AT, ERROR_RATE = "CacheManager", "medium/CacheManager/50", 0.3
#: The port that the committed stack file names; the demo takes a free one.
PORT = 8801
SEEDED_USERS = 500


@dataclass
class Demo:
    """A project of its own beside the checkout's, so that no file of the checkout changes."""

    environment: Environment
    project: Path
    url: str
    console: Console
    moments: dict[str, float] = field(default_factory=dict)
    timings: list[tuple[str, float, int]] = field(default_factory=list)

    def title(self, text: str) -> None:
        self.console.print(Rule(text, align="left", style="bold"))

    def type(self, *command: str, expect: int = 0) -> None:
        """Run what a person would type, its output on the screen. Raises RuntimeError on another exit code.

        Niced: elsewhere the application has machines of its own, here it shares two cores with the engine.
        """
        self.console.print(f"[bold]$ {' '.join(command)}[/]")
        began = time.monotonic()
        code = subprocess.run(
            ("nice", "-n", "10", *command),
            cwd=self.project,
            env=self.environment.process_variables(),
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode
        self.timings.append((" ".join(command), time.monotonic() - began, code))
        if code != expect:
            raise RuntimeError(f"`{' '.join(command)}` ended with {code}, not {expect}")

    def facts(self, *command: str) -> Any:
        """The JSON that a command prints."""
        done = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment.process_variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        httpx.post(f"{self.url}{path}", json=body, timeout=10).raise_for_status()

    @contextmanager
    def striking(self, service: str, position: str, error_rate: float) -> Iterator[None]:
        """Break a package as soon as the application has reached a position, while something else runs."""
        over = threading.Event()

        def strike() -> None:
            while not over.wait(0.05):
                if httpx.get(f"{self.url}/healthz", timeout=5).json()["position"] == position:
                    self.post("/faults", {"service": service, "version": "package", "error_rate": error_rate})
                    self.moments["fault"] = time.time()
                    self.console.print(f"[bold red]⚡ {service}@package now fails {error_rate:.0%} of its requests[/]")
                    return

        thread = threading.Thread(target=strike, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=10)


def walk(demo: Demo) -> None:
    """The whole story, in commands."""
    stack = ("--stack", STACK)
    demo.title("Infrastructure: backups, schedules, alerts, the flag set. No traffic moves.")
    demo.type("causeway", "check", *stack)
    demo.type("pulumi", "up", "--yes", "--skip-preview", *stack, "--non-interactive", "--suppress-outputs")
    demo.type("causeway", "baseline", "record", "--for", "8s", *stack)
    demo.type("causeway", "soak", *stack)
    demo.title("Low risk")
    demo.type("causeway", "run", "--to", "low", *stack)
    demo.title(f"Medium risk; {FAULTY} will break")
    with demo.striking(FAULTY, STRIKES_AT, ERROR_RATE):
        demo.type("causeway", "run", "--to", "medium", *stack, expect=8)
    demo.moments["rolled_back"] = time.time()
    demo.title("A fix is shipped; its breaker closes rung by rung")
    demo.post("/ship", {"service": FAULTY})
    demo.type("causeway", "release", FAULTY, "--reason", "fixed in the new build", *stack)
    demo.title("The plan goes on: medium and critical risk, and legacy is retired")
    demo.type("causeway", "run", "--to", "deprecation", *stack)
    demo.type("causeway", "status", *stack)
    demo.type("causeway", "report", "--out", str(OUT / "migration"), *stack)


def main() -> int:
    """Set the stage, walk, measure, and say whether it all held."""
    options = _options()
    console = Console(highlight=False)
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with Processes(logs=OUT / "logs") as processes:
        demo = _stage(processes, console, options)
        trouble = None
        try:
            walk(demo)
        except (RuntimeError, subprocess.CalledProcessError, httpx.HTTPError) as error:
            trouble = str(error)
            console.print(f"[bold red]{trouble}[/]")
        processes.stop("load")
        found = outcome.measure(
            load=json.loads((OUT / "load.json").read_text()),
            records=demo.facts("causeway", "log", "--stack", STACK, "--count", "500", "--json"),
            updates=demo.facts("pulumi", "stack", "history", "--stack", STACK, "--json", "--page-size", "500"),
            application=httpx.get(f"{demo.url}/metrics", timeout=10).text,
            moments=demo.moments,
            faulty=FAULTY,
            trouble=trouble,
            seconds=time.monotonic() - began,
        )
    (OUT / "report.json").write_text(json.dumps(found.as_dict(), indent=2, default=str) + "\n")
    (OUT / "report.md").write_text(found.markdown())
    console.print(found.table())
    console.print(f"The figures: {OUT / 'report.json'}; for people: {OUT / 'report.md'}")
    return 0 if found.held else 1


def _stage(processes: Processes, console: Console, options: argparse.Namespace) -> Demo:
    """Everything that runs: emulator, application, load; and a project to type in."""
    console.print("starting the Firestore emulator, the application and the load")
    emulator, port = free_port(), free_port()
    processes.start("emulator", emulator_command(emulator), ready=listening(emulator))
    environment = Environment(OUT / "environment", f"127.0.0.1:{emulator}").make()
    project = _project(port)
    ensure_stack(environment, project)
    variables = environment.process_variables()
    url = f"http://127.0.0.1:{port}"
    python = sys.executable
    application = [python, "-m", "examples.cvplus.app", "--port", str(port), "--stack", STACK, "--pace", "5"]
    processes.start("application", application, ready=answering(f"{url}/healthz"), env=variables)
    load = [python, "-m", "examples.cvplus.load", "--url", url, "--users", str(SEEDED_USERS)]
    load += ["--rate", str(options.rate), "--job-every", "100", "--report", str(OUT / "load.json")]
    processes.start("load", load, env=variables)
    return Demo(environment, project, url, console)


def _project(port: int) -> Path:
    """The checkout's project with a stack file of its own."""
    project = OUT / "project"
    (project / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py", "policies", ".venv"):
        (project / name).symlink_to(CHECKOUT / name)
    for file in (CHECKOUT / "stacks").iterdir():
        text = file.read_text().replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")
        (project / "stacks" / file.name).write_text(text)
    return project


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.cvplus.demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=520.0, help="requests a second")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
