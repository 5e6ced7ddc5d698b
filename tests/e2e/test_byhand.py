"""As Pulumi users work: `pulumi config set`, `preview`, `up`, and back; what is illegal is refused before it starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeway.errors import Exit
from standin.environment import Environment
from tests.e2e.small import CONFIG, STACK, Small, small, standing, words

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def halfway(tmp_path_factory: pytest.TempPathFactory, emulator: str) -> Iterator[Small]:
    """A stack at low/Reader/100 that is judged good. Tests of refusals share it, because they change nothing."""
    with standing(tmp_path_factory.mktemp("halfway"), emulator) as made:
        done = made.causeway("run", "--to", "low")
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def fresh(tmp_path: Path, emulator: str) -> Iterator[Small]:
    with standing(tmp_path, emulator, judged=False) as made:
        yield made


def refused(stack: Small, **variables: str) -> list[str]:
    """What preview, preview with policies, and up say of what config wants; none of them may change anything."""
    before = stack.digest()
    tried = [
        stack.pulumi("preview", **variables),
        stack.pulumi("preview", "--policy-pack", "policies", **variables),
        stack.up(**variables),
    ]
    assert all(done.returncode != 0 for done in tried), [words(done) for done in tried]
    assert stack.digest() == before, "a refusal has changed something"
    return [words(done) for done in tried]


def test_destroy_is_refused_before_anything_is_gone(halfway: Small) -> None:
    """Prevents: the protected database stops it at last, when flag set, monitor and alerts are deleted already."""
    before = halfway.digest()
    done = halfway.pulumi("destroy", "--yes")
    assert done.returncode != 0 and "protect" in words(done), words(done)
    assert halfway.digest() == before


ILLEGAL = {
    "a jump ahead": (
        "causeway:position",
        "high/Writer/50",
        "position high/Writer/50 is 4 steps ahead of low/Reader/100; 3 steps would be skipped without a soak or a "
        "verdict. Go to high/Writer/dual-write next: pulumi config set causeway:position high/Writer/dual-write",
    ),
    "a way back without a reason": (
        "causeway:position",
        "infrastructure",
        "the stack stands at low/Reader/100; this checkout would take it back to infrastructure; a stale checkout must "
        'not roll a stack back by accident. If it is meant, say why: CAUSEWAY_REASON="…" pulumi up, or --reason TEXT.',
    ),
    "an unknown position": (
        "causeway:position",
        "low/Reader/60",
        "there is no position low/Reader/60",
    ),
    "a broken config": (
        "causeway:matrix",
        '{"services": {"Reader": {"strategy": "hope"}}}',
        "'hope' is not one of",
    ),
}


@pytest.mark.parametrize("case", ILLEGAL)
def test_what_is_illegal_is_refused_by_preview_policies_and_up_in_the_same_words(halfway: Small, case: str) -> None:
    key, value, said = ILLEGAL[case]
    before = halfway.file.read_text()
    changed = json.loads(value) if value.startswith("{") else value
    text = json.dumps(changed)
    lines = [line for line in before.splitlines() if not line.startswith(f"  {key}:")]
    if key == "causeway:matrix":
        first = next(index for index, line in enumerate(before.splitlines()) if line.startswith("  causeway:matrix:"))
        last = next(i for i, line in enumerate(before.splitlines()) if i > first and line.startswith("  causeway:"))
        lines = [*before.splitlines()[:first], *before.splitlines()[last:]]
    halfway.file.write_text("\n".join([lines[0], f"  {key}: {text}", *lines[1:], ""]))
    try:
        told = refused(halfway)
    finally:
        halfway.file.write_text(before)
    for each in told:
        assert said in each
        assert "Traceback" not in each


def test_a_walk_by_hand_and_back_ends_where_it_began(fresh: Small) -> None:
    at_start = fresh.export()["inputs"]
    fresh.set("causeway:position", "low/Reader/50")
    unjudged = "infrastructure has not been judged good: the journal has no record of it"
    assert all(unjudged in each for each in refused(fresh)), "forward needs the present position's verdict"

    fresh.set("causeway:position", "infrastructure")
    assert fresh.causeway("soak").returncode == 0
    fresh.set("causeway:position", "low/Reader/50")
    went = fresh.up()
    assert "forward: infrastructure -> low/Reader/50 [Reader 0 -> 50 %]" in words(went)
    fresh.set("causeway:position", "low/Reader/100")
    assert "low/Reader/50 has not been judged good" in words(fresh.pulumi("preview"))

    fresh.set("causeway:position", "infrastructure")
    back = fresh.up(CAUSEWAY_REASON="the release is called off")
    assert "back: low/Reader/50 -> infrastructure [Reader 50 -> 0 %]" in words(back)
    assert fresh.export()["inputs"] == at_start, "back means equal inputs"
    clean = fresh.pulumi("preview", "--expect-no-changes")
    assert clean.returncode == 0, words(clean)

    fresh.set("causeway:position", "low/Reader/50")
    again = fresh.up()
    assert again.returncode == 0, "infrastructure is still judged good"
    fresh.set("causeway:position", "low/Reader/100")
    assert "low/Reader/50 has not been judged good" in words(fresh.up()), "judged anew, each time it is reached"

    fresh.set("causeway:position", "low/Reader/50")
    fresh.set("causeway:hold", '["Reader"]')
    fresh.set("causeway:go_back_anyway", "true")  # as text, which the program and the commands read alike
    held = fresh.up()
    assert "hold: low/Reader/50 -> low/Reader/50 (hold Reader) [Reader 50 -> 0 %]" in words(held)
    flags = json.loads(fresh.read(f"flags/{STACK}")["definition"])  # type: ignore[index]
    assert flags["metadata"]["hold"] == "Reader"
    assert "Reader" in words(fresh.causeway("status"))


SPLIT = """\
  causeway:traffic:
    Reader: {kind: url_map, legacy_backend: backend/legacy, package_backend: backend/package}
"""


def test_a_url_map_does_not_move_without_its_flag_set(tmp_path: Path, emulator: str) -> None:
    """Prevents: `pulumi up --target` of a split puts half of all users on a package, and nothing has a word for it."""
    with small(tmp_path, Environment(tmp_path / "environment", emulator).make(), CONFIG + SPLIT) as made:
        assert made.up().returncode == 0
        made.measure()
        assert made.causeway("soak").returncode == 0
        (urn,) = (urn for urn in made.export()["inputs"] if urn.endswith("::traffic-Reader-Reader"))
        made.set("causeway:position", "low/Reader/50")
        before = made.digest()
        aside = made.up("--target", urn)
        assert aside.returncode != 0
        assert "the split of Reader would go to 50 % at low/Reader/50, and the flag set stands at infra" in words(aside)
        assert made.digest() == before
        made.set("causeway:position", "low/Reader/100")
        ahead = made.pulumi("preview", "--target", urn, "--policy-pack", "policies")
        assert "[mandatory] no-skipped-steps" in words(ahead)
        assert "position low/Reader/100 is 2 steps ahead of infrastructure" in words(ahead)

        made.set("causeway:position", "low/Reader/50")
        together = made.up("--policy-pack", "policies")
        assert together.returncode == 0, words(together)
        assert made.causeway("drift").returncode == Exit.OK
        inputs = made.export()["inputs"][urn]
        assert [each["weight"] for each in inputs["defaultRouteAction"]["weightedBackendServices"]] == [500, 500]
        back = made.causeway("rollback", "--level", "3", "--reason", "called off")
        assert back.returncode == 0, words(back)
        assert made.causeway("drift").returncode == Exit.OK


def test_edits_behind_the_stack_are_drift(halfway: Small) -> None:
    assert halfway.causeway("drift").returncode == Exit.OK
    flags = halfway.client().document(f"flags/{STACK}")
    applied = flags.get().to_dict()
    flags.update(
        {"definition": applied["definition"].replace('["package",100],["legacy",0]', '["package",75],["legacy",25]')}
    )
    edited = halfway.causeway("drift")
    flags.set(applied)
    assert edited.returncode == Exit.DRIFT, words(edited)
    assert f"flags/{STACK} gives Reader" in edited.stdout

    (bucket,) = (halfway.environment.cloud / "storage.Bucket").iterdir()
    text = bucket.read_text()
    thing = json.loads(text)
    thing["inputs"]["storageClass"] = "ARCHIVE"
    bucket.write_text(json.dumps(thing))
    edited = halfway.causeway("drift", "--json")
    bucket.write_text(text)
    assert edited.returncode == Exit.DRIFT, words(edited)
    assert any("archive" in line and "differs in the cloud" in line for line in json.loads(edited.stdout)["drift"])
    assert halfway.causeway("drift").returncode == Exit.OK, "nothing was overwritten by looking"
