"""`check`, `plan` and `cohort` on the stacks of this repository, as a user types them: exact shapes, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from causeway import cli, flags
from causeway.config import from_file
from causeway.errors import ConfigError
from causeway.model.matrix import Version
from causeway.model.moves import Place
from causeway.rollout.desired import flag_set
from standin.processes import free_port

STACKS = Path(__file__).parents[2] / "stacks"
LOCAL = STACKS / "Pulumi.local.yaml"
SEVEN = [
    "CVAnalyzer",
    "ImprovementOrchestrator",
    "CacheManager",
    "RecommendationGenerator",
    "CircuitBreakerCore",
    "RecommendationOrchestrator",
    "ActionOrchestrator",
]


@pytest.fixture
def causeway(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; its exit code and standard output."""

    def run(*arguments: str | Path) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        return ended.value.code, capsys.readouterr().out

    return run


@pytest.fixture
def edited(tmp_path: Path) -> Any:
    """A copy of the stacks with one text replaced in the shared file."""

    def make(old: str, new: str) -> Path:
        for name in ("Pulumi.local.yaml", "cvplus.yaml"):
            (tmp_path / name).write_text((STACKS / name).read_text())
        shared = tmp_path / "cvplus.yaml"
        assert old in shared.read_text()
        shared.write_text(shared.read_text().replace(old, new, 1))
        return tmp_path / "Pulumi.local.yaml"

    return make


@pytest.mark.parametrize("name", ["local", "prod"])
def test_check_says_that_cvplus_is_safe(causeway: Any, name: str) -> None:
    code, out = causeway("check", "--config", STACKS / f"Pulumi.{name}.yaml", "--json")
    found = json.loads(out)
    assert (code, found["status"]) == (0, "safe")
    assert list(found) == [
        "status",
        "groups",
        "exposures",
        "missing",
        "no_return",
        "closures",
        "conflict",
        "remedies",
    ]
    assert found["groups"] == [[service] for service in SEVEN]
    assert {tuple(each) for each in found["exposures"]} == {
        ("consumer", "provider", "kind", "pair", "first", "last", "evidence")
    }
    assert list(found["closures"]) == SEVEN
    assert (found["missing"], found["conflict"], found["remedies"]) == ([], [], [])


ALONE = """\
config:
  causeway:phases: [{name: one, services: [A]}]
  causeway:matrix: {services: {A: {strategy: direct}}}
"""


def test_phases_and_matrix_are_enough_to_judge_a_plan(causeway: Any, tmp_path: Path) -> None:
    """Prevents: a matrix cannot be judged before somebody has decided on guardrails, and where the stack stands."""
    file, keys = tmp_path / "idea.yaml", tmp_path / "keys"
    file.write_text(ALONE)
    keys.write_text("somebody\n")
    code, out = causeway("check", "--config", file, "--json")
    assert (code, json.loads(out)["groups"]) == (0, [["A"]])
    code, out = causeway("plan", "--config", file, "--json")
    assert code is None or code == 0
    assert [row["name"] for row in json.loads(out)["positions"]][:2] == ["infrastructure", "one/A/10"]
    code, out = causeway("cohort", "--config", file, "--keys", keys, "--json")
    assert code == 2 and "lacks causeway:seed" in json.loads(out)["fact"], "who goes first would be made up"
    with pytest.raises(ConfigError, match="lacks causeway:position, causeway:seed, causeway:guardrails"):
        from_file(file)


def test_check_says_what_is_missing_where_and_what_would_help(causeway: Any, edited: Any) -> None:
    config = edited("package->package:", "package->package: {incompatible: it breaks} #")
    code, out = causeway("check", "--config", config, "--json")
    found = json.loads(out)
    assert (code, found["status"]) == (4, "unsafe")
    missing = found["missing"][0]
    assert list(missing) == [
        "consumer", "provider", "kind", "pair", "first", "last", "steps", "why", "unblock",
    ]  # fmt: skip
    assert missing["pair"] == "package->package"


@pytest.mark.parametrize(
    ("said", "expected"), [("incompatible: fields were renamed", (4, "unsafe")), ("", (3, "unknown"))]
)
def test_a_circle_that_evidence_cannot_open_has_the_exit_code_of_what_breaks(
    causeway: Any, tmp_path: Path, said: str, expected: tuple[int, str]
) -> None:
    """Nothing that breaks is exposed on the plan of this matrix: it stands in the way of any order."""
    known = "legacy->package: {verified: tests}, package->package: {verified: tests}"
    (tmp_path / "circle.yaml").write_text(f"""
config:
  causeway:phases: [{{name: low, services: [A, B]}}]
  causeway:matrix:
    services: {{A: {{strategy: direct}}, B: {{strategy: direct}}}}
    interactions:
      - {{consumer: A, provider: B, evidence: {{{known}}}}}
      - consumer: B
        provider: A
        routing: independent
        evidence: {{{known}{f", package->legacy: {{{said}}}" if said else ""}}}
""")
    code, out = causeway("check", "--config", str(tmp_path / "circle.yaml"), "--json")
    found = json.loads(out)
    assert (code, found["status"]) == expected
    assert found["conflict"] and not any("incompatible" in str(each["evidence"]) for each in found["exposures"])


def test_check_reads_for_people_as_well(causeway: Any) -> None:
    for option in ((), ("--mermaid",), ("--markdown",)):
        code, out = causeway("check", "--config", LOCAL, *option)
        assert code == 0
        assert all(service in out for service in SEVEN)


def test_plan_lists_every_position_with_all_weights_and_actions(causeway: Any) -> None:
    code, out = causeway("plan", "--config", LOCAL, "--json")
    assert code == 0
    document = json.loads(out)
    assert list(document) == ["positions"]
    rows, plan = document["positions"], from_file(LOCAL).plan
    assert [row["name"] for row in rows] == [position.name for position in plan]
    for row in rows:
        assert {"name", "phase", "weights", "actions"} <= set(row)
        assert row["weights"] == plan.at(row["name"]).weights
        assert row["phase"] == plan[row["name"]].phase
        assert row["actions"] == list(plan[row["name"]].actions)
    assert rows[0]["actions"] == ["provision"]
    assert rows[-1] == {
        "name": "deprecation/retire-legacy",
        "phase": "deprecation",
        "services": SEVEN,
        "weights": dict.fromkeys(SEVEN, 100),
        "actions": ["retire-legacy"],
    }


def test_plan_as_changes_adds_up_to_the_plan_as_tables(causeway: Any) -> None:
    _, changes = causeway("plan", "--config", LOCAL, "--json", "--changes")
    _, tables = causeway("plan", "--config", LOCAL, "--json")
    running = dict.fromkeys(SEVEN, 0)
    for change, table in zip(json.loads(changes)["positions"], json.loads(tables)["positions"], strict=True):
        running.update(change["weights"])
        assert running == table["weights"]


def test_in_a_pipe_no_line_is_wrapped_or_cut(causeway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents: `causeway check | grep pair:` finds half a sentence, and a long name of a position ends in dots."""
    monkeypatch.delenv("COLUMNS", raising=False)
    _, said = causeway("check", "--config", LOCAL)
    budget = next(line for line in said.splitlines() if line.startswith("false-alarm budget"))
    assert budget.endswith("all the time")
    _, listed = causeway("plan", "--config", LOCAL)
    (backfill,) = (line for line in listed.splitlines() if "medium/CacheManager/backfill" in line)
    assert backfill.rstrip().endswith("copies what was written before dual writes began")
    monkeypatch.setenv("COLUMNS", "40")
    _, narrow = causeway("check", "--config", LOCAL)
    assert max(map(len, narrow.splitlines())) <= 40, "whoever says how wide it shall be is heard"


def test_cohort_says_which_services_each_user_gets(causeway: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    users = [*(f"user-{number}" for number in range(200)), " with spaces ", "Größe"]
    keys.write_bytes(("\r\n".join([*users, "", users[0]]) + "\n").encode())
    position = "medium/CacheManager/50"
    code, out = causeway("cohort", "--config", LOCAL, "--position", position, "--keys", keys, "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found) == users, "in the order asked, blank lines left out, a key twice once"
    config = from_file(LOCAL)
    weights = flag_set(config, Place(position))
    for user, services in found.items():
        assert services == [name for name in SEVEN if flags.evaluate(weights, name, user) is Version.PACKAGE]
    on_cache = sum("CacheManager" in services for services in found.values())
    assert 70 < on_cache < 135, "about half"
    assert all(services[:2] == SEVEN[:2] for services in found.values()), "complete services are everybody's"


def test_cohort_reads_standard_input_and_speaks_to_people(
    causeway: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("anna\n")
    code, out = causeway("cohort", "--config", LOCAL, "--position", "infrastructure", "--keys", keys)
    assert (code, out) == (0, "anna\t(all legacy)\n")


def test_cohort_says_what_it_is_the_answer_of_and_whom_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], edited: Any, tmp_path: Path
) -> None:
    """Prevents: an answer from a file is taken for what users get, and a user's key for an account's."""
    keys = tmp_path / "keys"
    keys.write_text("anna\n")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    monkeypatch.chdir(STACKS.parent)
    with pytest.raises(SystemExit):
        cli.main(["cohort", "--stack", "local", "--keys", str(keys), "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out) == {"anna": []}
    assert said.err.startswith("causeway: by config, since the stack cannot be asked: Firestore does not answer")

    file = edited("lines: 223, strategy: dual_write", "strategy: dual_write, cohort: account")
    with pytest.raises(SystemExit):
        cli.main(["cohort", "--config", str(file), "--position", "medium/CacheManager/50", "--keys", str(keys)])
    said = capsys.readouterr()
    assert said.out == "anna\tCVAnalyzer, ImprovementOrchestrator\n"
    assert said.err == "causeway: CacheManager goes by account, not by user; it is left out\n"


@pytest.mark.parametrize("command", [["check"], ["plan"], ["cohort", "--keys", str(LOCAL)]])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "gone.yaml"], "gone.yaml cannot be read"),
        (["--config", str(LOCAL), "--stack", "local"], "both given"),
        (["--stack", "nowhere"], "there is no stack nowhere"),
    ],
)
def test_bad_input_is_one_document(causeway: Any, command: list[str], arguments: list[str], said: str) -> None:
    code, out = causeway(*command, *arguments, "--json")
    assert code == 2
    assert said in json.loads(out)["fact"]


def test_keys_that_are_no_text_are_refused_in_words(causeway: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"anna\n\xff\xfe\n")
    code, out = causeway("cohort", "--config", LOCAL, "--keys", keys, "--json")
    assert code == 2
    assert "not text in UTF-8" in json.loads(out)["fact"]


def test_a_matrix_whose_flag_set_no_document_could_hold_is_refused(causeway: Any, tmp_path: Path) -> None:
    names = [f"Service{number:05d}" for number in range(4000)]
    text = (
        "config:\n  causeway:position: infrastructure\n  causeway:seed: s\n  causeway:guardrails:\n"
        "    error_rate: {warn: 0.02, roll_back: 0.05}\n"
        "    response_time: {quantile: 0.95, warn: 2.0, roll_back: 3.0}\n"
        "    throughput: {warn: 0.8, roll_back: 0.6}\n    availability: {warn: 0.999, roll_back: 0.99}\n"
        f"  causeway:phases: [{{name: low, services: [{', '.join(names)}]}}]\n  causeway:matrix:\n    services:\n"
    ) + "".join(f"      {name}: {{strategy: direct}}\n" for name in names)
    path = tmp_path / "Pulumi.large.yaml"
    path.write_text(text)
    code, out = causeway("check", "--config", path, "--json")
    found = json.loads(out)
    assert code == 2
    assert "bytes" in found["fact"] and "such fit" in found["remedy"]


def test_plan_lists_positions_to_whoever_looks_for_one(causeway: Any, tmp_path: Path) -> None:
    """Prevents: the message about a wrong position says that `plan` lists them all, and `plan` fails with it too."""
    (tmp_path / "cvplus.yaml").write_text((STACKS / "cvplus.yaml").read_text())
    wrong = tmp_path / "Pulumi.local.yaml"
    wrong.write_text(LOCAL.read_text().replace("position: infrastructure", "position: low/CVAnalyzer/60"))
    code, out = causeway("plan", "--config", wrong, "--json")
    assert code in (0, None)
    assert "low/CVAnalyzer/50" in [row["name"] for row in json.loads(out)["positions"]]
    _, said = causeway("plan", "--config", wrong)
    assert "which this plan does not have" in said
    assert causeway("check", "--config", wrong)[0] == 2


def test_a_flag_set_that_fits_only_where_the_plan_begins_is_refused(
    causeway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents: `check` weighs the first position alone, and the rollout stops half way."""
    config = from_file(LOCAL)
    here = len(flags.build(flag_set(config, Place(config.position))))
    monkeypatch.setattr(flags, "DOCUMENT_LIMIT", flags.RESERVED + here)
    code, out = causeway("check", "--config", LOCAL, "--json")
    assert (code, "such fit" in json.loads(out)["remedy"]) == (2, True)
