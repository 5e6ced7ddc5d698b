"""Running `tsc`: the one that was named, or npm's, set up on first use from a lock file."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from causeway.errors import Unreachable
from causeway.evidence.typescript import Compiler

Tell = Callable[[str], None]
_PATIENCE_S = 300
_IN_MODULES = Path("node_modules") / "typescript" / "bin" / "tsc"


def compiler(folder: Path, named: Path | None, tell: Tell) -> Compiler:
    """The compiler for the interfaces in `folder`. Raises Unreachable where there is none to be had."""
    command = _command(folder, named, tell)

    def compile_(work: Path) -> tuple[str, str]:
        version = _run([*command, "--version"], work).stdout.strip().replace("Version", "tsc")
        done = _run([*command, "--noEmit", "--strict", "--pretty", "false", "--project", str(work)], work)
        if done.returncode not in (0, 1, 2) or (done.returncode and not done.stdout.strip()):
            last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
            raise Unreachable(f"tsc itself failed: {last}", "no interface was compared", "Name another with --tsc.")
        return version, done.stdout

    return compile_


def _command(folder: Path, named: Path | None, tell: Tell) -> list[str]:
    if named is not None:
        found = shutil.which(str(named)) or (str(named) if named.is_file() else None)
        if found is None:
            raise Unreachable(f"there is no compiler at {named}", "no interface was compared", "Correct --tsc.")
        path = Path(found).resolve()
        return [_tool("node"), str(path)] if path.suffix in (".js", ".cjs", ".mjs") else [str(path)]
    installed = folder.resolve() / _IN_MODULES
    if not installed.is_file():
        _install(folder, tell)
    return [_tool("node"), str(installed)]


def _install(folder: Path, tell: Tell) -> None:
    npm = _tool("npm")
    if not (folder / "package-lock.json").is_file():
        raise Unreachable(
            f"{folder} has no package-lock.json that names a TypeScript compiler",
            "no interface was compared",
            f"`npm install --save-dev --save-exact typescript` in {folder}, or name a compiler with --tsc.",
        )
    tell(f"setting up the TypeScript compiler in {folder}/node_modules (once)")
    done = _run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    if done.returncode or not (folder / _IN_MODULES).is_file():
        last = (done.stderr.strip() or "it installed no typescript").splitlines()[-1]
        raise Unreachable(
            f"npm ci failed in {folder}: {last}",
            "no interface was compared",
            "Mend that, or name a compiler with --tsc.",
        )


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unreachable(
            f"{name} is not on PATH",
            "TypeScript cannot be compiled",
            "Install Node.js 20 or later (it brings npm), for example with your package manager.",
        )
    return found


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(
            f"{Path(command[0]).name} did not end within {_PATIENCE_S} s", "no interface was compared"
        ) from None
    except OSError as error:
        raise Unreachable(f"{command[0]} does not run: {error.strerror}", "no interface was compared") from None
