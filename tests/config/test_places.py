"""Where config says a stack stands, and what it may hold: named by key, checked unless a way back is looked for."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path

import pytest

from causeway.config import from_file, from_values
from causeway.errors import ConfigError

TODAY = datetime.date(2026, 1, 1)
SHAPE = Path(__file__).parents[1] / "data" / "config" / "shape.yaml"


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = SHAPE.read_text()
    assert old in text
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("position: low/CVAnalyzer/25", "position: low/CVAnalyzer/60", "test.yaml: causeway:position: there is no"),
        ("target: low", "target: lo", "test.yaml: causeway:target: there is no position lo"),
        (
            "accept: []",
            "accept: [{position: low/X/1, reason: r, expires: 2027-01-01}]",
            "test.yaml: causeway:accept: there is no position low/X/1",
        ),
        ("hold: []", "hold: [CVAnalyzer@60]", "CVAnalyzer@60 is no rung.*CVAnalyzer@50 or CVAnalyzer@75"),
    ],
)
def test_a_place_that_is_none_is_named_by_its_key_and_bars_no_way_back(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Prevents: "there is no position" without a word of where it is written; a rollback refused for an old exception;
    a cap between two rungs that `check` lets through and every update refuses."""
    path = edited(tmp_path, old, new)
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        from_file(path, today=TODAY)
    assert from_file(path, today=TODAY, anywhere=True).matrix == from_file(SHAPE, today=TODAY).matrix


def test_a_key_beside_config_is_not_ignored(tmp_path: Path) -> None:
    """Prevents: a key that slipped out of `config` by its indentation is ignored in silence."""
    with pytest.raises(ConfigError, match=r"test.yaml:2: there is no key causeway:freeze beside `config`"):
        from_file(edited(tmp_path, "config:\n", "causeway:freeze: []\nconfig:\n"), today=TODAY)


def test_the_seed_is_one_text_for_pulumi_and_for_this(tmp_path: Path) -> None:
    """Prevents: `cohort` and the monitor choose other users than the program, to whom Pulumi prints a seed that looks
    like a time in another way."""
    for bare in ("2025-8-1", "2025-08-01T10:00:00Z", "2025-08-01 10:00:00"):
        with pytest.raises(ConfigError, match=r"test.yaml:8: causeway:seed has .* without quotes"):
            from_file(edited(tmp_path, "seed: cvplus-2025", f"seed: {bare}"), today=TODAY)
    with pytest.raises(ConfigError, match=r"causeway:testers has 2025-8-1 without quotes"):
        from_file(edited(tmp_path, "[qa@example.org]", "[2025-8-1]"), today=TODAY)
    quoted = edited(tmp_path, "seed: cvplus-2025", 'seed: "2025-08-01T10:00:00Z"')
    assert from_file(quoted, today=TODAY).seed == "2025-08-01T10:00:00Z"
    day = from_file(edited(tmp_path, "seed: cvplus-2025", "seed: 2025-08-01"), today=TODAY)
    import yaml

    values = yaml.safe_load(SHAPE.read_text())["config"] | {"causeway:seed": "2025-08-01 00:00:00 +0000 UTC"}
    assert from_values(values, "test", folder=tmp_path, today=TODAY).seed == day.seed == "2025-08-01"


def test_who_meets_a_stack_is_config(tmp_path: Path) -> None:
    """Prevents: nobody may act as `restore` and no application read its flags, for config has no place to say who."""
    said = "{secrets: {TEAM: team}, operators: ['group:ops@example.org'], readers: ['serviceAccount:a@example.org']}"
    path = edited(tmp_path, "freeze: []", f"cloud: {said}")
    cloud = from_file(path, today=TODAY).cloud
    assert (dict(cloud.secrets), cloud.operators) == ({"TEAM": "team"}, ("group:ops@example.org",))
    assert cloud.readers == ("serviceAccount:a@example.org",)
    with pytest.raises(ConfigError, match=r"readers\[0\].*Expected: An IAM member"):
        from_file(edited(tmp_path, "freeze: []", "cloud: {readers: [app]}"), today=TODAY)


# --- one reading for the file and for the program -----------------------------------------------------------------

#: What stands in the file -> what Pulumi 3.259 hands the program (`pulumi config --json`, tried for each).
HANDED_OVER = {
    'seed: "42"': "42",
    "seed: 42": "42",
    'seed: "true"': "true",
    "seed: True": "true",
    "seed: yes": "yes",
    'seed: "null"': "null",
    'seed: "1e3"': "1e3",
    "seed: '[\"A\"]'": '["A"]',
    'go_back_anyway: "true"': "true",
    "go_back_anyway: true": "true",
    "go_back_anyway: True": "true",
    'side_by_side: "false"': "false",
    "hold: '[\"CVAnalyzer\"]'": '["CVAnalyzer"]',
    "hold: [CVAnalyzer]": '["CVAnalyzer"]',
    "testers: '[\"42\"]'": '["42"]',
    'soak: \'{"interval": "5s"}\'': '{"interval": "5s"}',
}


@pytest.mark.parametrize("line", HANDED_OVER)
def test_file_and_program_read_the_same(tmp_path: Path, line: str) -> None:
    """Prevents: `pulumi config set causeway:go_back_anyway true`, the emergency's own remedy, ends every command; and a
    seed of digits that `check` takes and the program refuses."""
    key = f"causeway:{line.partition(':')[0]}"
    kept = "\n".join(each for each in SHAPE.read_text().splitlines() if not each.startswith(f"  {key}:"))
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(kept.replace("config:\n", f"config:\n  causeway:{line}\n", 1) + "\n")
    import yaml

    others = {name: value for name, value in yaml.safe_load(SHAPE.read_text())["config"].items() if name != key}
    handed = {name: value if isinstance(value, str) else json.dumps(value) for name, value in others.items()}
    program = from_values({**handed, key: HANDED_OVER[line]}, "test", folder=tmp_path, today=TODAY)
    assert from_file(path, today=TODAY) == program
    if key == "causeway:seed":
        assert program.seed == HANDED_OVER[line]


@pytest.mark.parametrize("number", ["1e3", "1_000", "0o7", "0x10", "010", "+5", "1.50", ".5"])
def test_a_seed_that_pulumi_prints_in_another_way_needs_quotes(tmp_path: Path, number: str) -> None:
    """Prevents: `seed: 1e3` deals users by `1e3` here and by `1000` in the program."""
    with pytest.raises(ConfigError, match=rf'causeway:seed has .* without quotes.*Write "{re.escape(number)}"'):
        from_file(edited(tmp_path, "seed: cvplus-2025", f"seed: {number}"), today=TODAY)
    assert from_file(edited(tmp_path, "seed: cvplus-2025", f'seed: "{number}"'), today=TODAY).seed == number


@pytest.mark.parametrize(
    "line", ["hold: A", "hold: '[\"A\"'", "go_back_anyway: yes", "go_back_anyway: 1", "seed:", "seed: ''"]
)
def test_what_means_nothing_is_refused_on_both_sides(tmp_path: Path, line: str) -> None:
    key, _, text = line.partition(": ")
    key = key.rstrip(":")
    path = tmp_path / "Pulumi.test.yaml"
    kept = "\n".join(each for each in SHAPE.read_text().splitlines() if not each.startswith(f"  causeway:{key}:"))
    path.write_text(kept.replace("config:\n", f"config:\n  causeway:{line}\n", 1) + "\n")
    import yaml

    values = yaml.safe_load(SHAPE.read_text())["config"] | {f"causeway:{key}": text.strip("'")}
    for read in (
        lambda: from_file(path, today=TODAY),
        lambda: from_values(values, "test", folder=tmp_path, today=TODAY),
    ):
        with pytest.raises(ConfigError, match=f"causeway:{key}"):
            read()


@pytest.mark.parametrize(
    "value",
    [
        "{critical: ['mailto://x:hunter2@example.org']}",
        "{critical: ['slack://hunter2/b/c']}",
        "{critical: 'mailto://x:hunter2@example.org'}",
        "'mailto://x:hunter2@example.org'",
        "{critical: [{address: 'slack://hunter2'}]}",
        "{'mailto://x:hunter2@example.org': []}",
    ],
)
def test_an_address_in_the_config_is_refused_without_being_repeated(tmp_path: Path, value: str) -> None:
    """Prevents: the password of a channel stands in the log of a CI job, because it stood where it must not."""
    path = edited(tmp_path, "notify: {}", f"notify: {value}")
    with pytest.raises(ConfigError, match="causeway:notify") as raised:
        from_file(path, today=TODAY)
    assert "hunter2" not in json.dumps(raised.value.as_dict()) + repr(raised.value)
