"""Config: every mistake is one message that names file, line and path, and nothing is guessed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from causeway.config import from_file, from_values
from causeway.errors import ConfigError
from causeway.model.certificate import Safety, certify
from causeway.model.matrix import MIXED, P_L, P_P, Kind, Traffic
from causeway.model.observation import HttpProbe, ParityProbe, Scrape

TODAY = datetime.date(2026, 1, 1)
STACKS = Path(__file__).parents[2] / "stacks"
GOOD = """\
config:
  gcp:project: demo
  causeway:position: low/A/50
  causeway:seed: s
  causeway:ladder: [50, 100]
  causeway:phases: [{name: low, services: [A, B]}]
  causeway:matrix:
    services:
      A: {strategy: direct}
      B: {strategy: dual_write, ladder: [100]}
    dependencies: [Redis]
    interactions:
      - consumer: A
        provider: B
        evidence:
          package->legacy: {verified: tests, expires: 2026-02-01, about: {A: v2}}
  causeway:guardrails:
    error_rate: {warn: 0.02, roll_back: 0.05}
    response_time: {quantile: 0.95, warn: 2.0, roll_back: 3.0}
    throughput: {warn: 0.8, roll_back: 0.6}
    availability: {warn: 0.999, roll_back: 0.99}
"""


def load(tmp_path: Path, text: str, today: datetime.date = TODAY):  # type: ignore[no-untyped-def]
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(text)
    return from_file(path, today=today)


def test_reads_what_is_written(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert (config.stack, config.project, config.position) == ("test", "demo", "low/A/50")
    assert config.matrix.services["B"].ladder == (100,)
    assert config.matrix.services["A"].traffic is Traffic.FLAG
    assert config.matrix.interactions[0].verified(P_L)
    assert not config.matrix.interactions[0].verified(P_P)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("causeway:ladder: [50, 100]", "causeway:ladder: []", r"Pulumi.test.yaml:5: causeway:ladder: \[\] "),
        ("causeway:ladder: [50, 100]", "causeway:ladder: [50, 20, 100]", "A ladder rises and ends at 100"),
        ("causeway:ladder: [50, 100]", "causeway:ladder: [50]", "A ladder rises and ends at 100"),
        ("strategy: direct", "strategy: magic", r"Pulumi.test.yaml:9: causeway:matrix.services.A.strategy: 'magic'"),
        ("position: low/A/50", "position: low/A/60", "no position low/A/60.*Did you mean low/A/50"),
        ("position: low/A/50", "position: [1]", r"causeway:position: \[1\] is not of type 'string'"),
        ("services: [A, B]}", "services: [A]}", "B stands in 0 phases"),
        ("services: [A, B]}", "services: [A, B, C]}", "causeway:phases names C"),
        ("services: [A, B]}]", "services: [A, B]}, {name: low2, services: [A]}]", "A stands in 2 phases"),
        ("name: low,", "name: infrastructure,", "infrastructure though it is implied"),
        ("provider: B", "provider: Bee", "interaction A -> Bee names Bee"),
        ("warn: 0.02", "warn: 0.5", "error_rate.*must come before"),
        ("  causeway:seed: s\n", "", "lacks causeway:seed"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:hold: [Nobody]\n", "causeway:hold names Nobody"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:hold: [A@100]\n", "a cap lies between 0 and 99"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:hold: [A, A@50]\n", "A twice"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:sed: s\n", "causeway:sed"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:seed: t\n", "stands twice"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:target: high\n", "no position high"),
        ("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:include: gone.yaml\n", "gone.yaml cannot be read"),
        ("config:", "konfig:", "no `config:`"),
        ("strategy: direct}", "strategy: direct", "is not YAML"),
        ("expires: 2026-02-01", "expires: soon", "'soon' is not a 'date'|is not valid"),
    ],
)
def test_every_mistake_is_one_message(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        load(tmp_path, GOOD.replace(old, new, 1))


def test_evidence_expires(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, today=datetime.date(2026, 2, 2))
    found = config.matrix.interactions[0].evidence[P_L]
    assert found.stale == "expired on 2026-02-01"
    assert not config.matrix.interactions[0].verified(P_L)


def test_evidence_about_other_code_is_stale(tmp_path: Path) -> None:
    text = GOOD.replace("  causeway:seed: s\n", "  causeway:seed: s\n  causeway:code: {A: v3}\n")
    config = load(tmp_path, text)
    assert config.matrix.interactions[0].evidence[P_L].stale == "about A v2; v3 would run"


def test_an_accepted_unknown_counts_until_it_expires(tmp_path: Path) -> None:
    accept = "{consumer: A, provider: B, pair: package->package, reason: no time, expires: 2026-01-31}"
    text = GOOD.replace("  causeway:seed: s\n", f"  causeway:seed: s\n  causeway:accept: [{accept}]\n")
    found = load(tmp_path, text, today=datetime.date(2026, 1, 31)).matrix.interactions[0].evidence[P_P]
    assert (found.holds, found.accepted) == (True, True)
    assert "no time" in found.source
    expired = load(tmp_path, text, today=datetime.date(2026, 2, 1)).matrix.interactions[0].evidence[P_P]
    assert (expired.holds, expired.accepted, expired.stale) == (False, True, "acceptance expired on 2026-01-31")


def test_an_acceptance_that_runs_out_renames_no_position(tmp_path: Path) -> None:
    """Prevents: at midnight low/A/50 becomes low/A+B/50, and a stack that stands there stands nowhere."""
    pairs = [f"{{consumer: A, provider: B, pair: {pair}, reason: r, expires: 2026-01-31}}" for pair in MIXED]
    text = GOOD.replace("package->legacy: {verified: tests, expires: 2026-02-01, about: {A: v2}}", "{}")
    text = text.replace("evidence:\n          {}", "evidence: {}")
    text = text.replace("B: {strategy: dual_write, ladder: [100]}", "B: {strategy: direct}")
    text = text.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:accept: [{', '.join(pairs)}]\n")
    before, after = (load(tmp_path, text, today=datetime.date(2026, month, 1)) for month in (1, 2))
    assert [each.name for each in before.plan] == [each.name for each in after.plan]
    assert certify(before.matrix, before.plan).status is Safety.SAFE
    found = certify(after.matrix, after.plan)
    assert found.status is Safety.UNKNOWN
    assert found.blocked("low/A/50")


def test_of_two_acceptances_the_one_that_still_holds_counts(tmp_path: Path) -> None:
    rows = [f"{{consumer: A, provider: B, pair: package->package, reason: r, expires: 2026-0{n}-28}}" for n in (1, 3)]
    for order in (rows, rows[::-1]):
        text = GOOD.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:accept: [{', '.join(order)}]\n")
        assert load(tmp_path, text, today=datetime.date(2026, 2, 1)).matrix.interactions[0].verified(P_P)


def test_an_accepted_unknown_never_hides_what_is_known_to_break(tmp_path: Path) -> None:
    accept = "{consumer: A, provider: B, pair: package->legacy, reason: no time, expires: 2026-01-31}"
    text = GOOD.replace("  causeway:seed: s\n", f"  causeway:seed: s\n  causeway:accept: [{accept}]\n")
    text = text.replace("{verified: tests, expires: 2026-02-01, about: {A: v2}}", "{incompatible: broken}")
    assert load(tmp_path, text).matrix.interactions[0].incompatible(P_L)


def test_evidence_files_are_merged_below_config(tmp_path: Path) -> None:
    pairs = ("package->legacy", "package->package")
    rows = [{"consumer": "A", "provider": "B", "pair": pair, "verified": "file"} for pair in pairs]
    (tmp_path / "e.json").write_text(json.dumps({"evidence": rows}))
    config = load(tmp_path, GOOD.replace("causeway:seed: s\n", "causeway:seed: s\n  causeway:evidence: [e.json]\n"))
    evidence = config.matrix.interactions[0].evidence
    assert (evidence[P_L].source, evidence[P_P].source) == ("tests", "file")


def test_an_included_file_is_below_the_stack_s_own_keys(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text("causeway:seed: shared\ncauseway:ladder: [10, 100]\n")
    text = GOOD.replace("  causeway:seed: s\n", "  causeway:include: shared.yaml\n")
    config = load(tmp_path, text)
    assert (config.seed, config.matrix.services["A"].ladder) == ("shared", (50, 100))


def test_a_shared_file_must_not_move_a_stack(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text("causeway:position: infrastructure\n")
    with pytest.raises(ConfigError, match=r"shared.yaml:1: causeway:position"):
        load(tmp_path, GOOD.replace("causeway:seed: s\n", "causeway:seed: s\n  causeway:include: shared.yaml\n"))


def test_a_probe_of_every_service(tmp_path: Path) -> None:
    probes = '[{kind: http, service: "*", name: health, url: "http://h/$service"}, '
    probes += "{kind: parity, service: B, name: p, legacy: l, package: q, settle: 2s}]"
    config = load(tmp_path, GOOD.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:probes: {probes}\n"))
    first, second, parity = config.probes
    assert isinstance(first, HttpProbe) and (first.service, second.name) == ("A", "health of B")
    assert isinstance(parity, ParityProbe) and parity.settle == 2.0


def test_metrics_need_their_source(tmp_path: Path) -> None:
    metrics = "{source: scrape, requests: r, errors: e, latency: l}"
    with pytest.raises(ConfigError, match="source scrape but no targets"):
        load(tmp_path, GOOD.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:metrics: {metrics}\n"))


@pytest.mark.parametrize("name", ["local", "prod"])
def test_the_stacks_that_come_with_it(name: str) -> None:
    config = from_file(STACKS / f"Pulumi.{name}.yaml", today=TODAY)
    assert len(config.matrix.services) == 7
    assert [priority.every for priority in config.backup.priorities] == ["realtime", "hourly", "daily"]
    assert len(config.plan.positions) == 47
    if name == "local":
        assert config.metrics is not None and isinstance(config.metrics.source, Scrape)


def test_what_is_deployed_keeps_its_archive_in_the_bucket_of_its_stack(tmp_path: Path) -> None:
    """Prevents: backups in the cloud succeed, and are gone with the disk of the container that made them."""
    deployed = GOOD + "  causeway:cloud: {region: r}\n"
    assert load(tmp_path, deployed).backup.archive == "gs://demo-causeway-test/archive"
    assert load(tmp_path, deployed).bucket == "demo-causeway-test"
    assert load(tmp_path, GOOD).backup.archive == "out/backup"
    rows = "".join(f"{name}: {{every: daily, collections: [{name}]}}, " for name in ("critical", "high", "medium"))
    elsewhere = deployed + f"  causeway:backup: {{{rows}archive: 'gs://other/place'}}\n"
    assert load(tmp_path, elsewhere).backup.archive == "gs://other/place"


def test_pulumi_s_values_and_the_file_say_the_same() -> None:
    import yaml

    path = STACKS / "Pulumi.local.yaml"
    values = yaml.safe_load(path.read_text())["config"]
    assert from_values(values, "local", folder=STACKS, today=TODAY) == from_file(path, today=TODAY)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("code: {Rediss: abc}", "causeway:code names Rediss,.*Did you mean Redis"),
        ("readiness: {Zed: [make test]}", "causeway:readiness names Zed"),
        ("hooks: {state: {Redis: {cache_entries: r}}}", "causeway:hooks.state names Redis"),
    ],
)
def test_a_name_that_is_no_service_is_not_passed_over(tmp_path: Path, line: str, said: str) -> None:
    """Prevents: a typo leaves evidence never stale, a readiness command never run, a state never kept; in silence.

    A way back does not wait for it.
    """
    path = tmp_path / "Pulumi.test.yaml"
    path.write_text(GOOD.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:{line}\n"))
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        from_file(path, today=TODAY)
    assert from_file(path, today=TODAY, anywhere=True).position == "low/A/50"


def test_the_names_that_code_and_readiness_may_have(tmp_path: Path) -> None:
    lines = '  causeway:code: {A: v2, Redis: v7}\n  causeway:readiness: {"*": ["true"], B: ["true"]}\n'
    assert load(tmp_path, GOOD + lines).readiness == {"*": ("true",), "B": ("true",)}


def test_two_probes_of_one_name_are_refused(tmp_path: Path) -> None:
    """Prevents: a probe that passes clears the failures in a row of another, for they are counted by name."""
    health = '{kind: http, service: A, name: health, url: "http://h"}'
    every = health.replace("service: A", 'service: "*"')
    for probes in (f"[{health}, {health}]", f"[{every}, {health.replace('name: health', 'name: health of A')}]"):
        with pytest.raises(ConfigError, match=r"causeway:probes has two named health.* for A"):
            load(tmp_path, GOOD.replace("causeway:seed: s\n", f"causeway:seed: s\n  causeway:probes: {probes}\n"))
    other = health.replace("A", "B")
    assert load(tmp_path, GOOD + f"  causeway:probes: [{health}, {other}]\n").probes


# --- what people write, and what Pulumi makes of it ---------------------------------------------------------------


def test_the_public_shape_is_accepted_as_it_is() -> None:
    """Prevents: the config that the documentation shows is refused for what it leaves out."""
    config = from_file(Path(__file__).parents[1] / "data" / "config" / "shape.yaml", today=TODAY)
    assert config.metrics is not None
    assert config.metrics.names.requests == 'requests_total{service="$service",version="$version"}'
    assert (config.soak.interval, config.freshness.renew) == (30.0, 3.0)
    assert [priority.every for priority in config.backup.priorities] == ["realtime", "hourly", "daily"]


def test_what_a_block_leaves_out_is_as_documented(tmp_path: Path) -> None:
    rails = "  causeway:guardrails:\n    error_rate: {warn: 0.01, roll_back: 0.03}\n"
    text = GOOD[: GOOD.index("  causeway:guardrails:")] + rails
    text += "  causeway:soak: {interval: 5s}\n  causeway:freshness: {renew: 1s}\n"
    text += "  causeway:backup: {high: {every: hourly, collections: [a]}}\n"
    config = load(tmp_path, text)
    assert [str(rail.name) for rail in config.guardrails] == ["error_rate"], "what is left out is not watched"
    assert (config.soak.interval, config.soak.checks, config.soak.requests) == (5.0, 10, 500)
    assert (config.freshness.renew, config.freshness.max_age) == (1.0, 15.0)
    assert [priority.name for priority in config.backup.priorities] == ["high"]


def test_dates_are_what_was_written_whatever_pulumi_makes_of_them(tmp_path: Path) -> None:
    """Prevents: one `pulumi config set` rewrites every unquoted date of the file, and no command reads it any more."""
    plain = GOOD.replace("expires: 2026-02-01", "expires: 2026-02-01, date: 2025-08-20")
    plain += "  causeway:freeze: [{from: 2026-12-24T00:00:00Z, to: 2026-12-26T12:00:00+01:00, why: Christmas}]\n"
    printed = plain.replace("2026-02-01", "2026-02-01 00:00:00 +0000 UTC")
    printed = printed.replace("2025-08-20", "2025-08-20 00:00:00 +0000 UTC")
    printed = printed.replace("2026-12-24T00:00:00Z", "2026-12-24 00:00:00 +0000 UTC")
    printed = printed.replace("2026-12-26T12:00:00+01:00", "2026-12-26 12:00:00 +0100 +0100")
    assert load(tmp_path, printed) == load(tmp_path, plain)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "causeway:seed: s\n",
            "causeway:seed: s\n  causeway:holds: []\n",
            "yaml:5: there is no key causeway:holds.*causeway:hold",
        ),
        ("A: {strategy: direct}", "A: {strategy: direct, lader: [100]}", "A: there is no key lader.*mean ladder"),
        ("{verified: tests, expires: 2026-02-01, about: {A: v2}}", "yes", 'Expected: {verified: "why"}'),
        ("dependencies: [Redis]", "dependencies: [Redis, A]", "A is both a service and a dependency"),
        (
            "    interactions:\n",
            "    interactions:\n      - {consumer: A, provider: B}\n",
            "A -> B .call. stands twice",
        ),
        ("causeway:seed: s\n", "causeway:seed: s\n  causeway:soak: {interval: 0s}\n", "'0s' does not match"),
        (
            "causeway:seed: s\n",
            "causeway:seed: s\n  causeway:freshness: {renew: 9s, max_age: 9s}\n",
            "renews every 9 s",
        ),
        ("causeway:seed: s\n", "causeway:seed: s\n  ? [x]\n  : y\n", "a key is not a word"),
    ],
)
def test_mistakes_that_used_to_pass_or_to_puzzle(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        load(tmp_path, GOOD.replace(old, new, 1))


def test_a_rung_is_a_whole_number_however_it_is_written(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace("ladder: [50, 100]", "ladder: [50.0, 100]", 1))
    assert "low/A/50" in config.plan


_CALL_AND_STATE = """\
    interactions:
      - {consumer: A, provider: B}
      - {consumer: A, provider: B, kind: state}
"""


def _of_two_kinds(tmp_path: Path, key: str) -> dict[Kind, bool]:
    """Whether package -> legacy is verified by what `key` says, of the call and of the state that join A and B."""
    head, _, tail = GOOD.partition("    interactions:\n")
    text = head + _CALL_AND_STATE + tail[tail.index("  causeway:guardrails") :]
    config = load(tmp_path, text.replace("causeway:seed: s\n", f"causeway:seed: s\n  {key}\n"))
    return {each.kind: each.verified(P_L) for each in config.matrix.interactions}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, {Kind.CALL: True, Kind.STATE: False}),
        ("call", {Kind.CALL: True, Kind.STATE: False}),
        ("state", {Kind.CALL: False, Kind.STATE: True}),
    ],
)
def test_evidence_of_a_call_says_nothing_about_state(
    tmp_path: Path, kind: str | None, expected: dict[Kind, bool]
) -> None:
    """Prevents: a proof about calls, or an acceptance of one, certifies the state that joins the same two services."""
    pair = {"consumer": "A", "provider": "B", "pair": "package->legacy"} | ({"kind": kind} if kind else {})
    (tmp_path / "e.json").write_text(json.dumps({"evidence": [pair | {"verified": "interface check"}]}))
    accept = json.dumps([pair | {"reason": "no time", "expires": "2026-01-31"}])
    assert _of_two_kinds(tmp_path, "causeway:evidence: [e.json]") == expected
    assert _of_two_kinds(tmp_path, f"causeway:accept: {accept}") == expected


def test_what_is_said_of_a_call_alone_leaves_lone_state_unknown(tmp_path: Path) -> None:
    """Prevents: `kind: call` is taken for whatever there is; without a kind the only interaction is meant."""
    text = GOOD.replace("provider: B\n", "provider: B\n        kind: state\n").replace("{verified: tests, ", "{stale: ")
    text = text.replace("          package->legacy: {stale: expires: 2026-02-01, about: {A: v2}}\n", "          {}\n")
    row = {"consumer": "A", "provider": "B", "pair": "package->legacy", "verified": "t"}
    for kind, verified in (({}, True), ({"kind": "call"}, False)):
        (tmp_path / "e.json").write_text(json.dumps({"evidence": [row | kind]}))
        with_file = text.replace("causeway:seed: s\n", "causeway:seed: s\n  causeway:evidence: [e.json]\n")
        assert load(tmp_path, with_file).matrix.interactions[0].verified(P_L) is verified


@pytest.mark.parametrize(
    ("files", "own", "wins"),
    [
        (['"incompatible": "failed"', '"verified": "interfaces match"'], "", "failed"),
        (['"incompatible": "failed"'], "{verified: an old entry}", "failed"),
        (['"verified": "fresh"'], "{verified: old, expires: 2020-01-01}", "fresh"),
        (['"verified": "first"', '"verified": "second"'], "", "second"),
        (
            ['"incompatible": "v1 broke", "about": {"A": "v1"}', '"verified": "v2 works", "about": {"A": "v2"}'],
            "",
            "v2 works",
        ),
    ],
)
def test_what_is_known_to_break_counts_and_then_what_is_known_now(
    tmp_path: Path, files: list[str], own: str, wins: str
) -> None:
    """Prevents: an interface check that comes later, or an old line of config, hides a contract test that failed."""
    for number, said in enumerate(files):
        row = f'{{"consumer": "A", "provider": "B", "pair": "package->legacy", {said}}}'
        (tmp_path / f"{number}.json").write_text(f'{{"evidence": [{row}]}}')
    text = GOOD.replace(
        "{verified: tests, expires: 2026-02-01, about: {A: v2}}", own or "{verified: x, expires: 2001-01-01}"
    )
    text += f"  causeway:evidence: [{', '.join(f'{n}.json' for n in range(len(files)))}]\n  causeway:code: {{A: v2}}\n"
    assert load(tmp_path, text).matrix.interactions[0].evidence[P_L].source == wins


@pytest.mark.parametrize(
    "said",
    [
        '"verified": false',
        '"verified": ""',
        '"verified": "a", "incompatible": "b"',
        '"verified": "a", "expired": "2020-01-01"',
    ],
)
def test_a_row_of_a_file_says_one_thing(tmp_path: Path, said: str) -> None:
    """Prevents: `"verified": false` counts as verified."""
    (tmp_path / "e.json").write_text(
        f'{{"evidence": [{{"consumer": "A", "provider": "B", "pair": "package->legacy", {said}}}]}}'
    )
    with pytest.raises(ConfigError, match="is no evidence file"):
        load(tmp_path, GOOD + "  causeway:evidence: [e.json]\n")
