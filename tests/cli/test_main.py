"""The entry point: quick help, one message a failure, one JSON document where it was asked for, no stack trace."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from causeway import cli
from causeway.errors import (
    CausewayError,
    ConfigError,
    Conflict,
    Exit,
    Held,
    IntegrityError,
    MoveRefused,
    Unreachable,
)
from causeway.rollout.engine import UpdateFailed
from causeway.rollout.runner import RolledBack

LOCAL = Path(__file__).parents[2] / "stacks" / "Pulumi.local.yaml"
#: What no `--help` may import: each costs more than the help itself.
HEAVY = {"numpy", "scipy", "pulumi", "pulumi_gcp", "google", "grpc", "apprise", "httpx", "jsonschema", "yaml"}
HELP = """
import contextlib, io, json, sys
from causeway import cli

def said(arguments):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            cli.main([*arguments, "--help"])
        except SystemExit as ended:
            return [ended.code, out.getvalue()]

def walk(path, command):
    yield path, said(path)
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from walk([*path, name], below)

found = {}
for name in [None, *cli.COMMANDS]:
    path = [name] if name else []
    command = cli.cli.get_command(None, name) if name else None
    for words, answer in walk(path, command):
        found[" ".join(words)] = answer
json.dump({"helps": found, "modules": sorted({name.partition(".")[0] for name in sys.modules})}, sys.stdout)
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, object]:
    """Every help text, read in one fresh process, and what that process has imported."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_help_of_every_command_works_and_imports_nothing_heavy(helps: dict[str, object]) -> None:
    """Prevents: `causeway --help` takes a second, because one command imports numpy where it is defined."""
    texts = helps["helps"]
    assert isinstance(texts, dict) and set(cli.COMMANDS) < set(texts)
    assert {name: code for name, (code, _) in texts.items() if code != 0} == {}
    assert all("Usage: causeway" in text for _, text in texts.values())
    assert HEAVY & set(helps["modules"]) == set()  # type: ignore[call-overload]


@pytest.mark.parametrize("command", [["check"], ["check", "--json"], ["plan"], ["cohort", "--keys", os.devnull]])
def test_what_follows_from_a_config_alone_loads_nothing_heavy(command: list[str]) -> None:
    """Prevents: `causeway check` takes half a second, because a constant of its last line stands beside scipy."""
    words = [*command, "--config", str(LOCAL)]
    program = f"from causeway import cli; import sys\ntry: cli.main({words!r})\nfinally: print('\\n', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "causeway" in loaded
    assert (HEAVY - {"jsonschema", "yaml"}) & loaded == set()


def test_the_list_says_what_each_command_s_own_help_says(helps: dict[str, object]) -> None:
    top = helps["helps"][""][1]  # type: ignore[index]
    for name, (_, summary) in cli.COMMANDS.items():
        assert f"  {name} " in top
        assert " ".join(summary.split()) in " ".join(top.split())


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[BaseException], None]]:
    """Makes `causeway check` raise."""

    def install(error: BaseException) -> None:
        @click.command()
        @click.option("--json", "as_json", is_flag=True)
        def check(as_json: bool) -> None:
            raise error

        monkeypatch.setattr("causeway.cli.plan.check", check)

    yield install


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    streams = capsys.readouterr()
    return ended.value.code, streams.out, streams.err


CODES = [
    (CausewayError("fact", "consequence", "remedy"), Exit.FAILED),
    (ConfigError("fact", "consequence", "remedy"), Exit.USAGE),
    (MoveRefused("fact", "consequence", "remedy"), Exit.REFUSED),
    (Held("fact", "consequence", "remedy"), Exit.HELD),
    (RolledBack("fact", "consequence", "remedy"), Exit.ROLLED_BACK),
    (Unreachable("fact", "consequence", "remedy"), Exit.UNREACHABLE),
    (Conflict("fact", "consequence", "remedy"), Exit.CONFLICT),
    (IntegrityError("fact", "consequence", "remedy"), Exit.INTEGRITY),
    (UpdateFailed("fact", "consequence", "remedy"), Exit.FAILED),
]


@pytest.mark.parametrize(("error", "code"), CODES)
def test_each_failure_has_its_exit_code_and_its_words(
    fails: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str], error: CausewayError, code: Exit
) -> None:
    fails(error)
    assert run("check", capsys=capsys) == (code, "", "causeway: fact; consequence. remedy\n")


@pytest.mark.parametrize(("error", "code"), CODES)
def test_with_json_a_failure_is_one_document(
    fails: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str], error: CausewayError, code: Exit
) -> None:
    fails(error)
    found, out, err = run("check", "--json", capsys=capsys)
    assert (found, json.loads(out)) == (code, error.as_dict())
    assert json.loads(out)["exit_code"] == code
    assert err.startswith("causeway: fact")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["chek"], 2, "No such command 'chek'"),
        (["check", "--nonsense"], 2, "--nonsense"),
        (["rollback"], 2, "--level"),
        (["rollback", "--level", "5", "--reason", "x"], 2, "5 is not in the range 1<=x<=4"),
        (["disarm", "--for", "0", "--reason", "x"], 2, "0' is not a time from 1 to 1440 minutes"),
        (["log", "-n", "many"], 2, "'many' is not a valid integer"),
    ],
)
def test_wrong_usage_is_said_on_stderr(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    found, out, err = run(*arguments, capsys=capsys)
    assert (found, out) == (code, "")
    assert said in err
    found, out, _ = run(*arguments, "--json", capsys=capsys)
    document = json.loads(out)
    assert (found, document["exit_code"]) == (code, code)
    assert said in document["fact"] or "--json" in document["fact"], "unknown commands know no --json"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_is_a_message_and_the_shell_s_code(
    fails: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    fails(error)
    code, out, err = run("check", capsys=capsys)
    assert (code, out) == (130, "")
    assert err.strip() == "causeway: stopped"


def test_what_nobody_expected_is_one_message_as_well(
    fails: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAUSEWAY_DEBUG", raising=False)
    fails(ZeroDivisionError("division by zero"))
    code, out, err = run("check", capsys=capsys)
    assert (code, out) == (1, "")
    assert err.startswith("causeway: unexpected ZeroDivisionError: division by zero. Set CAUSEWAY_DEBUG=1")
    assert "Traceback" not in err
    _, out, _ = run("check", "--json", capsys=capsys)
    assert json.loads(out)["error"] == "ZeroDivisionError"
    monkeypatch.setenv("CAUSEWAY_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["check"])


def test_a_reader_that_has_enough_is_no_failure() -> None:
    """Prevents: `causeway plan | head -1` ends in a stack trace."""
    script = "from causeway.cli import main; main()"
    command = shlex.join([sys.executable, "-c", script, "plan", "--config", str(LOCAL), "--json"])
    done = subprocess.run(f"{command} | head -1", shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_no_message_shows_who_logs_in_at_an_address(
    fails: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Prevents: a password in the address of a hook or of Prometheus stands in the log of a CI job."""
    fails(CausewayError("https://u:hunter2@h/x does not answer", "http://hunter2@h", "see http://h/a?b=qa@example.org"))
    for arguments in (("check",), ("check", "--json")):
        _, out, err = run(*arguments, capsys=capsys)
        assert "hunter2" not in out + err
        assert "://…@h/x" in out + err
        assert "qa@example.org" in out + err
