"""The flag set of a stack: one flagd definition holding every service's weight, built, read and evaluated.

The definition is flagd's (https://flagd.dev/schema/v0/flags.json), restricted to one `fractional` per flag, so any
flagd evaluator of bucketing v2 (`(murmur3_32 · 100) >> 32`) decides as `evaluate` does: docs/reference/flags.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NamedTuple

import mmh3

from causeway.errors import ConfigError, IntegrityError
from causeway.model.matrix import Version
from causeway.model.stage import Stage

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
#: The cohort whose key is OpenFeature's targeting key; any other cohort is keyed by the attribute of its name.
USER = "user"
#: Firestore's limit for one document: 1 MiB (https://firebase.google.com/docs/firestore/quotas#limits).
DOCUMENT_LIMIT = 1_048_576
#: Kept free for the document's name and for what stands beside the definition (epochs, override reason).
RESERVED = 65_536

_BUCKETS = 100
_OWN_METADATA = frozenset({"stage", "cohort", "rollback"})
#: seed + key -> bucket, from the vectors that flagd's own tests use.
_VECTORS = {
    "shared-seedseven": 66,
    "fractional-flagjack": 62,
    "ejOoVL": 0,
    "SI7p-": 49,
    "6LvT0": 50,
    "ceQdGm": 99,
}


@dataclass(frozen=True)
class Flag:
    """One service's share of the traffic: `weight` percent of its cohort is on the package.

    `modes` are the scalars a strategy sets beside traffic (`{"writes": "both"}`); `rollback` says in words when
    traffic goes back. Raises ConfigError on a weight outside 0…100.
    """

    service: str
    weight: int
    stage: Stage
    cohort: str = USER
    modes: Mapping[str, str] = field(default_factory=dict)
    rollback: str = ""

    def __post_init__(self) -> None:
        if not self.service or "," in self.service:
            raise ConfigError(f"a flag is named {self.service!r}", remedy="Give the service a name without commas")
        if type(self.weight) is not int or not 0 <= self.weight <= _BUCKETS:
            raise ConfigError(f"the weight of {self.service} is {self.weight!r}", remedy="A weight is a whole 0…100")
        if clash := _OWN_METADATA & self.modes.keys():
            raise ConfigError(
                f"modes of {self.service} use {', '.join(sorted(clash))}",
                "they would overwrite the flag's own metadata",
                "Rename the mode",
            )


@dataclass(frozen=True)
class FlagSet:
    """All weights of a stack at one position: what one write to `flags/<stack>` changes.

    `flags` are kept in order of their names, so equal sets have equal definitions. `testers` are keys that go first.
    `hold` are the services whose breaker is open, `acknowledged` those whose point of no return config accepted.
    `renew_s` and `max_age_s` are the freshness rule, in seconds.
    """

    stack: str
    position: str
    seed: str
    flags: tuple[Flag, ...]
    testers: tuple[str, ...] = ()
    hold: tuple[str, ...] = ()
    acknowledged: tuple[str, ...] = ()
    renew_s: float = 3
    max_age_s: float = 15

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", tuple(sorted(self.flags, key=lambda flag: flag.service)))
        if len(self.by_service) != len(self.flags):
            names = [flag.service for flag in self.flags]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"the flag set of {self.stack} holds {', '.join(twice)} twice")
        if not self.seed:
            raise ConfigError(
                f"the flag set of {self.stack} has no seed",
                "users would be bucketed alike in every stack",
                "Set causeway:seed",
            )
        if not 0 < self.renew_s < self.max_age_s < math.inf:
            raise ConfigError(
                f"freshness renews every {self.renew_s} s and ends after {self.max_age_s} s",
                "readers would fall back to legacy between two heartbeats",
                "Make max_age several times renew",
            )

    @cached_property
    def by_service(self) -> Mapping[str, Flag]:
        """The flag of each service."""
        return {flag.service: flag for flag in self.flags}


class Size(NamedTuple):
    """Bytes a definition takes in its document, of how many, and how many such services would fit."""

    bytes: int
    limit: int
    services: int
    capacity: int


def build(flags: FlagSet, *, emergency: bool = False) -> str:
    """The flag set as a flagd definition: canonical JSON (sorted, compact), equal for equal sets.

    Raises ConfigError when it would not fit into one Firestore document. In an emergency what is kept free in it counts
    as room: traffic that must go back is not refused for the sake of a margin.
    """
    text = json.dumps(_document(flags), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found = size(text)
    if found.bytes > found.limit + emergency * RESERVED:
        raise ConfigError(
            f"the flag set of {flags.stack} takes {found.bytes:,} of {found.limit:,} bytes",
            "Firestore would refuse it, and one write must move all weights",
            f"{found.services} services, where about {found.capacity} such fit: shorten modes, or split the stack",
        )
    return text


def read(definition: str) -> FlagSet:
    """The flag set that `build` made this definition of: `read(build(s)) == s`.

    Raises ConfigError on anything `build` would not write, so that a reader never obeys half of a definition.
    """
    try:
        document = json.loads(definition)
        flags = _flag_set(document)
        whole = _document(flags) == document
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    if not whole:
        raise _unreadable("it is not what its own fields would build")
    return flags


def bucket(seed: str, key: str) -> int:
    """The bucket 0…99 of a key: `(murmur3_32(seed + key) · 100) >> 32`, flagd's bucketing v2.

    Raises UnicodeEncodeError on a key that is no text (a lone surrogate).
    """
    # Encoded here, not by mmh3: version 5.3 crashes the process on a lone surrogate.
    return int(mmh3.hash((seed + key).encode(), 0, signed=False)) * _BUCKETS >> 32


def evaluate(flags: FlagSet, service: str, key: object) -> Version:
    """The version of a service that a context key gets.

    A key is on the package iff its bucket lies below the weight; a tester's bucket is −1. A missing flag means
    legacy, and so does a key that is missing, empty or no string, and an evaluator that fails its self-test.
    A retired service has no legacy version left: every key gets the package.
    """
    flag = flags.by_service.get(service)
    if flag is None:
        return Version.LEGACY
    if flag.stage is Stage.RETIRED:
        return Version.PACKAGE
    if not isinstance(key, str) or not key or not flag.weight or not _sound():
        return Version.LEGACY
    if key in flags.testers:
        return Version.PACKAGE
    try:
        return Version.PACKAGE if bucket(flags.seed, key) < flag.weight else Version.LEGACY
    except UnicodeEncodeError:
        return Version.LEGACY


def self_test(hashed: Callable[[str, str], int] = bucket) -> None:
    """Holds the bucketing against known vectors. Raises IntegrityError when one fails.

    Three bucketings are in use among flagd libraries, and the same user lands differently in each.
    """
    for text, expected in _VECTORS.items():
        found = hashed("", text)
        if found != expected:
            raise IntegrityError(
                f"bucket of {text!r} is {found}, not {expected}",
                "users would land elsewhere than in every other process",
                "Install an mmh3 that hashes murmur3 x86 32; until then everybody gets legacy",
            )


def size(definition: str) -> Size:
    """What a definition takes of one Firestore document, and how many services of its average size would fit."""
    taken = len(definition.encode())
    flags = json.loads(definition)["flags"]
    limit = DOCUMENT_LIMIT - RESERVED
    return Size(taken, limit, len(flags), limit * len(flags) // taken)


@cache
def _sound() -> bool:
    try:
        self_test()
    except IntegrityError:
        return False
    return True


def _document(flags: FlagSet) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "flagSetId": flags.stack,
        "position": flags.position,
        "seed": flags.seed,
        "hold": ",".join(flags.hold),
        "renew_s": _number(flags.renew_s),
        "max_age_s": _number(flags.max_age_s),
    }
    if flags.testers:  # a flag at weight 0 does not show them, and flagd's metadata holds only scalars
        metadata["testers"] = json.dumps(flags.testers, ensure_ascii=False)
    if flags.acknowledged:
        metadata["acknowledged"] = ",".join(flags.acknowledged)
    return {
        "$schema": SCHEMA,
        "flags": {flag.service: _flag(flags, flag) for flag in flags.flags},
        "metadata": metadata,
    }


def _flag(flags: FlagSet, flag: Flag) -> dict[str, Any]:
    key = {"var": "targetingKey" if flag.cohort == USER else flag.cohort}
    targeting: dict[str, Any] = {
        "fractional": [
            {"cat": [flags.seed, key]},
            [Version.PACKAGE.value, flag.weight],
            [Version.LEGACY.value, _BUCKETS - flag.weight],
        ]
    }
    if flags.testers and flag.weight:
        targeting = {"if": [{"in": [key, list(flags.testers)]}, Version.PACKAGE.value, targeting]}
    return {
        "state": "ENABLED",
        "variants": {version.value: version.value for version in (Version.PACKAGE, Version.LEGACY)},
        "defaultVariant": Version.LEGACY.value,
        "targeting": targeting,
        "metadata": {"stage": flag.stage.value, "cohort": flag.cohort, **flag.modes, "rollback": flag.rollback},
    }


def _flag_set(document: Any) -> FlagSet:
    metadata = document["metadata"]
    return FlagSet(
        stack=_text(metadata["flagSetId"]),
        position=_text(metadata["position"]),
        seed=_text(metadata["seed"]),
        flags=tuple(_read_flag(name, flag) for name, flag in document["flags"].items()),
        testers=tuple(_text(key) for key in json.loads(metadata.get("testers", "[]"))),
        hold=_named(metadata["hold"]),
        acknowledged=_named(metadata.get("acknowledged", "")),
        renew_s=metadata["renew_s"],
        max_age_s=metadata["max_age_s"],
    )


def _read_flag(service: str, flag: Any) -> Flag:
    targeting = flag["targeting"]
    fractional = targeting["if"][2]["fractional"] if "if" in targeting else targeting["fractional"]
    metadata = flag["metadata"]
    return Flag(
        service=service,
        weight=fractional[1][1],
        stage=Stage(metadata["stage"]),
        cohort=_text(metadata["cohort"]),
        modes={name: _text(value) for name, value in metadata.items() if name not in _OWN_METADATA},
        rollback=_text(metadata["rollback"]),
    )


def _named(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(seconds: float) -> float:
    """A whole number of seconds as an int, so that 3 and 3.0 write the same definition."""
    return int(seconds) if seconds == int(seconds) else seconds


def _unreadable(why: str) -> ConfigError:
    return ConfigError(
        f"the flag set cannot be read ({why})",
        "whoever obeyed it could send users anywhere",
        "Write it with causeway; `causeway reconcile` restores the stack's own",
    )
