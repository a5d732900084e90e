"""Requests to one bucket, through obstore: conditional writes, retries with back-off, errors of one line.

Credentials come from the provider's own chain (environment, profile, role of the machine). They are never kept here,
and no text of a provider's answer goes into a message, because it may repeat them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from rmset.errors import RootError, UsageError
from rmset.remote import settings

T = TypeVar("T")
PART = 16 << 20
"""Size of a part of an upload, and of a range of a download, bytes."""
_AT_ONCE = 4
# Bytes between two ranges up to which they are read together.
_NEAR = 32 << 10
# Further tries of an operation, after those of single requests, which obstore makes itself.
# Exit code of `rmset.remote.download` for an object that is not there.
_MISSING = 3
_TRIES, _FIRST_PAUSE, _LONGEST_PAUSE = 5, 0.2, 10.0
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>|\"code\"\s*:\s*\"([A-Za-z]{1,60})\"")
_STATUS = re.compile(r"status code: (\d{3})")
_CREDENTIALS = {
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
    "TokenRefreshRequired", "AuthenticationFailed", "InvalidAuthenticationInfo",
}  # fmt: skip
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"}
# The process that made the first request: its network threads do not exist in a fork of it.
_first: list[int] = []


class Conflict(Exception):  # noqa: N818 - an answer, not a fault
    """A conditional write was refused: the object is another than expected."""


@dataclass(frozen=True)
class Version:
    """State of an object, for conditional writes."""

    e_tag: str | None
    number: str | None = None

    @classmethod
    def of(cls, answer: Any) -> Version:
        """Return the version in an answer of obstore."""
        return cls(answer.get("e_tag"), answer.get("version"))

    @property
    def name(self) -> str:
        """A text that is equal for equal versions, however the answer quotes it."""
        return (self.e_tag or self.number or "").removeprefix("W/").strip('"')


class ObjectStore:
    """One bucket and prefix.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        patience: how long to wait for the next byte of an answer, s.
    """

    def __init__(self, url: str, *, patience: float = 30.0) -> None:
        scheme, _, rest = url.partition("://")
        self._bucket, _, self._prefix = rest.partition("/")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}", self._bucket):
            raise UsageError(f"{url}: expected a bucket, as in {scheme}://bucket/rmset; found '{self._bucket[:80]}'")
        if any(part in ("", ".", "..") for part in self._prefix.split("/") if self._prefix):
            raise UsageError(f"{url}: expected a plain prefix in the bucket, found '{self._prefix[:80]}'")
        self.url, self._patience = url, patience
        self._opened: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without connections."""
        return self.__dict__ | {"_opened": None}

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of one that has made requests, and so cannot make any itself."""
        return bool(_first) and _first[0] != os.getpid()

    def place(self, name: str = "") -> str:
        """Address of an object, for messages."""
        return f"{self.url}/{name}" if name else self.url

    # Single objects.

    def get(self, name: str) -> tuple[bytes, Version]:
        """Return an object's bytes and version.

        Raises:
            FileNotFoundError: there is none.
        """
        if self.is_forked:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "object"
                self._downloaded_by_another(name, path)
                return path.read_bytes(), Version(None)

        def work(obstore: Any, store: Any) -> tuple[bytes, Version]:
            answer = obstore.get(store, name)
            data = bytes(answer.bytes())
            if len(data) != answer.meta["size"]:
                raise _CutShort
            return data, Version.of(answer.meta)

        return self._tried(name, work)

    def put(self, name: str, data: bytes, expected: Version | None) -> Version:
        """Write an object if it is still as expected: None for none.

        The data must differ in every call, so that a lost answer can be told from another's write.

        Raises:
            Conflict: it is not.
        """
        wanted: Any = "create" if expected is None else {}
        if expected is not None:
            wanted = {"e_tag": expected.e_tag} | ({"version": expected.number} if expected.number else {})
        try:
            return self._tried(name, lambda obstore, store: Version.of(obstore.put(store, name, data, mode=wanted)))
        except (Conflict, FileNotFoundError):
            try:
                now, version = self.get(name)
            except FileNotFoundError:
                raise Conflict from None
            if now == data:
                # An earlier try had arrived; only its answer was lost.
                return version
            raise Conflict from None

    def write(self, name: str, data: bytes) -> None:
        """Write a small object, whatever is there."""
        self._tried(name, lambda obstore, store: obstore.put(store, name, data))

    def modified(self, name: str) -> datetime:
        """Time of an object's last change, by the store's clock.

        Raises:
            FileNotFoundError: there is none.
        """
        found: datetime = self._tried(name, lambda obstore, store: obstore.head(store, name)["last_modified"])
        return found

    def read_range(self, name: str, start: int, count: int) -> bytes:
        """Return `count` bytes of an object."""
        return bytes(self._range(name, start, count)) if count else b""

    def _range(self, name: str, start: int, count: int) -> memoryview:
        """Return `count` bytes of an object where they were received."""

        def work(obstore: Any, store: Any) -> memoryview:
            data = memoryview(obstore.get_range(store, name, start=start, length=count))
            if data.nbytes != count:
                raise _CutShort
            return data

        return self._tried(name, work)

    def read_ranges(self, name: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of an object at each (position, count); near ones come in one request."""
        starts, counts = [start for start, _ in spans], [count for _, count in spans]

        def work(obstore: Any, store: Any) -> list[bytes]:
            data = [bytes(part) for part in obstore.get_ranges(
                store, name, starts=starts, lengths=counts, coalesce=_NEAR
            )]  # fmt: skip
            if list(map(len, data)) != counts:
                raise _CutShort
            return data

        return self._tried(name, work)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, if they are there."""
        wanted = list(names)

        def work(obstore: Any, store: Any) -> None:
            for name in wanted:
                try:
                    obstore.delete(store, name)
                except FileNotFoundError:
                    continue

        if wanted:
            self._tried(wanted[0], work)

    def names(self, prefix: str) -> Iterator[tuple[str, Version, datetime]]:
        """Yield name, version and time of the objects below a prefix."""

        def work(obstore: Any, store: Any) -> list[Any]:
            return [each for chunk in obstore.list(store, prefix) for each in chunk]

        for each in self._tried(prefix, work):
            yield each["path"], Version.of(each), each["last_modified"]

    # Files.

    def upload(self, name: str, path: Path) -> None:
        """Upload a file, large ones in parts; the object appears whole or not at all."""

        def work(obstore: Any, store: Any) -> None:
            multipart = path.stat().st_size > PART
            data = path if multipart else path.read_bytes()
            obstore.put(store, name, data, use_multipart=multipart, chunk_size=PART, max_concurrency=_AT_ONCE)

        self._tried(name, work)

    def download(self, name: str, path: Path, size: int) -> None:
        """Download an object into a new file, in ranges, several at once."""
        if self.is_forked:
            self._downloaded_by_another(name, path, str(size))
            return
        with path.open("wb") as stream:
            stream.truncate(size)

            def bring(start: int) -> None:
                os.pwrite(stream.fileno(), self._range(name, start, min(PART, size - start)), start)

            starts = range(0, size, PART)
            if len(starts) < 2:
                for start in starts:
                    bring(start)
                return
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for _ in pool.map(bring, starts):
                    pass

    def _downloaded_by_another(self, name: str, path: Path, *size: str) -> None:
        """Download in a program of its own: a fork cannot use the network threads of its parent."""
        command = [sys.executable, "-m", "rmset.remote.download", self.url, name, str(path), *size]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == _MISSING:
            raise FileNotFoundError(2, "no such object", self.place(name))
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["the download was ended"]
            raise RootError(lines[-1])

    # Requests.

    def _tried(self, name: str, work: Callable[[Any, Any], T]) -> T:
        """Carry out an operation; repeat it after faults that may pass.

        Raises:
            RootError: it failed for good.
            FileNotFoundError: there is no such object.
            Conflict: a condition was not met.
        """
        if self.is_forked:
            raise RootError(f"{self.place(name)}: expected the process that opened the root, found a fork of it")
        store = self._store()
        import obstore

        pause = _FIRST_PAUSE
        for attempt in range(_TRIES):
            try:
                return work(obstore, store)
            except Exception as error:
                found = self._meaning(error, name)
                if not isinstance(found, _Passing):
                    raise found from None
                if attempt == _TRIES - 1:
                    raise RootError(
                        f"{self.place(name)}: expected an answer of the store, found {found}; run the same command "
                        "again later: finished work is kept"
                    ) from None
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise AssertionError

    def _meaning(self, error: Exception, name: str) -> Exception:
        """Translate an error; none of its text is kept but a code of letters."""
        from obstore import exceptions

        text = str(error)
        matched = _CODE.search(text)
        code = (matched[1] or matched[2]) if matched else ""
        status = _STATUS.search(text)
        if code in _NO_BUCKET:
            return RootError(
                f"{self.url}: expected a bucket, found none named {self._bucket}; create it, or correct it"
            )
        if code in _CREDENTIALS or isinstance(error, exceptions.UnauthenticatedError):
            why = f" ({code})" if code else ""
            return RootError(f"{self.url}: expected credentials that the store accepts, found others{why}; renew them")
        if "performing token request" in text:
            return RootError(
                f"{self.url}: expected credentials, found none that give a token; {settings.how_to_sign_in(self.url)}"
            )
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(2, "no such object", self.place(name))
        if isinstance(error, (exceptions.AlreadyExistsError, exceptions.PreconditionError)):
            return Conflict()
        if isinstance(error, exceptions.PermissionDeniedError) or (status is not None and status[1] in ("401", "403")):
            return RootError(
                f"{self.place(name)}: expected leave to read and write, found none{f' ({code})' if code else ''}; "
                "let these credentials get, put, list and delete objects there"
            )
        if isinstance(error, _CutShort):
            return _Passing("an answer that was cut short")
        if isinstance(error, exceptions.BaseError):
            if status is not None and status[1].startswith("4") and status[1] not in ("408", "409", "429"):
                return RootError(
                    f"{self.place(name)}: expected an answer of the store, found status {status[1]} {code}"
                )
            if status is not None:
                return _Passing(f"status {status[1]} {code}".strip())
            return _Passing(f"no whole answer{settings.server(self.url)}: it cannot be reached, or was too slow")
        return error

    def _store(self) -> Any:
        if self._opened is None:
            self._opened = settings.opened(self.url, self._bucket, self._prefix, self._patience)
            _first[:] = [os.getpid()]
        return self._opened


class _CutShort(Exception):  # noqa: N818 - caught here
    """A body has fewer bytes than announced."""


class _Passing(Exception):  # noqa: N818 - caught here
    """A fault that may pass."""
