"""`python -m standin start|stop|status|env`: the local environment, for use by hand (`make local` and its kin)."""

from __future__ import annotations

import sys

import click

from causeway.errors import CausewayError
from standin.environment import CHECKOUT
from standin.local import STACK, Local, ensure_stack


@click.group()
def main() -> None:
    """The local stand-in for Google Cloud, under .local/ of this checkout."""


@main.command()
def start() -> None:
    """Starts the Firestore emulator in the background, unless it runs, and creates the stack 'local'."""
    local = Local()
    fresh = local.emulator() is None
    environment = local.start()
    click.echo(f"emulator    {environment.emulator} ({'started' if fresh else 'running already'})")
    if (CHECKOUT / "Pulumi.yaml").exists():
        made = ensure_stack(environment, CHECKOUT)
        click.echo(f"stack       {STACK} ({'created' if made else 'there already'})")
        if fresh and not made:
            click.echo("The emulator starts empty: bring the stack to terms with that by pulumi refresh --yes")
    click.echo('In your shell: eval "$(make -s env)"; then pulumi preview, pulumi up, … Stop it with make stop')


@main.command()
def stop() -> None:
    """Stops the emulator."""
    click.echo("emulator    stopped" if Local().stop() else "emulator    was not running")


@main.command()
def status() -> None:
    """Says whether the emulator runs; exit code 9 if not."""
    click.echo(f"emulator    {Local().environment().emulator}")


@main.command()
def env() -> None:
    """Prints `export` lines for `eval "$(make -s env)"`."""
    click.echo(Local().environment().exports())


if __name__ == "__main__":
    try:
        main()
    except CausewayError as error:
        click.echo(error, err=True)
        sys.exit(error.code)
