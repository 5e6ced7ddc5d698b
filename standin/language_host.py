"""The Python language host, for machines without the official one.

Serves the engine's `LanguageRuntime` (`pulumi/language.proto`) as far as `pulumi preview`, `up` and policy packs of one
Python project need it. Where `pulumi-language-python` is installed, that one runs and this file is not used.
"""

# ruff: noqa: N802 - methods are named as language.proto names them

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from standin.orphan import when_orphaned
from standin.protocol import language_pb2, language_pb2_grpc, plugin_pb2
from standin.versions import PULUMI, PULUMI_GCP

EXEC_SCRIPT = "pulumi-language-python-exec"

BAIL = 32
"""Exit code by which the SDK's exec script says that the user has seen the error already."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs a project's Python program and its policy packs; `exec_script` is the SDK's own program runner."""

    def __init__(self, engine: str, exec_script: Path) -> None:
        self._engine = engine
        self._exec_script = exec_script
        self._children: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> language_pb2.LanguageHandshakeResponse:
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=PULUMI)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        gcp = plugin_pb2.PackageDependency(name="gcp", kind="resource", version=f"v{PULUMI_GCP}")
        return language_pb2.GetRequiredPackagesResponse(packages=[gcp])

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Nothing: `make setup` has installed them."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"")

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [interpreter(request.info), "-u", str(self._exec_script), *program_arguments(request, self._engine)]
        code = self._start(command, cwd=request.pwd or request.info.program_directory, env=environment).wait()
        if code == 0:
            return language_pb2.RunResponse()
        if code == BAIL:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program ended with exit code {code}")

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        if request.kind != "analyzer":
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"this host runs policy packs, not plugins of kind {request.kind}"
            )
        command = [
            interpreter(request.info),
            "-u",
            "-m",
            "pulumi.policy",
            *request.args,
            request.info.program_directory,
        ]
        environment = dict(pair.split("=", 1) for pair in request.env) or dict(os.environ)
        child = self._start(command, cwd=request.pwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        context.add_callback(lambda: _end(child))
        yield from _output(child)
        yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        self.leave()
        return Empty()

    def leave(self) -> None:
        """Ends this process and the program with it, at once: a host that lingers costs the engine 5 s at each end."""
        with self._lock:  # and never releases it: nothing starts any more
            for child in self._children:
                _end(child)
            os._exit(0)

    def _start(
        self,
        command: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            child = subprocess.Popen(
                command, cwd=cwd or None, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
            self._children.add(child)
        return child


def program_arguments(request: Any, engine: str) -> list[str]:
    """The command line of the SDK's exec script for one `RunRequest`."""
    options = {
        "monitor": request.monitor_address,
        "engine": engine,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    flags = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    entry = request.info.entry_point or request.program or "."
    return [*flags, str(Path(request.info.program_directory) / entry), *request.args]


def interpreter(info: Any) -> str:
    """The Python of the project's `virtualenv` option, else of VIRTUAL_ENV, else the one that runs this host."""
    options = dict(info.options.items()) if info.options else {}
    environment = options.get("virtualenv") or os.environ.get("VIRTUAL_ENV")
    if not environment:
        return sys.executable
    return str(Path(info.root_directory) / str(environment) / "bin" / "python")


def _output(child: subprocess.Popen[bytes]) -> Iterator[language_pb2.RunPluginResponse]:
    """What the child prints, as it prints it, until both its streams end."""
    assert child.stdout is not None and child.stderr is not None
    message = language_pb2.RunPluginResponse
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(child.stderr, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if data:
                    yield message(stdout=data) if key.fileobj is child.stdout else message(stderr=data)
                else:
                    selector.unregister(key.fileobj)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()


def _exec_script() -> Path:
    found = shutil.which(EXEC_SCRIPT)
    if found is None:
        sys.exit(f"{EXEC_SCRIPT} is not on PATH; run make setup")
    return Path(found)


def main() -> None:
    """Serves one engine until it says `Cancel` or signals; prints the port first, as every plugin does."""
    gc.disable()  # it lives for one operation of a few seconds
    positional = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(positional[-1] if positional else "", _exec_script())
    when_orphaned(host.leave)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: host.leave())
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
