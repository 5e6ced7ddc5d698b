"""`causeway evidence` as it is typed, and its file as the config reads it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from causeway.cli.evidence import evidence
from causeway.config import from_file
from causeway.errors import ConfigError, Exit
from causeway.model.matrix import L_P, Status

LOCAL = Path("stacks/Pulumi.local.yaml")
SUREFIRE = "tests/data/junit/surefire.xml"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(evidence, [str(each) for each in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.stdout, result.stderr


def test_json_is_one_document_and_what_the_file_holds(tmp_path: Path) -> None:
    out = tmp_path / "evidence" / "contracts.json"
    code, stdout, _ = run("junit", SUREFIRE, "--config", LOCAL, "--out", out, "--json")
    assert code == Exit.OK
    assert json.loads(stdout) == json.loads(out.read_text())
    assert {row["pair"] for row in json.loads(stdout)["evidence"]} == {"legacy->package", "package->package"}


def test_the_config_reads_what_was_written_and_finds_it_stale(tmp_path: Path) -> None:
    run("junit", SUREFIRE, "--about", "CVAnalyzer=2.0.0", "--out", tmp_path / "contracts.json")
    content = yaml.safe_load(LOCAL.read_text())
    shared = yaml.safe_load((LOCAL.parent / "cvplus.yaml").read_text())
    for row in shared["causeway:matrix"]["interactions"]:
        if row["provider"] == "CVAnalyzer":
            del row["evidence"]
    config = content["config"] | shared | {"causeway:evidence": ["contracts.json"]}
    del config["causeway:include"]

    def found(code: str) -> tuple[Status, str | None]:
        path = tmp_path / "Pulumi.local.yaml"
        path.write_text(yaml.safe_dump({"config": config | {"causeway:code": {"CVAnalyzer": code}}}))
        rows = from_file(path).matrix.interactions
        entry = next(row for row in rows if row.provider == "CVAnalyzer").evidence[L_P]
        return entry.status, entry.stale

    assert found("2.0.0") == (Status.VERIFIED, None)
    assert found("2.0.1") == (Status.VERIFIED, "about CVAnalyzer 2.0.0; 2.0.1 would run")


def test_a_pair_that_the_matrix_does_not_have_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(Path(SUREFIRE).read_text().replace("->CVAnalyzer@", "->CVAnalyser@"))
    out = tmp_path / "out.json"
    with pytest.raises(ConfigError, match="CVAnalyser@package is no interaction"):
        run("junit", report, "--config", LOCAL, "--out", out)
    assert not out.exists()


def test_an_interface_check_writes_evidence_for_calls(tmp_path: Path) -> None:
    """A stand-in for the compiler, run as a real process, that finds nothing wrong."""
    tsc = tmp_path / "tsc"
    tsc.write_text("#!/bin/sh\ntest $1 = --version && echo Version 9.9.9; exit 0\n")
    tsc.chmod(tsc.stat().st_mode | stat.S_IXUSR)
    folder = Path("examples/cvplus/interfaces")
    code, stdout, stderr = run(
        "typescript", "--config", LOCAL, "--interfaces", folder, "--tsc", tsc, "--service", "CVAnalyzer", "--json"
    )
    found = json.loads(stdout)
    assert (code, found["tool"]) == (Exit.OK, "tsc 9.9.9")
    assert [row["pair"] for row in found["evidence"]] == ["legacy->package", "package->legacy"]
    assert found["evidence"][0]["about"] == {"CVAnalyzer": found["digests"]["CVAnalyzer"]}
    assert "proven       CVAnalyzer: package for legacy" in stderr


def test_a_service_without_files_is_held_and_said(tmp_path: Path) -> None:
    code, stdout, stderr = run(
        "python", "--config", LOCAL, "--interfaces", tmp_path, "--service", "CVAnalyzer", "--json"
    )
    assert code == Exit.HELD
    assert json.loads(stdout)["evidence"] == []
    assert "UNKNOWN CVAnalyzer: package for legacy: there is no" in stderr


def test_phases_and_a_matrix_are_enough_to_check_evidence_against(tmp_path: Path) -> None:
    """Prevents: the small file that `check` judges is refused for keys that evidence has nothing to do with."""
    (tmp_path / "plain.yaml").write_text(
        "config:\n"
        "  causeway:phases: [{name: one, services: [CVAnalyzer, RecommendationOrchestrator]}]\n"
        "  causeway:matrix:\n"
        "    services: {CVAnalyzer: {strategy: direct}, RecommendationOrchestrator: {strategy: direct}}\n"
        "    interactions: [{consumer: RecommendationOrchestrator, provider: CVAnalyzer}]\n"
    )
    assert run("junit", SUREFIRE, "--config", tmp_path / "plain.yaml")[0] == Exit.OK
    (tmp_path / "empty").mkdir()
    code, _, said = run("python", "--config", tmp_path / "plain.yaml", "--interfaces", tmp_path / "empty")
    assert (code, "there is no" in said) == (Exit.HELD, True)
