"""`Files` of a root on an object store: local copies to read, objects and a commit to publish."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from rmset import bounded
from rmset.errors import RootError, UnreadableError
from rmset.files import Reader, Stamp, sha256_of
from rmset.local_files import LocalFiles, LocalReader
from rmset.outputs import begin, clear
from rmset.records import VIDEO_ID
from rmset.remote.cache import Cache, default_folder
from rmset.remote.commits import SHARED, Commits, Entry, group_of
from rmset.remote.lease import SECONDS, Leases
from rmset.remote.ranges import SMALL, RangeReader
from rmset.remote.store import PART, ObjectStore

# A small file up to this size is part of the commit, bytes.
_INLINE = 16 << 10
# What is never published: downloads under way and indexes, which every machine has for itself.
_HERE = ("state/index", "state/downloads", "state/blanked", "state/locks")
_LOCKS_HERE = ("index",)
# An object that no commit names after this long will not be named any more.
_ABANDONED = timedelta(days=1)


class RemoteFiles:
    """Files on an object store; see `rmset.files.Files` for what each method does.

    Args:
        url: `s3://bucket/prefix`, `gs://…` or `az://…`.
        cache: folder of local copies; default: in the user's cache folder.
        cache_size: most bytes of copies; default: half of the disk's free space.
        lease: how long a lock lives on after its holder's death, s.
        patience: how long to wait for the next byte of an answer, s.
    """

    def __init__(
        self,
        url: str,
        *,
        cache: Path | None = None,
        cache_size: int | None = None,
        lease: float = SECONDS,
        patience: float = 30.0,
    ) -> None:
        self._options = {"cache": cache, "cache_size": cache_size, "lease": lease, "patience": patience}
        self.url = url
        self._store = ObjectStore(url, patience=patience)
        self._cache = Cache(cache / default_folder(url).name if cache else default_folder(url), cache_size)
        self._commits = Commits(self._store, _CommitFolder(self._cache))
        self._leases = Leases(self._store, lease)
        self._here = LocalFiles(self._cache.folder / "here")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the address; the receiver opens it again."""
        return _opened, (self.url, self._options)

    # Looking up.

    def _entry(self, key: str) -> Entry | None:
        return self._commit(group_of(key) or SHARED).get(key)

    def _commit(self, group: str) -> Mapping[str, Entry]:
        return self._commits.of(group, held=group in self._leases.held).files

    def _found(self, key: str) -> Entry:
        entry = self._entry(key)
        if entry is None:
            raise FileNotFoundError(2, "no such file", self.place(key))
        return entry

    def exists(self, key: str) -> bool:
        """Whether a file or folder of this key is there."""
        if _is_here(key):
            return self._here.exists(key)
        group = group_of(key)
        if group is not None and key in self._commit(group):
            return True
        # A top folder holds the files of all videos.
        one = group is not None and ("/" in key or "." in key)
        every = [self._commit(group or SHARED)] if one else [c.files for c in self._commits.all().values()]
        return any(each.startswith(f"{key}/") for files in every for each in files)

    def stamp(self, key: str) -> Stamp:
        """Size, and name of the object or hash of the text."""
        if _is_here(key):
            return self._here.stamp(key)
        entry = self._found(key)
        return Stamp(entry.size, entry.object or entry.sha256)

    def read_text(self, key: str) -> str:
        """Return the text of a small file."""
        if _is_here(key):
            return self._here.read_text(key)
        entry = self._found(key)
        if entry.packed is None:
            return bounded.read_text(self.local(key))
        try:
            return entry.data().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UnreadableError(
                f"{self.place(key)}: expected UTF-8 text, found other bytes; write it again"
            ) from None
        except UnreadableError as error:
            raise UnreadableError(f"{self.place(key)}: {error}") from None

    def sha256(self, key: str, most: int | None = None) -> str:
        """Hex sha256 of a file's bytes, as noted when it was published."""
        if _is_here(key):
            return self._here.sha256(key, most)
        entry = self._found(key)
        if most is not None and entry.size > most:
            raise UnreadableError(
                f"{self.place(key)}: expected at most {most:,} bytes, found {entry.size:,}; remove it"
            )
        return entry.sha256

    def reread_sha256(self, key: str) -> str:
        """Hex sha256 of the bytes that the bucket holds now."""
        if _is_here(key):
            return self._here.reread_sha256(key)
        entry = self._found(key)
        if entry.object is None:
            return hashlib.sha256(entry.data()).hexdigest()
        digest = hashlib.sha256()
        for start in range(0, entry.size, PART):
            digest.update(self._store.read_range(entry.object, start, min(PART, entry.size - start)))
        return digest.hexdigest()

    def keys(self, pattern: str) -> list[str]:
        """Return the keys of files and folders that match a glob, sorted."""
        if _is_here(pattern):
            return self._here.keys(pattern)
        group, parts = group_of(pattern), pattern.split("/")
        every = [self._commit(group)] if group is not None else [c.files for c in self._commits.all().values()]
        found = set[str]()
        for files in every:
            for key in files:
                own = key.split("/")[: len(parts)]
                if len(own) == len(parts) and all(map(fnmatchcase, own, parts)):
                    found.add("/".join(own))
        return sorted(found)

    def stamps(self, pattern: str) -> list[tuple[str, Stamp]]:
        """Return the files that match a glob, each with its stamp."""
        return [(key, self.stamp(key)) for key in self.keys(pattern)]

    def links(self) -> list[str]:
        """Return nothing: a bucket holds no links."""
        return []

    def place(self, key: str = "") -> str:
        """Return the address of a key."""
        return f"{self.url}/{key}" if key else self.url

    # Reading.

    def local(self, key: str) -> Path:
        """Return a local copy of a file; it is downloaded if there is none."""
        if _is_here(key):
            return self._here.local(key)
        entry = self._entry(key)
        if entry is None:
            return self._cache.folder / "objects" / "none" / key
        if entry.packed is not None:
            name = f"data/{group_of(key)}/{entry.sha256[:16]}/{PurePosixPath(key).name}"
            return self._cache.bring(name, entry.sha256, entry.size, lambda path: _write(path, entry.data()))
        name = entry.object or ""
        return self._cache.bring(
            name, entry.sha256, entry.size, lambda path: self._store.download(name, path, entry.size)
        )

    def is_local(self, key: str) -> bool:
        """Whether there is a copy; a fork, which cannot make requests itself, has to get one."""
        if _is_here(key) or self._store.is_forked:
            return True
        entry = self._entry(key)
        return entry is None or entry.object is None or self._cache.has(entry.object)

    def keeps(self, size: int) -> bool:
        """Whether so many bytes fit into the cache."""
        return self._cache.holds(size)

    def read_parts(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes at (position, count), neighbors in one request."""
        if _is_here(key):
            return self._here.read_parts(key, spans)
        entry = self._found(key)
        if entry.object is None:
            return [entry.data()[position : position + count] for position, count in spans]
        return self._store.read_ranges(entry.object, spans)

    def reader(self, key: str) -> Reader:
        """Open a file of which parts are read."""
        if _is_here(key):
            return self._here.reader(key)
        entry = self._found(key)
        name = entry.object
        if name is None or entry.size <= SMALL or self._store.is_forked or self._cache.has(name):
            return LocalReader(self.local(key))
        return RangeReader(self._store, name, entry.size, lambda: LocalReader(self.local(key)))

    def workspace(self) -> Path:
        """Return a folder of the cache."""
        return self._cache.folder_of("work")

    def scratch(self, key: str) -> Path:
        """Return a folder of this machine for unfinished downloads."""
        return self._here.scratch(key)

    # Writing.

    def check_writable(self) -> None:
        """Write an object and delete it again."""
        name = f"probe/{secrets.token_hex(8)}"
        self._store.write(name, b"")
        self._store.delete([name])
        self._cache.folder_of("work")

    @contextmanager
    def publish(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; on success the file is uploaded, and published by a commit."""
        if _is_here(key):
            with self._here.publish(key) as path:
                yield path
            return
        group = group_of(key) or SHARED
        with self._cache.work() as folder:
            path = folder / PurePosixPath(key).name
            begin(path, 0o600)
            yield path
            self._publish(group, {key: path}, lambda files: files.pop(key, None))

    @contextmanager
    def publish_folder(self, key: str) -> Iterator[Path]:
        """Yield a folder to fill; on success its files are uploaded, and one commit replaces the old content."""
        if _is_here(key):
            with self._here.publish_folder(key) as path:
                yield path
            return
        group = group_of(f"{key}/x") or SHARED
        with self._cache.work() as folder:
            yield folder
            made = {f"{key}/{path.name}": path for path in sorted(folder.iterdir())}
            self._publish(group, made, lambda files: _without(files, key))

    def _publish(self, group: str, made: Mapping[str, Path], replace: Callable[[dict[str, Entry]], object]) -> None:
        """Upload files and commit them; `replace` removes what they replace."""
        self._check(group)
        uploaded: list[str] = []
        try:
            entries = {}
            for key, path in made.items():
                entries[key] = entry = self._uploaded(group, key, path)
                uploaded += [entry.object] if entry.object else []
            self._check(group)

            def update(files: dict[str, Entry]) -> None:
                replace(files)
                files.update(entries)

            self._change(group, update)
        except BaseException:
            with contextlib.suppress(Exception):
                self._forget(uploaded)
            raise

    def _uploaded(self, group: str, key: str, path: Path) -> Entry:
        size, sha256 = path.stat().st_size, sha256_of(path)
        if key.endswith(".json") and size <= _INLINE:
            return Entry.of_text(path.read_bytes(), sha256)
        name = f"data/{group}/{secrets.token_hex(8)}/{PurePosixPath(key).name}"
        self._store.upload(name, path)
        self._cache.adopt(name, path)
        return Entry(size, sha256, name)

    def _change(self, group: str, update: Callable[[dict[str, Entry]], None]) -> None:
        lease = self._leases.held.get(group)
        before, after = self._commits.change(group, update, lease.token if lease else None)
        named = {entry.object for entry in after.files.values()}
        self._forget([e.object for e in before.files.values() if e.object and e.object not in named])

    def _forget(self, names: list[str]) -> None:
        """Delete objects that are no longer part of the root, and their copies here."""
        with contextlib.suppress(RootError):
            # What stays is swept later.
            self._store.delete(names)
        for name in names:
            self._cache.drop(name)

    def _check(self, group: str) -> None:
        lease = self._leases.held.get(group)
        if lease is not None:
            lease.check()

    def extend(self, key: str, *, new: bool = False) -> BinaryIO:
        """Open a file of this machine's index to write at its end."""
        if not _is_here(key):
            raise RootError(f"{self.place(key)}: expected a file of this machine, found one of the bucket; publish it")
        return self._here.extend(key, new=new)

    def remove(self, key: str) -> None:
        """Remove a file or folder, and its objects."""
        if _is_here(key):
            self._here.remove(key)
            return
        group = group_of(key)
        if group is None or not self.exists(key):
            group = group_of(f"{key}/x")
        if group is not None and self.exists(key):
            self._check(group)
            self._change(group, lambda files: _without(files, key))

    # Locks.

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold an exclusive lock between processes of all machines; that of the index, of this machine's."""
        if key in _LOCKS_HERE:
            with self._here.lock(key):
                yield
            return
        with self._leases.hold(key) as lease, self._cache.pin(key):
            if lease.taken_over and VIDEO_ID.fullmatch(key):
                # From here on, nothing that the last holder may still write counts.
                self._commits.claim(key, lease.token)
                self._sweep(key)
            else:
                self._commits.refresh(key)
            yield

    def _sweep(self, group: str) -> None:
        """Delete the objects that a dead process uploaded for a group and did not commit."""
        named = {entry.object for entry in self._commit(group).values()}
        oldest = datetime.now(UTC) - _ABANDONED
        found = [n for n, _, moment in self._store.names(f"data/{group}/") if n not in named and moment < oldest]
        self._forget(found)

    def is_locked(self, key: str) -> bool:
        """Whether some process holds the lock."""
        if key in _LOCKS_HERE:
            return self._here.is_locked(key)
        return self._leases.is_held(key)


class _CommitFolder:
    """Folder of the commits last seen, made when it is used."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def __call__(self) -> Path:
        """Return it."""
        return self._cache.folder_of("commits")


def _opened(url: str, options: dict[str, Any]) -> RemoteFiles:
    return RemoteFiles(url, **options)


def _is_here(key: str) -> bool:
    return any(key == place or key.startswith(f"{place}/") for place in _HERE)


def _without(files: dict[str, Entry], key: str) -> None:
    for each in [name for name in files if name == key or name.startswith(f"{key}/")]:
        del files[each]


def _write(path: Path, data: bytes) -> None:
    clear(path)
    path.write_bytes(data)
