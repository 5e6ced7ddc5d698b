"""Open circuit breakers: services forced to legacy, or capped, whatever the position says.

A hold is written in config as `NAME` (cap 0) or `NAME@25` (a cap while the breaker is being closed again, rung by
rung). A hold takes the service's hold closure along: every service that must not be ahead of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from causeway.model.closure import capped
from causeway.model.matrix import Matrix


@dataclass(frozen=True)
class Hold:
    """The caps that config names, service -> percent. Empty: no breaker is open."""

    caps: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "caps", MappingProxyType(dict(sorted(self.caps.items()))))

    def __bool__(self) -> bool:
        return bool(self.caps)

    def __str__(self) -> str:
        return ",".join(self.entries())

    def __hash__(self) -> int:
        return hash(tuple(self.caps.items()))

    def entries(self) -> list[str]:
        """As config writes it."""
        return [f"{name}@{cap}" if cap else name for name, cap in self.caps.items()]

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Hold:
        """Read config's entries. Raises ValueError where a cap is no percentage below 100, or a name stands twice."""
        caps: dict[str, int] = {}
        for entry in entries:
            name, at, cap = entry.partition("@")
            if at and not (cap.isdecimal() and int(cap) < 100):
                raise ValueError(f"{entry}: a cap lies between 0 and 99")
            if name in caps:
                raise ValueError(f"{name} twice: nobody could tell which cap holds")
            caps[name] = int(cap or 0)
        return cls(caps)

    def opened(self, services: Iterable[str]) -> Hold:
        """With these breakers open as well."""
        return Hold({**self.caps, **dict.fromkeys(services, 0)})

    def capped(self, services: Iterable[str], cap: int) -> Hold:
        """With these services capped; a cap of 100 lets them go."""
        named = set(services)
        others = {name: value for name, value in self.caps.items() if name not in named}
        return Hold(others if cap >= 100 else {**others, **dict.fromkeys(named, cap)})

    def effective(self, matrix: Matrix) -> Mapping[str, int]:
        """The cap of every service concerned, closures included: nobody is ahead of a held service who must not be."""
        return capped(matrix, self.caps)


NO_HOLD = Hold()
