"""`causeway report` as typed: files, Markdown, a preview as a comment, and what it says of bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from causeway.cli import main
from causeway.errors import Exit

DATA = Path(__file__).parents[1] / "data"
CONFIG = str(DATA / "report" / "Pulumi.small.yaml")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["report", *arguments])
    return int(left.value.code or 0)


def test_a_config_alone_becomes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "report"
    assert run("--config", CONFIG, "--out", str(out), "--json") == 0
    named = json.loads(capsys.readouterr().out)["files"]
    assert sorted(named) == sorted(str(each) for each in out.iterdir())
    assert (out / "report.html").read_text().startswith("<!doctype html>")


def test_markdown_is_printed_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--config", CONFIG, "--markdown") == 0
    assert capsys.readouterr().out.startswith("# small at high/Writer/50")
    assert list(tmp_path.iterdir()) == []


def test_a_preview_becomes_its_comment(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("preview", str(DATA / "preview" / "step.jsonl"), "--stack", "local") == 0
    assert capsys.readouterr().out == (DATA / "preview" / "step.md").read_text()


def test_a_file_that_holds_no_events_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prevents an empty, friendly comment about a preview that was never read."""
    file = tmp_path / "events"
    file.write_text('{"preludeEvent": {}}\nnot json\n')
    assert run("preview", str(file), "--stack", "local") == Exit.USAGE
    said = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert f"{file}:2 is no engine event" in said
