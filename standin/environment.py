"""One isolated local environment: its own Pulumi backend, local cloud, faults and emulator address."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from causeway.errors import CausewayError
from standin.gcp.faults import Fault, inject
from standin.tools import pulumi_tools, schema_cache
from standin.versions import PULUMI_GCP

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Environment:
    """Everything of one local environment lies under `root` (an absolute path); `emulator` is "host:port" or None."""

    root: Path
    emulator: str | None = None

    @property
    def cloud(self) -> Path:
        """The local cloud: a JSON file per resource; edit one to make drift."""
        return self.root / "cloud"

    @property
    def fault_file(self) -> Path:
        return self.root / "faults.json"

    def make(self) -> Environment:
        """Creates what is missing under `root`; idempotent. Raises `Unreachable` where there is no pulumi."""
        pulumi_tools()
        # A plugin of this environment's PULUMI_HOME: one found on PATH is warned about at each update.
        plugin = self.root / "home" / "plugins" / f"resource-gcp-v{PULUMI_GCP}"
        for directory in (plugin, self.cloud, self.root / "state"):
            directory.mkdir(parents=True, exist_ok=True)
        launcher(plugin / "pulumi-resource-gcp", shlex.quote(sys.executable), "standin.gcp")
        return self

    def variables(self) -> dict[str, str]:
        """What to set, on top of the caller's own environment, for anything that runs in this one."""
        settings = {
            "PATH": _path([Path(sys.prefix) / "bin", *pulumi_tools().directories]),
            "VIRTUAL_ENV": sys.prefix,
            "PULUMI_BACKEND_URL": f"file://{self.root / 'state'}",
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "local",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "METADATA_SERVER_DETECTION": "none",
            "CAUSEWAY_CLOUD": str(self.cloud),
            "CAUSEWAY_FAULTS": str(self.fault_file),
            "CAUSEWAY_SCHEMAS": str(schema_cache()),
        }
        return settings | ({"FIRESTORE_EMULATOR_HOST": self.emulator} if self.emulator else {})

    def process_variables(self) -> dict[str, str]:
        """The caller's environment with `variables()` on top: what `subprocess` takes as `env`."""
        return {**os.environ, **self.variables()}

    def pulumi(self, *arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs the CLI in a project's directory, its output as text.

        Raises `CausewayError` with what the CLI said where it fails, unless told not to check.
        """
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=cwd,
            env=self.process_variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode != 0:
            said = "\n".join(part for part in (done.stdout.strip(), done.stderr.strip()) if part)
            raise CausewayError(f"pulumi {' '.join(arguments)} ended with exit code {done.returncode}", said)
        return done

    def inject(self, *faults: Fault) -> None:
        """Sets the provider's faults; none clears them."""
        inject(self.fault_file, faults)

    def exports(self) -> str:
        """`export NAME=VALUE` lines for a shell's `eval`."""
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.variables().items())


def launcher(path: Path, python: str, module: str) -> None:
    """Writes an executable that runs a module of this package; `python` is shell text for the interpreter.

    By way of /bin/sh, because a `#!` line takes neither long paths nor spaces.
    """
    text = f'#!/bin/sh\nexec {python} -m {module} "$@"\n'
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)


def _path(first: Sequence[Path]) -> str:
    present = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*map(str, first), *present]))
