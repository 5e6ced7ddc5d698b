"""From validated values to records, and what a schema cannot see: names that must exist, ladders that must rise."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causeway.config import records as r
from causeway.config.matrix import accepted_pair, evidence_files
from causeway.config.matrix import matrix as build_matrix
from causeway.config.values import Keys, Values, seconds
from causeway.errors import ConfigError
from causeway.model import observation as o
from causeway.model.guardrails import Guardrail, Guardrails, Measure
from causeway.model.hold import Hold
from causeway.model.matrix import (
    Matrix,
    Traffic,
    Version,
)
from causeway.model.plan import INFRASTRUCTURE, Plan
from causeway.model.plan import build as build_plan


def build(values: Values, stack: str, path: Path, today: datetime.date, *, anywhere: bool = False) -> r.Config:
    """The config of one stack. Raises ConfigError where the values contradict each other.

    Which keys must be there is asked for before, by `load`.
    """
    key = Keys(values, path)
    accepted = tuple(accepted_pair(entry) for entry in key("accept", []) if "pair" in entry)
    matrix = build_matrix(key, evidence_files(key), accepted, today)
    plan = build_plan(matrix)
    hold = _hold(key, matrix)
    position, target = key("position", INFRASTRUCTURE), key("target", None)
    accepted_positions = _accepted_positions(key("accept", []))
    probes = tuple(_probe(row, key, matrix) for probe in key("probes", []) for row in _expanded(probe, matrix))
    if not anywhere:
        _places_exist(plan, path, position, target, accepted_positions)
        _caps_are_rungs(hold, matrix, path)
        _names_are_known(key, matrix)
        _probes_have_names(probes, path)
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
        probes=probes,
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


def _hold(key: Keys, matrix: Matrix) -> Hold:
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


def _names_are_known(key: Keys, matrix: Matrix) -> None:
    """A name that is none would be passed over in silence, and with it what was meant to be done for that service."""
    services = matrix.services
    for where, names, known in (
        ("causeway:code", key("code", {}), (*services, *matrix.dependencies)),
        ("causeway:readiness", key("readiness", {}), (*services, "*")),
        ("causeway:hooks.state", key("hooks", {}).get("state", {}), services),
    ):
        for name in names:
            if name not in known:
                raise key.unknown(name, where, known)


def _probes_have_names(probes: tuple[o.ProbeSpec, ...], path: Path) -> None:
    """Failures in a row are counted by service and name: of two alike, one would clear what the other has found."""
    seen: set[tuple[str, str]] = set()
    for probe in probes:
        if (probe.service, probe.name) in seen:
            raise ConfigError(
                f"{path}: causeway:probes has two named {probe.name} for {probe.service}",
                "what one finds would be cleared by the other",
                "Give one of them another name.",
            )
        seen.add((probe.service, probe.name))


# --- how it is watched --------------------------------------------------------------------------------------------


def _guardrails(key: Keys) -> Guardrails:
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


def _probe(row: Values, key: Keys, matrix: Matrix) -> o.ProbeSpec:
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
