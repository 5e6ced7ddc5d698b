"""Bodies that wait for their block on disk: a base comes as a whole, and is larger than memory should be."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from causeway.backup.openlog import not_written
from causeway.backup.stream_block import Version
from causeway.errors import Unreachable

_LENGTH_BITS = 28
"""A serialised document is far below 256 MiB, so that its place and length fit into one number."""


class Aside:
    """A file without a name that holds bodies until `clear`; for one thread. Its disk is free again when it is closed.

    Raises:
        Unreachable: the disk is full or gone.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise not_written(folder, error) from error
        self._folder = folder
        self._end = 0

    def put(self, version: Version) -> OnDisk:
        """The same version, its body on disk."""
        body = version.body
        try:
            self._file.write(body)
        except OSError as error:
            raise not_written(self._folder, error) from error
        place = self._end << _LENGTH_BITS | len(body)
        self._end += len(body)
        return OnDisk(version.updated, place, self)

    def read(self, place: int) -> bytes:
        """The body at a place."""
        length = place & (1 << _LENGTH_BITS) - 1
        try:
            self._file.flush()
            body = os.pread(self._file.fileno(), length, place >> _LENGTH_BITS)
        except OSError as error:
            raise not_written(self._folder, error) from error
        if len(body) != length:
            raise Unreachable(f"{self._folder} gives back {len(body)} of {length} bytes that were put there")
        return body

    def clear(self) -> None:
        """Forget every body: the block they waited for has been taken."""
        if self._end:
            self._file.seek(0)
            self._file.truncate()
            self._end = 0

    def __enter__(self) -> Aside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what it still has to write is not needed
            self._file.close()


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A version whose body has been put aside; reading it does not keep it."""

    updated: int
    place: int
    aside: Aside

    @property
    def body(self) -> bytes:
        return self.aside.read(self.place)
