"""The engine's gRPC messages, without the rest of the Pulumi SDK.

Every update starts a language host and a provider that need the messages and nothing else; importing them the ordinary
way runs `pulumi/__init__.py`, which doubles the start-up of each (0.17 s instead of 0.08 s).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def _hollow_sdk() -> Iterator[None]:
    """Lets `pulumi.runtime.proto` be imported without running its parents; a later `import pulumi` is real."""
    spec = importlib.util.find_spec("pulumi")
    if "pulumi" in sys.modules or spec is None or spec.origin is None:
        yield
        return
    root = Path(spec.origin).parent
    hollow = {"pulumi": root, "pulumi.runtime": root / "runtime"}
    for name, path in hollow.items():
        module = ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in hollow:
            del sys.modules[name]


with _hollow_sdk():
    from pulumi.runtime.proto import (
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
    )

__all__ = ["language_pb2", "language_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc"]
