"""What both sources of a stream produce, and the index of what is known: plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from causeway.backup.documents import collection_group, relative_path

CONTROL = "causeway_stream"
"""The collection of the sentinel and the heartbeat, in the database that is backed up; never in an archive."""

_DOUBTED = -1


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a document: its update time in microseconds since 1970, and the serialised `Document`."""

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

    @property
    def removals(self) -> int:
        """How many documents are gone."""
        return sum(version is None for version in self.changes.values())


def group_of(name: str) -> str:
    """The id of the collection that holds the document of this resource name."""
    return collection_group(relative_path(name))


@dataclass(slots=True)
class Known:
    """Update time (microseconds) of every document at the last watermark, by collection id and resource name."""

    groups: dict[str, dict[str, int]] = field(default_factory=dict)

    def of(self, group: str) -> dict[str, int]:
        """The documents of one collection id."""
        return self.groups.setdefault(group, {})

    def apply(self, changes: Mapping[str, Version | None]) -> None:
        """Move on to the state behind these changes."""
        for name, version in changes.items():
            if version is None:
                self.of(group_of(name)).pop(name, None)
            else:
                self.of(group_of(name))[name] = version.updated

    def doubt(self) -> None:
        """Take every document for changed, so that the next difference writes all of them again."""
        for group, names in self.groups.items():
            if group != CONTROL:
                names.update(dict.fromkeys(names, _DOUBTED))

    def counts(self) -> dict[str, int]:
        """Documents per collection id, the stream's own left out."""
        return {group: len(names) for group, names in sorted(self.groups.items()) if group != CONTROL}

    def difference(self, seen: Mapping[str, Version | None], groups: Iterable[str]) -> dict[str, Version | None]:
        """What leads from here to the whole content `seen` of these groups.

        A document whose update time is the same is unchanged; one that is not in `seen` is gone.
        """
        changes = {
            name: version
            for name, version in seen.items()
            if version is not None and self.of(group_of(name)).get(name) != version.updated
        }
        gone = (name for group in groups for name in self.of(group) if seen.get(name) is None)
        return changes | dict.fromkeys(gone)
