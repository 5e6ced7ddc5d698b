"""The matrix from config: services, phases, interactions, and evidence from config and files."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from causeway.config import records as r
from causeway.config.values import Keys, Values
from causeway.errors import ConfigError
from causeway.model.matrix import (
    MIXED,
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
)
from causeway.model.plan import DEPRECATION, INFRASTRUCTURE


def matrix(
    key: Keys,
    files: list[tuple[str, str, Kind | None, Pair, Evidence]],
    accepted: tuple[r.AcceptedPair, ...],
    today: datetime.date,
) -> Matrix:
    """What migrates, in which phases, and what is known of each mixture. Raises ConfigError on a name that is none."""
    raw = key("matrix", {"services": {}})
    traffic = key("traffic", {})
    services = {name: _service(name, row, key, traffic) for name, row in raw["services"].items()}
    dependencies = tuple(raw.get("dependencies", ()))
    known = {*services, *dependencies}
    _only_once(raw, services, dependencies, key.path)
    for name in (*traffic, *(entry["service"] for entry in key("acknowledge", []))):
        if name not in services:
            raise key.unknown(name, "causeway:traffic or causeway:acknowledge", services)
    kinds = _kinds(raw.get("interactions", ()))
    extra: dict[_Joint, list[tuple[Pair, Evidence]]] = {}
    for consumer, provider, kind, pair, evidence in files:
        extra.setdefault(_joint(consumer, provider, kind, kinds), []).append((pair, evidence))
    exceptions: dict[_Joint, list[r.AcceptedPair]] = {}
    for each in accepted:
        exceptions.setdefault(_joint(each.consumer, each.provider, each.kind, kinds), []).append(each)
    interactions, code = [], key("code", {})
    for row in raw.get("interactions", ()):
        for end in (row["consumer"], row["provider"]):
            if end not in known:
                raise key.unknown(end, f"interaction {row['consumer']} -> {row['provider']}", known)
        interactions.append(_interaction(row, extra, code, exceptions, today))
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


def _service(name: str, row: Values, key: Keys, traffic: Values) -> Service:
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


def _phases(key: Keys, services: Mapping[str, Service]) -> tuple[Phase, ...]:
    phases = tuple(
        Phase(row["name"], tuple(row["services"]), row.get("risk"), row.get("week")) for row in key("phases", [])
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


_PAIRS = {str(pair): pair for pair in MIXED}
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
    extra: Mapping[_Joint, Iterable[tuple[Pair, Evidence]]],
    code: Mapping[str, str],
    accepted: Mapping[_Joint, Iterable[r.AcceptedPair]],
    today: datetime.date,
) -> Interaction:
    joint = consumer, provider, kind = row["consumer"], row["provider"], Kind(row.get("kind", "call"))
    own = ((_PAIRS[pair], _evidence(entry)) for pair, entry in row.get("evidence", {}).items())
    evidence: dict[Pair, Evidence] = {}
    for pair, entry in (*extra.get(joint, ()), *own):
        stale = _stale(entry, code, today)
        judged = replace(entry, stale=stale) if stale else entry
        before = evidence.get(pair)
        evidence[pair] = before if before is not None and _weight(before) > _weight(judged) else judged
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


def _weight(evidence: Evidence) -> int:
    """What counts where several speak of one pair: that it is known to break, then what is known now, then what was."""
    if evidence.stale:
        return 0
    return 2 if evidence.status is Status.INCOMPATIBLE else 1


def _accepted(exception: r.AcceptedPair, today: datetime.date) -> Evidence:
    """An acceptance that has run out is stale evidence, not none: the order of the plan must not change at midnight."""
    why = f"accepted unknown: {exception.reason} (until {exception.expires})"
    stale = f"acceptance expired on {exception.expires}" if exception.expires < today else None
    return Evidence(Status.VERIFIED, why, expires=exception.expires, stale=stale, accepted=True)


def _evidence(entry: Values) -> Evidence:
    status = Status.VERIFIED if "verified" in entry else Status.INCOMPATIBLE
    said = status, entry[status.value], entry.get("date"), entry.get("expires")
    return replace(_alike(*said), about=dict(entry["about"])) if entry.get("about") else _alike(*said)


@lru_cache(maxsize=1024)
def _alike(status: Status, source: str, date: str | None, expires: str | None) -> Evidence:
    """One record for all that say the same: a large matrix says little in many places."""
    return Evidence(status, source, date=_date(date), expires=_date(expires))


def _stale(evidence: Evidence, code: Mapping[str, str], today: datetime.date) -> str | None:
    if evidence.expires is not None and evidence.expires < today:
        return f"expired on {evidence.expires}"
    for service, version in evidence.about.items():
        if service in code and code[service] != version:
            return f"about {service} {version}; {code[service]} would run"
    return None


def evidence_files(key: Keys) -> list[tuple[str, str, Kind | None, Pair, Evidence]]:
    """Evidence that `causeway evidence` has written, file by file."""
    found = []
    for name in key("evidence", []):
        path = key.path.parent / name
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["evidence"]
            for row in rows:
                _says_one_thing(row)
                found.append((row["consumer"], row["provider"], _kind(row), Pair.parse(row["pair"]), _evidence(row)))
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


_ROW = frozenset({"consumer", "provider", "kind", "pair", "verified", "incompatible", "date", "expires", "about"})


def _says_one_thing(row: Values) -> None:
    """A row of a file is held to what the schema asks of config: a machine may have written it, or a person."""
    said = [row[status.value] for status in Status if status.value in row]
    if len(said) != 1 or not (isinstance(said[0], str) and said[0].strip()):
        raise ValueError(f"{dict(row)} must say why it is either verified or incompatible")
    if unknown := sorted(set(row) - _ROW):
        raise ValueError(f"{dict(row)} has no use for {', '.join(unknown)}")


def _kind(row: Values) -> Kind | None:
    return Kind(row["kind"]) if "kind" in row else None


def _check_accepted(accepted: Iterable[_Joint], interactions: list[Interaction], key: Keys) -> None:
    known = {(interaction.consumer, interaction.provider, interaction.kind) for interaction in interactions}
    for consumer, provider, kind in accepted:
        if (consumer, provider, kind) not in known:
            raise ConfigError(
                f"{key.path}: causeway:accept names {consumer} -> {provider} ({kind}), "
                "which is no interaction of causeway:matrix",
                "nothing would be accepted by it",
                "Correct the names, or remove the entry.",
            )


def accepted_pair(row: Values) -> r.AcceptedPair:
    """An unknown that an operator accepts by name."""
    return r.AcceptedPair(
        row["consumer"],
        row["provider"],
        Pair.parse(row["pair"]),
        row["reason"],
        datetime.date.fromisoformat(row["expires"]),
        _kind(row),
    )


def _date(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
