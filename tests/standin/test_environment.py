"""Environments are isolated, tools are found where people have them, and what is missing is said in a line."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from causeway.errors import Unreachable
from standin import tools
from standin.environment import Environment, launcher
from standin.gcp.faults import Fault, take
from standin.language_host import interpreter, program_arguments


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty PATH and cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("CAUSEWAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CAUSEWAY_EMULATOR_JAR", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(tools, "_SDK_HOMES", (str(tmp_path / "sdk"),))
    return tmp_path


def test_pulumi_of_the_path_goes_before_the_cache(bare: Path) -> None:
    cached = executable(tools.pulumi_cache() / "pulumi")
    assert tools.find_pulumi() == tools.PulumiTools(cached, official_host=False)
    own = executable(bare / "path" / "pulumi")
    assert tools.find_pulumi() == tools.PulumiTools(own, official_host=False)
    executable(bare / "path" / "pulumi-language-python")
    assert tools.find_pulumi() == tools.PulumiTools(own, official_host=True)
    assert tools.pulumi_tools().directories == [own.parent]


def test_the_stand_in_in_the_cache_does_not_count_as_the_official_host(bare: Path) -> None:
    executable(tools.pulumi_cache() / "pulumi")
    executable(tools.pulumi_cache() / "pulumi-language-python")
    found = tools.find_pulumi()
    assert found is not None
    assert not found.official_host


def test_what_the_official_installer_brought_comes_with_its_host(bare: Path) -> None:
    executable(tools.pulumi_cache() / "bin" / "pulumi")
    executable(tools.pulumi_cache() / "bin" / "pulumi-language-python")
    assert tools.pulumi_tools().official_host


@pytest.mark.parametrize("missing", [tools.pulumi_tools, tools.java, tools.emulator_jar])
@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_said_in_one_line_with_the_remedy(missing: object) -> None:
    with pytest.raises(Unreachable) as refused:
        missing()  # type: ignore[operator]
    assert "\n" not in str(refused.value)
    assert refused.value.remedy


def test_the_emulator_is_found_in_an_sdk_or_by_name(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = bare / "sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
    executable(jar)
    assert tools.emulator_jar() == jar
    named = executable(bare / "elsewhere.jar")
    monkeypatch.setenv("CAUSEWAY_EMULATOR_JAR", str(named))
    assert tools.emulator_jar() == named


def test_the_emulator_is_found_beside_a_linked_gcloud(bare: Path) -> None:
    gcloud = executable(bare / "opt/sdk/bin/gcloud")
    jar = executable(bare / "opt/sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar")
    (bare / "path").mkdir()
    (bare / "path" / "gcloud").symlink_to(gcloud)
    assert tools.emulator_jar() == jar


def test_two_environments_share_nothing_that_is_written(bare: Path) -> None:
    executable(bare / "path" / "pulumi")
    one, two = (Environment(bare / name, "127.0.0.1:8080").make().variables() for name in ("one", "two"))
    differing = {name for name in one if one[name] != two[name]}
    assert differing == {"PULUMI_BACKEND_URL", "PULUMI_HOME", "CAUSEWAY_CLOUD", "CAUSEWAY_FAULTS"}
    assert one["FIRESTORE_EMULATOR_HOST"] == "127.0.0.1:8080"


def test_exports_survive_a_shell(bare: Path) -> None:
    executable(bare / "path" / "pulumi")
    environment = Environment(bare / "it's a 'root'").make()
    script = f'{environment.exports()}\nprintf %s "$CAUSEWAY_CLOUD"'
    printed = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert printed.stdout == str(environment.cloud)


def test_a_launcher_takes_any_path(tmp_path: Path) -> None:
    python = executable(tmp_path / "a python")
    python.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    launcher(tmp_path / "run", f"'{python}'", "standin.gcp")
    ran = subprocess.run([tmp_path / "run", "127.0.0.1:1", "a b"], capture_output=True, text=True, check=True)
    assert ran.stdout == "-m|standin.gcp|127.0.0.1:1|a b|"


def test_faults_are_set_and_cleared(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.inject(Fault("create"))
    assert take(environment.fault_file, "create", "urn") is not None
    environment.inject()
    assert take(environment.fault_file, "create", "urn") is None


def run_request(**fields: object) -> SimpleNamespace:
    info = SimpleNamespace(root_directory="/project", program_directory="/project/src", entry_point=".", options={})
    request = {
        "monitor_address": "127.0.0.1:1",
        "project": "causeway",
        "stack": "local",
        "pwd": "/project/src",
        "program": "",
        "dryRun": True,
        "parallel": 16,
        "organization": "organization",
        "args": [],
        "info": info,
    }
    return SimpleNamespace(**{**request, **fields})


def test_the_program_gets_the_engines_words() -> None:
    assert program_arguments(run_request(), "127.0.0.1:2") == [
        *("--monitor", "127.0.0.1:1"),
        *("--engine", "127.0.0.1:2"),
        *("--project", "causeway"),
        *("--root_directory", "/project"),
        *("--stack", "local"),
        *("--pwd", "/project/src"),
        *("--dry_run", "true"),
        *("--parallel", "16"),
        *("--organization", "organization"),
        "/project/src",
    ]
    assert "false" in program_arguments(run_request(dryRun=False), "")


def test_the_projects_virtual_environment_goes_before_the_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/shell")
    info = SimpleNamespace(root_directory="/project", options={"virtualenv": ".venv"})
    assert interpreter(info) == "/project/.venv/bin/python"
    assert interpreter(SimpleNamespace(root_directory="/project", options={})) == "/shell/bin/python"
