"""`python -m standin.drill`: a stage for `causeway drill`, set up and removed again."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from causeway.errors import CausewayError
from standin.stage import stage


@click.command()
@click.option("--stack", default="local", show_default=True)
@click.option("--level", "levels", type=click.IntRange(1, 4), multiple=True)
@click.option("--rate", default=80.0, show_default=True, help="Requests a second.")
@click.option("--json", "as_json", is_flag=True)
def main(stack: str, levels: tuple[int, ...], rate: float, as_json: bool) -> int:
    """Sets the stage, and drills on it."""
    with tempfile.TemporaryDirectory(prefix="causeway-drill-") as folder, stage(Path(folder), stack, rate=rate) as made:
        made.apply()
        if not levels or 4 in levels:
            made.type("causeway", "backup", "snapshot", "--stack", stack)
        command = ["causeway", "drill", "--here", "--stack", stack]
        command += [part for level in levels for part in ("--level", str(level))]
        environment = made.environment.process_variables()
        drill = [*command, *(["--json"] if as_json else [])]
        return subprocess.run(drill, cwd=made.project, env=environment, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(standalone_mode=False))
    except CausewayError as error:
        click.echo(error, err=True)
        sys.exit(error.code)
    except (subprocess.CalledProcessError, click.ClickException) as error:
        click.echo(error, err=True)
        sys.exit(1)
