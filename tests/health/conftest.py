"""Prometheus's own tools: Debian's package `prometheus` has both."""

from __future__ import annotations

import shutil

import pytest


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"LOUD: {name} is not installed, nothing holds the PromQL here; `apt-get install -y prometheus`")
    return found


@pytest.fixture(scope="session")
def promtool() -> str:
    return tool("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    return tool("prometheus")
