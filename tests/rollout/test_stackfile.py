"""A move changes one line of the stack file, however people have written the rest of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.errors import CausewayError, ConfigError
from causeway.model.hold import NO_HOLD, Hold
from causeway.model.moves import Place
from causeway.rollout import stackfile

HELD = Place("low/A+B/50", Hold({"A": 0, "B": 25}))
FREE = Place("low/A/50")


@pytest.mark.parametrize(
    ("before", "place", "after"),
    [
        ("causeway:position: low/A/10", FREE, "causeway:position: low/A/50"),
        ("causeway:position:   low/A/10  # here", FREE, "causeway:position:   low/A/50  # here"),
        ("causeway:position: 'low/A/10'", FREE, "causeway:position: low/A/50"),
        ('causeway:position: "low/A/10"  # here', FREE, "causeway:position: low/A/50  # here"),
        ('"causeway:position": low/A/10', FREE, '"causeway:position": low/A/50'),
        ("causeway:position:", FREE, "causeway:position: low/A/50"),
        ("causeway:position: >-\n    low/A/10", FREE, "causeway:position: low/A/50"),
        ("causeway:position:\n    low/A/10", FREE, "causeway:position: low/A/50"),
        (
            "causeway:position: low/A/10  # here",
            HELD,
            'causeway:position: low/A+B/50  # here\n  causeway:hold: ["A", "B@25"]',
        ),
        (
            "causeway:hold: [A]  # why\n  causeway:position: infrastructure",
            FREE,
            "causeway:hold: []  # why\n  causeway:position: low/A/50",
        ),
        (
            "causeway:hold:  # why\n    - A\n    - B\n\n  # below\n  causeway:position: x",
            HELD,
            'causeway:hold: ["A", "B@25"]  # why\n\n  # below\n  causeway:position: low/A+B/50',
        ),
        ("causeway:position: x\n  causeway:hold:\n  - A", FREE, "causeway:position: low/A/50\n  causeway:hold: []"),
        ("causeway:position: x\n  causeway:hold: []", FREE, "causeway:position: low/A/50\n  causeway:hold: []"),
        (
            "causeway:position: x\n  causeway:hold:",
            HELD,
            'causeway:position: low/A+B/50\n  causeway:hold: ["A", "B@25"]',
        ),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_one_value_changes_and_everything_else_stays(
    before: str, place: Place, after: str, ending: str, last: bool
) -> None:
    frame = "# top\nconfig:\n  # about it\n  gcp:project: demo  # mine\n  {}" + (
        "" if last else "\n  causeway:seed: s # s\n"
    )
    found = stackfile.with_place(frame.format(before).replace("\n", ending), place)
    assert found == frame.format(after).replace("\n", ending)
    config = yaml.safe_load(found)["config"]
    assert config["causeway:position"] == place.position
    assert Hold.parse(config.get("causeway:hold") or []) == place.hold


def test_a_file_in_flow_style_stays_so() -> None:
    text = "{config: {causeway:seed: s, causeway:position: x, causeway:ladder: [50, 100]}}"
    found = stackfile.with_place(text, HELD)
    assert found == (
        '{config: {causeway:seed: s, causeway:position: low/A+B/50, causeway:hold: ["A", "B@25"], '
        "causeway:ladder: [50, 100]}}"
    )


names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True)
places = st.builds(
    Place,
    st.builds(lambda phase, who, rung: f"{phase}/{'+'.join(who)}/{rung}", names, st.lists(names, min_size=1), names),
    st.builds(Hold, st.dictionaries(names, st.integers(0, 99), max_size=4)),
)


@settings(max_examples=40)
@given(places, places)
def test_going_there_and_back_gives_the_same_file(there: Place, back: Place) -> None:
    """Whatever services are called: the file says the place, and saying the first one again gives the first text."""
    start = stackfile.with_place("config:\n  causeway:position: x # here\n  causeway:hold: []\n  other: 1\n", back)
    moved = stackfile.with_place(start, there)
    config = yaml.safe_load(moved)["config"]
    assert (str(config["causeway:position"]), Hold.parse(config["causeway:hold"])) == (there.position, there.hold)
    assert stackfile.with_place(moved, back) == start


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no mapping `config:`"),
        ("config: []", "no mapping `config:`"),
        ("- config", "no mapping `config:`"),
        ("config: {}", "no causeway:position"),
        ("config:\n  causeway:seed: s\n", "no causeway:position"),
        ("config: [", "is not YAML"),
    ],
)
def test_a_file_without_a_position_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        stackfile.with_place(text, FREE)


def test_files_keep_their_bytes_and_their_mode(tmp_path: Path) -> None:
    """Prevents: one move turns every line of a file from Windows into a changed one."""
    path = tmp_path / "Pulumi.test.yaml"
    path.write_bytes("config:\r\n  causeway:position: x  # Größe\r\n".encode())
    path.chmod(0o640)
    stackfile.write(path, stackfile.with_place(stackfile.read(path), FREE))
    assert path.read_bytes() == "config:\r\n  causeway:position: low/A/50  # Größe\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["Pulumi.test.yaml"], "nothing temporary is left"


# --- git ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "anna")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "anna@example.org")
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text("config:\n  causeway:position: x\n")
    (tmp_path / "other").write_text("unfinished")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "first"], cwd=tmp_path, check=True)
    return path


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=path.parent, capture_output=True, text=True, check=True).stdout


def test_a_commit_holds_the_stack_file_alone(checkout: Path) -> None:
    (checkout.parent / "other").write_text("work of somebody else")
    git(checkout, "add", "other")
    checkout.write_text(stackfile.with_place(checkout.read_text(), FREE))
    made = stackfile.commit(checkout, "test: low/A/50\n\nbecause")
    assert git(checkout, "show", "--name-only", "--format=%H%n%B", made).split() == [
        made, "test:", "low/A/50", "because", "Pulumi.test.yaml",
    ]  # fmt: skip
    assert git(checkout, "status", "--porcelain").split() == ["M", "other"]


def test_an_unchanged_file_is_no_new_commit(checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD").strip()
    assert stackfile.commit(checkout, "again") == before


def test_git_s_refusal_is_said_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(CausewayError, match=r"git status failed: .*not a git repository.*Commit the file by hand"):
        stackfile.commit(tmp_path / "Pulumi.test.yaml", "x")


def test_no_hold_needs_no_key() -> None:
    assert "hold" not in stackfile.with_place("config:\n  causeway:position: x\n", Place("y", NO_HOLD))
