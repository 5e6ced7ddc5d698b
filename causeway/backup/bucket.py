"""An archive's objects in a Google Cloud Storage bucket.

Creating is conditional on there being no such object (`ifGenerationMatch=0`), so a retention policy on the bucket and
two writers are both safe. Encryption is the bucket's (CMEK), never home-made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage  # type: ignore[attr-defined]
from google.cloud.storage.exceptions import DataCorruption
from requests.exceptions import RequestException

from causeway.backup.storage import AlreadyThere, Retained, missing
from causeway.errors import ConfigError, IntegrityError, Unreachable

_FAILURES = (GoogleAPIError, RequestException)
_AT_ONCE = 8
"""Objects fetched side by side; the client keeps ten connections."""
_AHEAD = 256
"""Objects held in memory before they are asked for, at most."""


class BucketStorage:
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: Any, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @staticmethod
    def open(url: str) -> BucketStorage:
        """The storage of `gs://BUCKET/PREFIX`, with the credentials of the environment.

        Raises:
            ConfigError: the URL names no bucket.
            Unreachable: there are no credentials.
        """
        name, _, prefix = url.removeprefix("gs://").partition("/")
        if not name:
            raise ConfigError(f"{url} names no bucket", "nothing was written", "write it as gs://BUCKET/PREFIX")
        try:
            return BucketStorage(storage.Client().bucket(name), prefix)
        except (GoogleAuthError, OSError) as error:
            raise Unreachable(
                f"no credentials for {url}: {error}", "", "run `gcloud auth application-default login`"
            ) from error

    @property
    def url(self) -> str:
        """`gs://BUCKET/PREFIX`."""
        return f"gs://{self._bucket.name}/{self._prefix}".rstrip("/")

    def create(self, name: str, data: bytes) -> None:
        """Upload whole, held against its checksum by the server, unless the name is taken."""
        blob = self._bucket.blob(self._prefix + name)
        try:
            blob.upload_from_string(
                data, content_type="application/octet-stream", if_generation_match=0, checksum="crc32c"
            )
        except PreconditionFailed as error:
            raise AlreadyThere(name) from error
        except _FAILURES as error:
            raise self._unreachable("write", name, error) from error

    def read(self, name: str) -> bytes:
        """Download whole, held against its checksum."""
        try:
            return bytes(self._bucket.blob(self._prefix + name).download_as_bytes())
        except NotFound as error:
            raise missing(self.url, name) from error
        except DataCorruption as error:
            raise IntegrityError(
                f"{name} in {self.url} arrives with another checksum than it is sent with",
                "the connection or a proxy changes it",
                "run the same command again",
            ) from error
        except _FAILURES as error:
            raise self._unreachable("read", name, error) from error

    def read_all(self, names: Sequence[str]) -> Iterator[bytes]:
        """Several requests under way: one takes tens of milliseconds, whatever its size."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for begin in range(0, len(names), _AHEAD):
                yield from pool.map(self.read, names[begin : begin + _AHEAD])

    def names(self, prefix: str, after: str = "") -> list[str]:
        """The bucket lists names in order, and from where it is told to."""
        begin = {"start_offset": self._prefix + after} if after else {}
        try:
            blobs = self._bucket.list_blobs(prefix=self._prefix + prefix, fields="items(name),nextPageToken", **begin)
            found = [blob.name.removeprefix(self._prefix) for blob in blobs]
        except _FAILURES as error:
            raise self._unreachable("list", prefix, error) from error
        return [name for name in found if name > after]  # the bucket includes the one it starts from

    def delete(self, name: str) -> None:
        """Remove; a retention policy that still holds the object is said so."""
        try:
            self._bucket.blob(self._prefix + name).delete()
        except NotFound:
            return
        except Forbidden as error:
            raise Retained(
                f"{self.url} does not let {name} go: {error.message}",
                "it stays until the bucket's retention period has passed",
                "prune again then",
            ) from error
        except _FAILURES as error:
            raise self._unreachable("delete", name, error) from error

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Always yes: two writers meet in the manifest."""
        yield True

    def _unreachable(self, verb: str, name: str, error: Exception) -> Unreachable:
        return Unreachable(
            f"cannot {verb} {name} in {self.url}: {error}",
            "the work stops here; what is listed in the manifest stays good",
            "run the same command again: it resumes",
        )
