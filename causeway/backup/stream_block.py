"""What both sources of a stream produce, and the index of what is known: plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from causeway.backup.documents import CONTROL, collection_group, relative_path

_DOUBTED = -1


class Version(Protocol):
    """One state of a document: its update time in microseconds since 1970, and the serialised `Document`."""

    @property
    def updated(self) -> int: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class InMemory:
    """A version with its body beside it."""

    updated: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Everything that changed up to `read_time` since the block before it: a new state, or None where it is gone.

    Applied as a whole or not at all; what results is exactly the database at `read_time`. `token` continues a Listen
    from there (empty for a poll).
    """

    read_time: datetime
    token: bytes
    changes: Mapping[str, Version | None]


def group_of(name: str) -> str:
    """The id of the collection that holds the document of this resource name."""
    return collection_group(relative_path(name))


def top_of(name: str) -> str:
    """The top-level collection the document of this resource name lies in or below: what selections name."""
    return relative_path(name).split("/", 1)[0]


@dataclass(slots=True)
class Known:
    """Update time (microseconds) of every document at the last watermark, by collection id and resource name.

    `tally` counts them by top-level collection.
    """

    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)

    def of(self, group: str) -> dict[str, int]:
        """The documents of one collection id."""
        return self.groups.setdefault(group, {})

    def put(self, name: str, updated: int) -> None:
        """There is this document."""
        names = self.of(group_of(name))
        self.tally[top_of(name)] += name not in names
        names[name] = updated

    def drop(self, name: str) -> None:
        """There is no such document."""
        self.tally[top_of(name)] -= self.of(group_of(name)).pop(name, None) is not None

    def apply(self, changes: Mapping[str, Version | None]) -> None:
        """Move on to the state behind these changes."""
        for name, version in changes.items():
            if version is None:
                self.drop(name)
            else:
                self.put(name, version.updated)

    def tally_after(self, changes: Mapping[str, Version | None]) -> Counter[str]:
        """What `tally` would be behind these changes."""
        after = self.tally.copy()
        for name, version in changes.items():
            after[top_of(name)] += (version is not None) - (name in self.of(group_of(name)))
        return after

    def doubt(self) -> None:
        """Take every document for changed, so that the next difference writes all of them again."""
        for group, names in self.groups.items():
            if group != CONTROL:
                names.update(dict.fromkeys(names, _DOUBTED))

    def difference(self, seen: dict[str, Version | None], groups: Iterable[str]) -> dict[str, Version | None]:
        """Cut `seen`, the whole content of these groups, down to what leads there from here; no copy of a whole base.

        A document whose update time is the same is unchanged; one that is not in `seen` is gone.
        """
        gone = [name for group in groups for name in self.of(group) if seen.get(name) is None]
        same = [name for name, version in seen.items() if not self._news(name, version)]
        for name in same:
            del seen[name]
        seen.update(dict.fromkeys(gone))
        return seen

    def _news(self, name: str, version: Version | None) -> bool:
        return version is not None and self.of(group_of(name)).get(name) != version.updated


@dataclass(frozen=True, slots=True)
class Selection:
    """The top-level collections that are kept, every collection below them included; none named means all."""

    collections: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether the document of this resource name is kept."""
        top = top_of(name)
        return top != CONTROL and (not self.collections or top in self.collections)

    def counts(self, tally: Mapping[str, int]) -> dict[str, int]:
        """Documents by what is counted at once: each collection, or under `""` everything if none is named."""
        if self.collections:
            return {top: tally.get(top, 0) for top in self.collections}
        return {"": sum(number for top, number in tally.items() if top != CONTROL)}
