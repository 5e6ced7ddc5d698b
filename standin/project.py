"""A Pulumi project's directory and the local environment it runs in: what tests and examples drive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from standin.environment import Environment


@dataclass(frozen=True)
class Project:
    """Commands run on the stack that is selected in the environment."""

    directory: Path
    environment: Environment

    def pulumi(self, *arguments: str, check: bool = True) -> CompletedProcess[str]:
        """Raises `CausewayError` where the command fails, unless told not to check."""
        return self.environment.pulumi(*arguments, cwd=self.directory, check=check)

    def up(self, check: bool = True, **config: str) -> CompletedProcess[str]:
        """`pulumi up` without a preview, after setting `config`."""
        for name, value in config.items():
            self.pulumi("config", "set", name, value)
        return self.pulumi("up", "--yes", "--skip-preview", check=check)

    def export(self) -> dict[str, Any]:
        """The stack's deployment: `resources` and, after a crash, `pending_operations`."""
        deployment: dict[str, Any] = json.loads(self.pulumi("stack", "export").stdout)["deployment"]
        return deployment
