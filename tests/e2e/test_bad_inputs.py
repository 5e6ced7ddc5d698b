"""Ten bad inputs, as a person would get them wrong: one clear message, the documented exit code, nothing changed.

The messages are golden (`golden/bad_inputs.txt`), because they are read by people in a hurry.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeway.errors import Exit
from standin.processes import free_port
from tests.e2e.small import CAUSEWAY, STACK, Small, standing

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden" / "bad_inputs.txt"

_CIRCLE = """\
      - {consumer: Reader, provider: Writer, routing: independent, evidence: {package->package: {verified: tests}}}
"""

#: What is wrong -> (text in the stack file, what stands there instead, exit code of `causeway run`).
EDITS = {
    "wrong type": ("causeway:ladder: [50, 100]", "causeway:ladder: fifty", Exit.USAGE),
    "unknown service": ("services: [Reader]}", "services: [Raeder]}", Exit.USAGE),
    "circular dependency": ("    interactions:\n", "    interactions:\n" + _CIRCLE, Exit.REFUSED),
    "missing dependency": ("        provider: Reader\n", "        provider: RetryManager\n", Exit.USAGE),
    "weight 60": ("position: infrastructure", "position: low/Reader/60", Exit.USAGE),
    "empty ladder": ("causeway:ladder: [50, 100]", "causeway:ladder: []", Exit.USAGE),
    "position of another stack": ("position: infrastructure", "position: medium/CacheManager/50", Exit.USAGE),
    "hold of an unknown service": ("causeway:seed: s", "causeway:hold: [Raeder]\n  causeway:seed: s", Exit.USAGE),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, emulator: str) -> Iterator[Small]:
    """A stack at `infrastructure` that is judged good; nothing here may change it."""
    with standing(tmp_path_factory.mktemp("bad"), emulator) as made:
        yield made


@pytest.fixture(scope="module")
def said() -> Iterator[dict[str, str]]:
    """The message of each case; all of them are compared with the golden file at the end, or written there."""
    found: dict[str, str] = {}
    yield found
    if os.environ.get("CAUSEWAY_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text("".join(f"{case}\n  {message}\n\n" for case, message in found.items()))


def golden() -> dict[str, str]:
    blocks = GOLDEN.read_text().strip().split("\n\n") if GOLDEN.exists() else []
    return {block.split("\n", 1)[0]: block.split("\n", 1)[1].strip() for block in blocks}


def message(stack: Small, done: subprocess.CompletedProcess[str]) -> str:
    """What was said, without what differs from run to run."""
    text = done.stderr.strip().replace(str(stack.directory), "PROJECT")
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", text)


def holds(stack: Small, case: str, done: subprocess.CompletedProcess[str], code: int, said: dict[str, str]) -> None:
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    said[case] = message(stack, done)
    if not os.environ.get("CAUSEWAY_GOLDEN"):
        assert said[case] == golden()[case], f"if this is meant: CAUSEWAY_GOLDEN=1 pytest {Path(__file__).name}"


@pytest.mark.parametrize("case", EDITS)
def test_a_wrong_config_is_one_message_and_changes_nothing(stack: Small, said: dict[str, str], case: str) -> None:
    old, new, code = EDITS[case]
    text, before = stack.file.read_text(), stack.digest()
    assert old in text
    wrong = text.replace(old, new, 1)
    stack.file.write_text(wrong)
    try:
        done = stack.causeway("run", "--to", "low")
        assert stack.file.read_text() == wrong, "a refusal leaves the stack file as the user wrote it"
    finally:
        stack.file.write_text(text)
    holds(stack, case, done, code, said)
    assert stack.digest() == before


def test_a_position_ahead_of_the_stack(stack: Small, said: dict[str, str]) -> None:
    """`causeway run` never jumps; whoever sets the position by hand is stopped by the program."""
    before, text = stack.digest(), stack.file.read_text()
    stack.set("causeway:position", "high/Writer/50")
    try:
        done = stack.pulumi("up", "--yes", "--skip-preview")
    finally:
        stack.file.write_text(text)
    assert done.returncode != 0
    (line,) = {line.split("failed:", 1)[1].strip() for line in done.stdout.splitlines() if "legal_move" in line}
    said["position ahead"] = line
    assert os.environ.get("CAUSEWAY_GOLDEN") or line == golden()["position ahead"]
    assert stack.digest() == before


@pytest.mark.parametrize("command", ["run --to low", "status", "rollback --level 3 --reason fire"])
def test_the_emulator_is_down(stack: Small, said: dict[str, str], command: str) -> None:
    before = stack.digest()
    done = stack.causeway(*command.split(), FIRESTORE_EMULATOR_HOST=f"127.0.0.1:{free_port()}")
    holds(stack, f"emulator down: causeway {command}", done, Exit.UNREACHABLE, said)
    assert stack.digest() == before


def test_pulumi_is_missing(stack: Small, said: dict[str, str]) -> None:
    before = stack.digest()
    done = stack.causeway("run", "--to", "low", PATH=str(Path(CAUSEWAY).parent))
    holds(stack, "Pulumi missing", done, Exit.UNREACHABLE, said)
    assert stack.digest() == before


def test_no_such_stack(stack: Small, said: dict[str, str]) -> None:
    done = stack.run(CAUSEWAY, "status", "--stack", "prod")
    holds(stack, "no such stack", done, Exit.USAGE, said)
    assert STACK in done.stderr, "the stacks that there are get named"
