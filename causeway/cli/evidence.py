"""`causeway evidence`: test results and interface checks, turned into a file that the stack's config names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causeway.cli.common import config_of, config_option, json_option, print_json, stack_option

if TYPE_CHECKING:
    from causeway.errors import Exit
    from causeway.evidence.proofs import Checked
    from causeway.evidence.record import Found

_file = click.Path(path_type=Path, dir_okay=False)
files_argument = click.argument("files", nargs=-1, required=True, type=_file, metavar="FILE...")
out_option = click.option("--out", type=_file, help="The evidence file to write; name it under causeway:evidence.")
about_option = click.option(
    "--about",
    multiple=True,
    metavar="SERVICE=VERSION",
    help="The version of a package the evidence is about, as causeway:code has it; may be repeated.",
)
interfaces_option = click.option(
    "--interfaces",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("interfaces"),
    show_default=True,
    help="The folder with legacy/ and package/, a file per service in each.",
)
services_option = click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service.")


@click.group()
def evidence() -> None:
    """Turn test results and interface checks into evidence.

    Exit code 0: all verified. 4: something is incompatible. 6: something could not be told, or nothing was found.
    """


@evidence.command()
@files_argument
@out_option
@about_option
@stack_option
@config_option
@json_option
def junit(
    files: tuple[Path, ...],
    out: Path | None,
    about: tuple[str, ...],
    stack: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Read contract tests' JUnit XML; tests name their pair in the property `causeway.pair`.

    With --stack or --config, a pair that is no interaction of the matrix is refused.
    """
    from causeway.evidence import junit as importer
    from causeway.evidence.record import versions

    found = importer.read(files, versions(about, "--about"), _today())
    return _imported(found, "JUnit", files, out, stack, config_file, as_json)


@evidence.command()
@files_argument
@click.option("--legacy", multiple=True, metavar="NAME=VERSION", help="A pacticipant's version that is legacy.")
@click.option("--package", multiple=True, metavar="NAME=VERSION", help="A pacticipant's version that is the package.")
@click.option("--name", "names", multiple=True, metavar="NAME=SERVICE", help="Which service a pacticipant is.")
@out_option
@stack_option
@config_option
@json_option
def pact(
    files: tuple[Path, ...],
    legacy: tuple[str, ...],
    package: tuple[str, ...],
    names: tuple[str, ...],
    out: Path | None,
    stack: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Read a Pact Broker's matrix, or the output of `can-i-deploy --output json`.

    --legacy and --package may be repeated, also for one pacticipant: then each of its versions must be verified.
    """
    from causeway.evidence import pact as importer

    found = importer.read(files, importer.Names.parse(legacy, package, names), _today())
    return _imported(found, "Pact Broker", files, out, stack, config_file, as_json)


@evidence.command()
@stack_option
@config_option
@interfaces_option
@click.option(
    "--tsc", type=click.Path(path_type=Path), help="A TypeScript compiler; default: npm's, from the lock file."
)
@services_option
@out_option
@about_option
@json_option
def typescript(
    stack: str | None,
    config_file: Path | None,
    interfaces: Path,
    tsc: Path | None,
    services: tuple[str, ...],
    out: Path | None,
    about: tuple[str, ...],
    as_json: bool,
) -> int:
    """Prove with the TypeScript compiler that package and legacy can stand for each other.

    legacy/SERVICE.ts and package/SERVICE.ts export what each version offers. Without --tsc the compiler is set up once
    by `npm ci` from the package-lock.json beside them.
    """
    from causeway.evidence import typescript as checker
    from causeway.evidence.tsc import compiler

    def check(wanted: tuple[str, ...]) -> Checked:
        return checker.check(interfaces, wanted, compiler(interfaces, tsc, _tell))

    return _checked(check, checker.SUFFIXES, interfaces, stack, config_file, services, out, about, as_json)


@evidence.command()
@stack_option
@config_option
@interfaces_option
@services_option
@out_option
@about_option
@json_option
def python(
    stack: str | None,
    config_file: Path | None,
    interfaces: Path,
    services: tuple[str, ...],
    out: Path | None,
    about: tuple[str, ...],
    as_json: bool,
) -> int:
    """Prove the same of Python services with mypy and protocols.

    legacy/SERVICE.py and package/SERVICE.py define what each version offers.
    """
    from causeway.evidence import python as checker

    def check(wanted: tuple[str, ...]) -> Checked:
        return checker.check(interfaces, wanted, checker.mypy)

    return _checked(check, (".py",), interfaces, stack, config_file, services, out, about, as_json)


# --- what they share ----------------------------------------------------------------------------------------------


def _imported(
    found: Found,
    tool: str,
    files: tuple[Path, ...],
    out: Path | None,
    stack: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    from causeway.config import PLAN
    from causeway.evidence.proofs import sha256
    from causeway.evidence.record import check_names

    if stack is not None or config_file is not None:
        check_names(found, config_of(stack, config_file, needs=PLAN).matrix)
    facts = {"tool": tool, "digests": {file.name: sha256(file) for file in files}}
    return _finish(found, found.code, facts, out, as_json)


def _checked(
    check: Callable[[tuple[str, ...]], Checked],
    suffixes: tuple[str, ...],
    interfaces: Path,
    stack: str | None,
    config_file: Path | None,
    services: tuple[str, ...],
    out: Path | None,
    about: tuple[str, ...],
    as_json: bool,
) -> int:
    from causeway.config import PLAN
    from causeway.evidence import proofs
    from causeway.evidence.record import versions

    matrix = config_of(stack, config_file, needs=PLAN).matrix
    wanted = proofs.chosen(matrix, services)
    checked = check(wanted)
    digests = proofs.digests(interfaces, wanted, suffixes, checked.read)
    found = proofs.evidence(checked, matrix, proofs.about(digests, versions(about, "--about")), _today())
    for each in checked.proofs:
        _tell(proofs.line(each))
    for text in checked.unseen:
        _tell(f"not seen: {text}")
    return _finish(found, checked.code, proofs.facts(checked, digests), out, as_json)


def _finish(found: Found, code: Exit, facts: Mapping[str, object], out: Path | None, as_json: bool) -> int:
    from causeway.evidence.record import document, summary, write

    content = document(found, facts)
    if out is not None:
        write(out, content)
    for each in found.unknown:
        _tell(click.style(f"UNKNOWN {each.what}: {each.why}", fg="yellow"))
    if as_json:
        print_json(content)
    else:
        for entry in found.entries:
            click.echo(f"{entry.evidence.status:12} {entry}  {entry.evidence.source}")
        click.echo(summary(found, out))
    return code


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _today() -> date:
    return datetime.now(UTC).date()
