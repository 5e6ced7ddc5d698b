"""The pack under the real engine: it finds the stack, its config and where it stands, and stops what it must."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pulumi_policy.proxy import unknown_checking_proxy

from policies.pack import plain, policies
from standin.environment import Environment

ROOT = Path(__file__).parents[2]
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def test_what_is_not_yet_known_is_left_out_at_any_depth() -> None:
    inputs: dict[str, Any] = {"a": UNKNOWN, "b": {"c": [UNKNOWN, "d"], "e": MappingProxyType({"f": 1})}}
    assert plain(unknown_checking_proxy(inputs)) == {"b": {"c": ["d"], "e": {"f": 1}}}


def test_policies_have_names_of_their_own() -> None:
    names = [policy.name for policy in policies()]
    assert len(set(names)) == len(names)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, so that its stack file can be edited."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "stacks", folder / "stacks")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder)
    # The interpreter that runs these tests has everything installed.
    settings = folder / "Pulumi.yaml"
    settings.write_text(re.sub(r"\n  options:\n    virtualenv: .*", "", settings.read_text()))
    stack = folder / "stacks" / "Pulumi.local.yaml"
    kept = [line for line in stack.read_text().splitlines() if not line.startswith("encryptionsalt")]
    stack.write_text("\n".join(kept) + "\n")
    return folder


@pytest.mark.e2e
def test_the_pack_passes_a_legal_stack_and_stops_a_skipped_step_a_wrong_config_and_an_open_door(
    environment: Environment, project: Path
) -> None:
    def set_position(name: str) -> None:
        environment.pulumi("config", "set", "--stack", "local", "causeway:position", name, cwd=project)

    def preview() -> tuple[int, str]:
        done = environment.pulumi("preview", "--policy-pack", str(ROOT / "policies"), cwd=project, check=False)
        return done.returncode, done.stdout + done.stderr

    environment.pulumi("stack", "init", "local", cwd=project)
    set_position("infrastructure")
    assert preview()[0] == 0
    environment.pulumi("up", "--yes", "--skip-preview", cwd=project)
    assert preview()[0] == 0, "rules must also hold for what exists, which engine and provider show as outputs"

    set_position("low/CVAnalyzer/50")
    code, output = preview()
    assert code == 1
    assert "[mandatory]  no-skipped-steps" in output
    assert "3 steps ahead of infrastructure" in output

    set_position("low/CVAnalyser/10")
    code, output = preview()
    assert code == 1
    assert output.count("[mandatory]") == 1, "a broken config is said once, not by each policy of each resource"
    assert "[mandatory]  config-readable" in output

    set_position("infrastructure")
    program = project / "__main__.py"
    program.write_text(
        program.read_text()
        + "from pulumi_gcp import storage\n"
        + "storage.Bucket('open', project='p', location='EU', public_access_prevention='inherited')\n"
    )
    code, output = preview()
    assert code == 1
    assert "[mandatory]  no-public-access" in output
    assert "[mandatory]  archives-protected" in output
