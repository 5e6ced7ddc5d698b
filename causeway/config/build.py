"""From validated values to records, and what a schema cannot see: names that must exist, ladders that must rise."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from causeway.config import records as r
from causeway.errors import ConfigError
from causeway.model import observation as o
from causeway.model.guardrails import Guardrail, Guardrails, Measure
from causeway.model.hold import Hold
from causeway.model.matrix import (
    Evidence,
    Interaction,
    Kind,
    Matrix,
    Pair,
    Phase,
    Routing,
    Scope,
    Service,
    Status,
    Traffic,
    Version,
)
from causeway.model.plan import DEPRECATION, INFRASTRUCTURE, Plan
from causeway.model.plan import build as build_plan

Values = Mapping[str, Any]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def build(values: Values, stack: str, path: Path, today: datetime.date, *, anywhere: bool = False) -> r.Config:
    """The config of one stack. Raises ConfigError where the values contradict each other.

    Which keys must be there is asked for before, by `load`.
    """
    key = _Keys(values, path)
    accepted = tuple(_accepted_pair(entry) for entry in key("accept", []) if "pair" in entry)
    matrix = _matrix(key, _evidence_files(key), accepted, today)
    plan = build_plan(matrix)
    hold = _hold(key, matrix)
    position, target = key("position", INFRASTRUCTURE), key("target", None)
    accepted_positions = _accepted_positions(key("accept", []))
    if not anywhere:
        _places_exist(plan, path, position, target, accepted_positions)
        _caps_are_rungs(hold, matrix, path)
    return r.Config(
        stack=stack,
        project=values.get("gcp:project"),
        position=position,
        target=target,
        hold=hold,
        matrix=matrix,
        seed=key("seed", stack),
        guardrails=_guardrails(key),
        freshness=_freshness(key("freshness", {}), path),
        soak=_soak(key("soak", {})),
        soak_timeout=seconds(key("soak", {}).get("timeout", "1h")),
        metrics=_metrics(key("metrics", None), path),
        baseline=_baseline(key("baseline", {})),
        probes=tuple(_probe(row, key, matrix) for probe in key("probes", []) for row in _expanded(probe, matrix)),
        resources=tuple(o.Resource(**row) for row in key("resources", [])),
        readiness={name: tuple(commands) for name, commands in key("readiness", {}).items()},
        hooks=_hooks(key("hooks", {})),
        splits={name: _split(split) for name, split in key("traffic", {}).items() if split != "flag"},
        testers=tuple(key("testers", [])),
        freeze=tuple(_freeze(window, path) for window in key("freeze", [])),
        accepted_pairs=accepted,
        accepted_positions=accepted_positions,
        go_back_anyway=key("go_back_anyway", False),
        notify={severity: tuple(channels) for severity, channels in key("notify", {}).items()},
        backup=_backup(key("backup", {}), _own_archive(values, stack)),
        cloud=_cloud(key("cloud", {})),
        plan=plan,
    )


def seconds(duration: str) -> float:
    """`3s`, `500ms`, `7d` in seconds."""
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]+)", duration).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


class _Keys:
    """Values of the namespace `causeway:`, with the file for messages."""

    def __init__(self, values: Values, path: Path) -> None:
        self._values = values
        self.path = path

    def __call__(self, name: str, *default: Any) -> Any:
        found = self._values.get(f"causeway:{name}")
        return found if found is not None or not default else default[0]

    def unknown(self, name: str, where: str, known: Iterable[str]) -> ConfigError:
        near = get_close_matches(name, list(known), n=1)
        return ConfigError(
            f"{self.path}: {where} names {name}, which is neither a service nor a dependency of causeway:matrix",
            "the plan would leave it out",
            f"Did you mean {near[0]}?" if near else "Add it there, or remove the name here.",
        )


# --- the matrix ---------------------------------------------------------------------------------------------------


def _matrix(
    key: _Keys,
    files: list[tuple[str, str, Kind | None, Pair, Evidence]],
    accepted: tuple[r.AcceptedPair, ...],
    today: datetime.date,
) -> Matrix:
    raw = key("matrix")
    traffic = key("traffic", {})
    services = {name: _service(name, row, key, traffic) for name, row in raw["services"].items()}
    dependencies = tuple(raw.get("dependencies", ()))
    known = {*services, *dependencies}
    _only_once(raw, services, dependencies, key.path)
    for name in (*traffic, *(entry["service"] for entry in key("acknowledge", []))):
        if name not in services:
            raise key.unknown(name, "causeway:traffic or causeway:acknowledge", services)
    kinds = _kinds(raw.get("interactions", ()))
    extra: dict[_Joint, dict[Pair, Evidence]] = {}
    for consumer, provider, kind, pair, evidence in files:
        extra.setdefault(_joint(consumer, provider, kind, kinds), {})[pair] = evidence
    exceptions: dict[_Joint, list[r.AcceptedPair]] = {}
    for each in accepted:
        exceptions.setdefault(_joint(each.consumer, each.provider, each.kind, kinds), []).append(each)
    interactions = []
    for row in raw.get("interactions", ()):
        for end in (row["consumer"], row["provider"]):
            if end not in known:
                raise key.unknown(end, f"interaction {row['consumer']} -> {row['provider']}", known)
        interactions.append(_interaction(row, extra, key("code", {}), exceptions, today))
    _check_accepted(exceptions, interactions, key)
    return Matrix(
        services=services,
        phases=_phases(key, services),
        dependencies=dependencies,
        interactions=tuple(interactions),
        acknowledged=frozenset(entry["service"] for entry in key("acknowledge", [])),
        side_by_side=key("side_by_side", False),
    )


def _only_once(raw: Values, services: Iterable[str], dependencies: Iterable[str], path: Path) -> None:
    """Nothing is said twice: two answers to one question would both count, or one of them would not."""
    both = sorted({*services} & {*dependencies})
    rows = Counter((row["consumer"], row["provider"], row.get("kind", "call")) for row in raw.get("interactions", ()))
    twice = next((row for row, count in rows.items() if count > 1), None)
    if both:
        raise ConfigError(
            f"{path}: {both[0]} is both a service and a dependency of causeway:matrix",
            "it would migrate, and be taken for legacy all the same",
            "Remove it from one of them.",
        )
    if twice:
        raise ConfigError(
            f"{path}: the interaction {twice[0]} -> {twice[1]} ({twice[2]}) stands twice in causeway:matrix",
            "evidence of one would not be seen beside the other",
            "Write its evidence in one place.",
        )


def _service(name: str, row: Values, key: _Keys, traffic: Values) -> Service:
    ladder = tuple(int(rung) for rung in row.get("ladder") or key("ladder", (10, 25, 50, 75, 100)))
    if list(ladder) != sorted(set(ladder)) or ladder[-1] != 100:
        raise ConfigError(
            f"{key.path}: the ladder of {name} is {list(ladder)}",
            "traffic would jump back, or never arrive",
            "A ladder rises and ends at 100.",
        )
    split = traffic.get(name, "flag")
    return Service(
        name=name,
        strategy=row["strategy"],
        ladder=ladder,
        cohort=row.get("cohort", "user"),
        traffic=Traffic(split if isinstance(split, str) else split["kind"]),
        lines=row.get("lines"),
    )


def _phases(key: _Keys, services: Mapping[str, Service]) -> tuple[Phase, ...]:
    phases = tuple(
        Phase(row["name"], tuple(row["services"]), row.get("risk"), row.get("week")) for row in key("phases")
    )
    reserved = {phase.name for phase in phases} & {INFRASTRUCTURE, DEPRECATION}
    twice = [name for name, count in Counter(phase.name for phase in phases).items() if count > 1]
    if reserved or twice:
        raise ConfigError(
            f"{key.path}: causeway:phases has {', '.join(sorted(reserved or twice))} "
            + ("though it is implied" if reserved else "twice"),
            "positions would not have one meaning",
            "Rename or remove it.",
        )
    placed = Counter(name for phase in phases for name in phase.services)
    for name in placed:
        if name not in services:
            raise key.unknown(name, "causeway:phases", services)
    wrong = [name for name in services if placed[name] != 1]
    if wrong:
        raise ConfigError(
            f"{key.path}: {wrong[0]} stands in {placed[wrong[0]]} phases of causeway:phases",
            "it would never move" if placed[wrong[0]] == 0 else "it would move twice",
            "Every service of causeway:matrix stands in exactly one phase.",
        )
    return phases


#: One interaction: consumer, provider and kind.
_Joint = tuple[str, str, Kind]


def _kinds(rows: Iterable[Values]) -> Mapping[tuple[str, str], set[Kind]]:
    """What joins two services."""
    found: dict[tuple[str, str], set[Kind]] = {}
    for row in rows:
        found.setdefault((row["consumer"], row["provider"]), set()).add(Kind(row.get("kind", "call")))
    return found


def _joint(consumer: str, provider: str, kind: Kind | None, kinds: Mapping[tuple[str, str], set[Kind]]) -> _Joint:
    """Which interaction is meant. Where a call and state join two services and no kind is said, the call.

    What shows that calls are understood says nothing about what the two read of each other's state.
    """
    only_state = kinds.get((consumer, provider)) == {Kind.STATE}
    return consumer, provider, kind or (Kind.STATE if only_state else Kind.CALL)


def _interaction(
    row: Values,
    extra: Mapping[_Joint, Mapping[Pair, Evidence]],
    code: Mapping[str, str],
    accepted: Mapping[_Joint, Iterable[r.AcceptedPair]],
    today: datetime.date,
) -> Interaction:
    joint = consumer, provider, kind = row["consumer"], row["provider"], Kind(row.get("kind", "call"))
    evidence = dict(extra.get(joint, {}))
    evidence |= {Pair.parse(pair): _evidence(entry) for pair, entry in row.get("evidence", {}).items()}
    evidence = {pair: replace(entry, stale=_stale(entry, code, today)) for pair, entry in evidence.items()}
    for exception in accepted.get(joint, ()):
        present = evidence.get(exception.pair)
        if present is None or (present.status is Status.VERIFIED and present.stale):
            evidence[exception.pair] = _accepted(exception, today)
    return Interaction(
        consumer=consumer,
        provider=provider,
        kind=kind,
        routing=Routing(row.get("routing", "request")),
        scope=Scope(row.get("scope", "shared")),
        evidence=evidence,
    )


def _accepted(exception: r.AcceptedPair, today: datetime.date) -> Evidence:
    """An acceptance that has run out is stale evidence, not none: the order of the plan must not change at midnight."""
    why = f"accepted unknown: {exception.reason} (until {exception.expires})"
    stale = f"acceptance expired on {exception.expires}" if exception.expires < today else None
    return Evidence(Status.VERIFIED, why, expires=exception.expires, stale=stale, accepted=True)


def _evidence(entry: Values) -> Evidence:
    status = Status.VERIFIED if "verified" in entry else Status.INCOMPATIBLE
    return Evidence(
        status,
        entry[status.value],
        date=_date(entry.get("date")),
        expires=_date(entry.get("expires")),
        about=dict(entry.get("about", {})),
    )


def _stale(evidence: Evidence, code: Mapping[str, str], today: datetime.date) -> str | None:
    if evidence.expires is not None and evidence.expires < today:
        return f"expired on {evidence.expires}"
    for service, version in evidence.about.items():
        if service in code and code[service] != version:
            return f"about {service} {version}; {code[service]} would run"
    return None


def _evidence_files(key: _Keys) -> list[tuple[str, str, Kind | None, Pair, Evidence]]:
    """Evidence that `causeway evidence` has written: later files win, config's own entries win over all."""
    found = []
    for name in key("evidence", []):
        path = key.path.parent / name
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["evidence"]
            found += [
                (row["consumer"], row["provider"], _kind(row), Pair.parse(row["pair"]), _evidence(row)) for row in rows
            ]
        except OSError as error:
            raise ConfigError(
                f"{key.path}: evidence file {path} cannot be read: {error.strerror}",
                "its pairs would be unknown",
                "Run `causeway evidence` again, or remove the entry.",
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} is no evidence file: {error!r}", "its pairs would be unknown", "Run `causeway evidence` again."
            ) from None
    return found


def _kind(row: Values) -> Kind | None:
    return Kind(row["kind"]) if "kind" in row else None


def _check_accepted(accepted: Iterable[_Joint], interactions: list[Interaction], key: _Keys) -> None:
    known = {(interaction.consumer, interaction.provider, interaction.kind) for interaction in interactions}
    for consumer, provider, kind in accepted:
        if (consumer, provider, kind) not in known:
            raise ConfigError(
                f"{key.path}: causeway:accept names {consumer} -> {provider} ({kind}), "
                "which is no interaction of causeway:matrix",
                "nothing would be accepted by it",
                "Correct the names, or remove the entry.",
            )


def _hold(key: _Keys, matrix: Matrix) -> Hold:
    try:
        hold = Hold.parse(key("hold", []))
    except ValueError as error:
        raise ConfigError(f"{key.path}: causeway:hold has {error}", "no breaker is moved") from None
    for name in hold.caps:
        if name not in matrix.services:
            raise key.unknown(name, "causeway:hold", matrix.services)
    return hold


# --- where it stands ----------------------------------------------------------------------------------------------


def _places_exist(
    plan: Plan, path: Path, position: str, target: str | None, accepted: tuple[r.AcceptedPosition, ...]
) -> None:
    """Every place that config names is one of the plan's. Raises ConfigError with the key that names another."""
    phases = {place.phase for place in plan}
    named = [("causeway:position", position), *(("causeway:accept", entry.position) for entry in accepted)]
    if target is not None and target not in phases:
        named.append(("causeway:target", target))
    for where, name in named:
        try:
            _ = plan[name]
        except ConfigError as error:
            raise ConfigError(f"{path}: {where}: {error.fact}", error.consequence, error.remedy) from None


def _caps_are_rungs(hold: Hold, matrix: Matrix, path: Path) -> None:
    """A breaker is closed again rung by rung: traffic between two rungs is none that the plan knows."""
    for name, cap in hold.caps.items():
        rungs = matrix.services[name].ladder
        if cap and cap not in rungs:
            raise ConfigError(
                f"{path}: causeway:hold: {name}@{cap} is no rung of the ladder of {name}",
                "its users would stand where nothing is soaked and judged",
                f"Write {' or '.join([name, *(f'{name}@{rung}' for rung in rungs[:-1])])}.",
            )


# --- how it is watched --------------------------------------------------------------------------------------------


def _guardrails(key: _Keys) -> Guardrails:
    given = key("guardrails", None)
    if given is None:
        return Guardrails()
    try:
        named = {name: Guardrail(Measure(name), **row) for name, row in given.items()}
        return Guardrails(
            **{**dict.fromkeys(Guardrails.__dataclass_fields__), **named}
        )  # what is left out is not watched
    except ValueError as error:
        raise ConfigError(
            f"{key.path}: causeway:guardrails: {error}", "the gates would not mean what they say"
        ) from None


def _freshness(row: Values, path: Path) -> r.Freshness:
    found = r.Freshness(seconds(row.get("renew", "3s")), seconds(row.get("max_age", "15s")))
    if found.renew >= found.max_age:
        raise ConfigError(
            f"{path}: causeway:freshness renews every {found.renew:g} s what is stale after {found.max_age:g} s",
            "every reader would fall back to legacy between two heartbeats",
            "Let max_age be several times renew.",
        )
    return found


def _soak(row: Values) -> o.Soak:
    return o.Soak(seconds(row.get("interval", "30s")), row.get("checks", 10), row.get("requests", 500))


def _baseline(row: Values) -> o.BaselineRules:
    return o.BaselineRules(
        row.get("requests", 1000), seconds(row.get("window", "1h")), seconds(row.get("max_age", "7d"))
    )


def _metrics(row: Values | None, path: Path) -> o.Metrics | None:
    if row is None:
        return None
    needed = "targets" if row["source"] == "scrape" else "url"
    if needed not in row:
        raise ConfigError(
            f"{path}: causeway:metrics has source {row['source']} but no {needed}", "nothing would be measured"
        )
    source = o.Scrape(tuple(row["targets"])) if needed == "targets" else o.Promql(row["url"], row.get("google", False))
    names = {name: row[name] for name in o.MetricNames.__dataclass_fields__ if name in row}
    times = {name: seconds(row[name]) for name in ("every", "timeout", "max_age") if name in row}
    return o.Metrics(source=source, names=o.MetricNames(**names), **times)


def _expanded(row: Values, matrix: Matrix) -> Iterator[Values]:
    """A probe of `*` stands for one of every service, named after it."""
    if row["service"] != "*":
        yield row
        return
    for service in matrix.services:
        yield {**row, "service": service, "name": f"{row['name']} of {service}"}


def _probe(row: Values, key: _Keys, matrix: Matrix) -> o.ProbeSpec:
    if row["service"] not in matrix.services:
        raise key.unknown(row["service"], f"probe {row['name']}", matrix.services)
    fields = {name: value for name, value in row.items() if name != "kind"}
    for name in ("every", "timeout", "settle"):
        if name in fields:
            fields[name] = seconds(fields[name])
    if "ignore" in fields:
        fields["ignore"] = tuple(fields["ignore"])
    if row["kind"] in ("http", "compare"):
        request = {name: fields.pop(name) for name in ("url", "method", "headers", "body") if name in fields}
        fields["request"] = o.Request(**request)
        fields["users"] = {Version(name): user for name, user in fields.get("users", {}).items()}
    match row["kind"]:
        case "http":
            fields["expected"] = o.Expected(**fields.pop("expect", {}))
            fields["versions"] = tuple(Version(name) for name in fields.get("versions", ("package",)))
            return o.HttpProbe(**fields)
        case "compare":
            return o.CompareProbe(**fields)
        case "collection":
            return o.CollectionProbe(**fields)
        case "parity":
            return o.ParityProbe(**fields)
        case _:
            return o.ReferenceProbe(**fields)


def _hooks(row: Values) -> r.Hooks:
    return r.Hooks(
        url=row.get("url"),
        timeout=seconds(row.get("timeout", "30s")),
        legacy_health=row.get("legacy_health"),
        state=row.get("state", {}),
    )


# --- the rest -----------------------------------------------------------------------------------------------------


def _split(row: Values) -> r.UrlMapSplit | r.CloudRunSplit:
    fields = {name: value for name, value in row.items() if name != "kind"}
    return r.UrlMapSplit(**fields) if row["kind"] == Traffic.URL_MAP else r.CloudRunSplit(**fields)


def _freeze(row: Values, path: Path) -> r.Freeze:
    try:
        start, end = (datetime.datetime.fromisoformat(row[edge]) for edge in ("from", "to"))
        window = start < end and start.tzinfo is not None  # comparing refuses to mix with and without a zone
    except (ValueError, TypeError):
        window = False
    if not window:
        raise ConfigError(
            f"{path}: causeway:freeze from {row['from']} to {row['to']} is no window",
            "nobody could tell when it holds",
            "Write both with a time zone (2026-12-24T00:00:00Z), the later one last.",
        )
    return r.Freeze(start, end, row["why"])


def _accepted_pair(row: Values) -> r.AcceptedPair:
    return r.AcceptedPair(
        row["consumer"],
        row["provider"],
        Pair.parse(row["pair"]),
        row["reason"],
        datetime.date.fromisoformat(row["expires"]),
        _kind(row),
    )


def _accepted_positions(rows: list[Values]) -> tuple[r.AcceptedPosition, ...]:
    return tuple(
        r.AcceptedPosition(row["position"], row["reason"], datetime.date.fromisoformat(row["expires"]))
        for row in rows
        if "position" in row
    )


def _own_archive(values: Values, stack: str) -> str:
    """Where archives lie unless config says: what runs in the cloud keeps nothing on its own disk."""
    deployed = "causeway:cloud" in values and values.get("gcp:project")
    return f"gs://{r.bucket_of(values['gcp:project'], stack)}/archive" if deployed else "out/backup"


def _backup(row: Values, archive: str) -> r.Backup:
    priorities = tuple(
        r.Priority(name, row[name]["every"], tuple(row[name]["collections"]), r.Keep(**row[name].get("keep", {})))
        for name in ("critical", "high", "medium")
        if name in row
    )
    return r.Backup(priorities, row.get("archive", archive), row.get("database", "(default)"))


def _cloud(row: Values) -> r.Cloud:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return r.Cloud(**fields)


def _date(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
