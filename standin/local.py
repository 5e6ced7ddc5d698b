"""The environment for use by hand: under `.local/` of the checkout, with an emulator that outlives the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from causeway.errors import Unreachable
from standin.environment import CHECKOUT, Environment
from standin.processes import free_port, listening, wait_until
from standin.tools import emulator_command

STACK = "local"


@dataclass(frozen=True)
class Emulator:
    """A running emulator. `born` is its process's creation time: a number alone may come to mean another process."""

    pid: int
    port: int
    born: float

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.born and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class Local:
    """The local environment of a checkout; every method may be called again without harm."""

    root: Path = CHECKOUT / ".local"

    def emulator(self) -> Emulator | None:
        """The emulator, if it runs."""
        try:
            emulator = Emulator(**json.loads(self._record.read_text()))
        except (FileNotFoundError, ValueError):
            return None
        return emulator if emulator.alive() else None

    def environment(self) -> Environment:
        """Raises `Unreachable` while the emulator does not run."""
        emulator = self.emulator()
        if emulator is None:
            raise Unreachable("the local emulator is not running", "", "Start it with make local")
        return Environment(self.root, emulator.address)

    def start(self) -> Environment:
        """Starts the emulator, unless it runs, and makes the environment around it."""
        if self.emulator() is None:
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._record.write_text(json.dumps(vars(self._start_emulator())))
        return self.environment().make()

    def stop(self) -> bool:
        """Stops the emulator and waits until it is gone; false if it did not run. Its documents go with it."""
        emulator = self.emulator()
        self._record.unlink(missing_ok=True)
        if emulator is None:
            return False
        process = psutil.Process(emulator.pid)
        os.killpg(emulator.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except psutil.TimeoutExpired:
            os.killpg(emulator.pid, signal.SIGKILL)
        return True

    @property
    def _record(self) -> Path:
        return self.root / "emulator.json"

    def _start_emulator(self) -> Emulator:
        port = free_port()
        log = self.root / "emulator.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                emulator_command(port), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait_until(listening(port), lambda: process.poll() is None, "emulator", log)
        return Emulator(process.pid, port, psutil.Process(process.pid).create_time())


def ensure_stack(environment: Environment, project: Path, stack: str = STACK) -> bool:
    """Creates the stack in the environment's backend where it is missing; true if it did. Needs `Pulumi.yaml`."""
    found = environment.pulumi("stack", "ls", "--json", cwd=project)
    if any(entry["name"] == stack for entry in json.loads(found.stdout)):
        return False
    environment.pulumi("stack", "init", stack, cwd=project)
    return True
