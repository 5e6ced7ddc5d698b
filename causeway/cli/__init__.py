"""The commands: parse, call, print. Each is imported only when it is asked for, so that `--help` stays quick."""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import sys
from typing import NoReturn

import click

from causeway.errors import CausewayError, Exit

#: What a shell says of a process that Ctrl-C has ended.
_INTERRUPTED = 130
#: command -> (where it is defined, its line in the list of commands)
COMMANDS = {
    "check": (
        "causeway.cli.plan:check",
        "Judge the matrix: which versions will meet, and do they work together?",
    ),
    "plan": ("causeway.cli.plan:plan", "List the positions of the plan, with weights and actions."),
    "cohort": ("causeway.cli.plan:cohort", "Say which services each user gets from the package."),
    "simulate": ("causeway.cli.simulate:simulate", "Show what the gates would do before anyone relies on them."),
    "status": ("causeway.cli.status:status", "Show where the stack stands and what it waits for."),
    "log": ("causeway.cli.status:log", "Show who moved what, when and why."),
    "drift": ("causeway.cli.status:drift", "Compare the cloud with the stack and the plan."),
    "preflight": ("causeway.cli.move:preflight", "Check that everything is ready for the next step."),
    "run": ("causeway.cli.move:run", "Walk the plan towards a target, one judged stack update at a time."),
    "soak": ("causeway.cli.move:soak", "Perform and judge the present position, after a `pulumi up` by hand."),
    "rollback": ("causeway.cli.back:rollback", "Send traffic back: a service, the phase, everything, or data as well."),
    "release": ("causeway.cli.back:release", "Close a breaker again, rung by rung."),
    "reconcile": ("causeway.cli.back:reconcile", "Bring config, stack and flags to what the override says."),
    "arm": ("causeway.cli.back:arm", "Arm the rollback triggers again."),
    "disarm": ("causeway.cli.back:disarm", "Disarm the rollback triggers for a while, with a reason."),
    "drill": ("causeway.cli.drill:drill", "Rehearse the emergency levels and report how long they take."),
    "monitor": ("causeway.cli.monitor:monitor", "Watch the application and roll back when nobody else does."),
    "baseline": ("causeway.cli.baseline:baseline", "Measure the legacy path before anything moves."),
    "evidence": ("causeway.cli.evidence:evidence", "Turn test results and interface checks into evidence."),
    "backup": ("causeway.cli.backup:backup", "Snapshot, stream, verify and restore Firestore data."),
    "report": ("causeway.cli.report:report", "Write the report of the migration: Markdown, HTML and diagrams."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are called, and whose list is known without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="causeway")
def cli() -> None:
    """Move a live application from a monolith to packages, service by service, and back at any second."""


def main(arguments: list[str] | None = None) -> None:
    """The entry point: runs a command and turns every failure into one message and a documented exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    fail = functools.partial(_fail, as_json="--json" in arguments)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC's own log lines are no message to a user
    try:
        code = cli.main(arguments, prog_name="causeway", standalone_mode=False) or Exit.OK
        gc.freeze()  # what Google's libraries have built takes half a second to take apart; the process ends anyway
        sys.exit(code)
    except CausewayError as error:
        fail(error.as_dict(), str(error), error.code)
    except click.ClickException as error:
        if "--json" in arguments:
            fail(_facts(error, error.format_message(), Exit.USAGE), error.format_message(), Exit.USAGE)
        error.show()
        sys.exit(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt) as error:
        fail(_facts(error, "stopped", _INTERRUPTED), "stopped", _INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        sys.exit(Exit.OK)
    except Exception as error:
        if os.environ.get("CAUSEWAY_DEBUG"):
            raise
        message = f"unexpected {type(error).__name__}: {error}. Set CAUSEWAY_DEBUG=1 to see where, and report it."
        fail(_facts(error, str(error), Exit.FAILED), message, Exit.FAILED)


def _facts(error: BaseException, fact: str, code: int) -> dict[str, object]:
    """Any failure in the shape of `CausewayError.as_dict`."""
    return {"error": type(error).__name__, "fact": fact, "consequence": "", "remedy": "", "exit_code": int(code)}


def _fail(facts: dict[str, object], message: str, code: int, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    click.echo(f"{click.style('causeway:', fg='red', bold=True)} {message}", err=True)
    sys.exit(code)
