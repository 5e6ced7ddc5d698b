"""Where an archive's objects lie: a local directory or a bucket behind one seam.

Objects are created once and never changed, which a retention-locked bucket enforces and which makes two writers safe
without a lock: of two that create the same name, one is told so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from causeway.errors import ConfigError, IntegrityError, Unreachable


class AlreadyThere(Exception):  # an answer to a writer, not a failure
    """An object of this name exists; it was left as it is."""


class Storage(Protocol):
    """Named, immutable objects."""

    @property
    def url(self) -> str:
        """Where this is, for people."""

    def create(self, name: str, data: bytes) -> None:
        """Make an object durable before returning, whole or not at all; `AlreadyThere` if the name is taken."""

    def read(self, name: str) -> bytes:
        """The object's bytes; `IntegrityError` if there is none."""

    def read_all(self, names: Sequence[str]) -> Iterator[bytes]:
        """The bytes of several objects in this order; where each takes a while, several at once. Raises as `read`."""

    def names(self, prefix: str, after: str = "") -> list[str]:
        """The names that start with `prefix` and sort behind `after`, sorted."""

    def delete(self, name: str) -> None:
        """Remove an object; one that is gone already is no error. Raises Retained while it must be kept."""

    def claim(self, name: str) -> AbstractContextManager[bool]:
        """Whether nobody else has claimed this name; ours inside the context, and freed if this process dies.

        A bucket cannot know and says yes; there the manifest refuses the slower of two writers.
        """


class Retained(Unreachable):
    """The storage does not let an object go yet."""


def missing(url: str, name: str) -> IntegrityError:
    """What `read` says of an object that is not there."""
    return IntegrityError(
        f"{name} is missing in {url}",
        "what it held cannot be restored from here",
        "use another copy of the archive, or read the rest with --salvage",
    )


class LocalStorage:
    """Objects as files under a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def url(self) -> str:
        """The directory."""
        return str(self.root)

    def path(self, name: str) -> Path:
        """Where the object of this name lies."""
        return self.root / name

    def create(self, name: str, data: bytes) -> None:
        """Write beside, sync, then link: a crash leaves no half of an object under its name."""
        target = self.path(name)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            make_directory(target.parent)
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, target)
            sync_directory(target.parent)
        except FileExistsError as error:
            raise AlreadyThere(name) from error
        except OSError as error:
            raise Unreachable(
                f"cannot write {len(data)} bytes to {target}: {error.strerror}",
                "the backup stops here; what it has written before stays good",
                "make room or give another --out, then run the same command again: it resumes",
            ) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError as error:
            raise missing(self.url, name) from error
        except OSError as error:
            raise Unreachable(f"cannot read {self.path(name)}: {error.strerror}") from error

    def read_all(self, names: Sequence[str]) -> Iterator[bytes]:
        """One after another: a disk is asked quickly."""
        return map(self.read, names)

    def names(self, prefix: str, after: str = "") -> list[str]:
        """Names below the directory part of `prefix`; drafts of a dead writer are not objects."""
        folder = self.path(prefix.rpartition("/")[0])
        found = (file.relative_to(self.root).as_posix() for file in folder.rglob("[!.]*") if file.is_file())
        return sorted(name for name in found if name.startswith(prefix) and name > after)

    def delete(self, name: str) -> None:
        """Unlink the file."""
        self.path(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """A lock on a file beside the objects; the system frees it with the process."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.path(f".claim-{name}")
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
                path.unlink(missing_ok=True)


def sync_directory(folder: Path) -> None:
    """Make names in a directory durable: a synced file is lost all the same if its name is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(folder: Path) -> None:
    """Make a directory and those above it, durably."""
    if not folder.is_dir():
        make_directory(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)


def open_storage(url: str) -> Storage:
    """The storage a URL names: `gs://BUCKET/PREFIX` or a directory.

    Raises:
        ConfigError: the URL names no bucket, or a kind of storage there is no adapter for.
    """
    if url.startswith("gs://"):
        from causeway.backup.bucket import BucketStorage

        return BucketStorage.open(url)
    if "://" in url:
        raise ConfigError(f"no storage for {url}", "nothing was written", "give gs://BUCKET/PREFIX or a directory")
    return LocalStorage(Path(url))
