"""Commits: which objects are the files of a root.

commits/videos/<video_id>.json    the files of one video        commits/shared.json    all others

A file is part of the root from the moment a commit names it, whole or not at all, and so is a folder of shards. Objects
are written before, under names that are never used again. A commit is written only if it is still the one that was read
(a conditional write); it carries the token of the lock under which it was made, so a process that lost its lock without
noticing cannot undo what its successor published.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmset.bounded import SMALL, parse_json, read_text
from rmset.errors import RootError, UnreadableError
from rmset.records import VIDEO_ID
from rmset.remote.store import Conflict, ObjectStore, Version

SCHEMA = 1
SHARED = "shared"
"""group of the files that belong to no single video"""
FRESH = 1.0
"""a commit that was read so recently is not read again, s"""
_AT_ONCE = 16
_TRIES = 50
_FOLDER = "commits/"
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,4}")
_OBJECT = re.compile(r"data/[A-Za-z0-9_-]{1,64}/[0-9a-f]{16}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{64}")
# Their names are no video ids.
_SHARED_FOLDERS = ("duplicates/videos", "state/world")


@dataclass(frozen=True)
class Entry:
    """One file."""

    size: int
    """bytes"""
    sha256: str
    object: str | None = None
    """name of the object with its bytes"""
    packed: str | None = None
    """the bytes of a small file, compressed"""

    @classmethod
    def of_text(cls, data: bytes, sha256: str) -> Entry:
        """Return the entry of a small file, which is part of the commit itself."""
        return cls(len(data), sha256, packed=base64.b64encode(zlib.compress(data, 6)).decode())

    def data(self) -> bytes:
        """Return the bytes of a small file.

        Raises:
            UnreadableError: they are damaged.
        """
        try:
            unpack = zlib.decompressobj()
            data = unpack.decompress(base64.b64decode(self.packed or "", validate=True), self.size + 1)
        except (ValueError, zlib.error):
            data = b""
        if len(data) != self.size:
            raise UnreadableError(f"expected {self.size} bytes of a small file, found damaged ones; write it again")
        return data


@dataclass(frozen=True)
class Commit:
    """The files of one group."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    token: int = 0
    """token of the last lock under which it was written"""
    version: Version | None = None
    """None if there is none yet"""

    def to_bytes(self) -> bytes:
        """As written; no two writes are equal."""
        files = {
            key: {name: value for name, value in vars(entry).items() if value is not None}
            for key, entry in sorted(self.files.items())
        }
        return json.dumps(
            {"schema": SCHEMA, "token": self.token, "write": secrets.token_hex(8), "files": files}
        ).encode()

    @classmethod
    def parse(cls, text: str, version: Version | None, where: str) -> Commit:
        """Read what `to_bytes` wrote.

        Raises:
            RootError: it is damaged, or from a newer program.
        """
        try:
            raw = parse_json(text, where)
            if int(raw["schema"]) > SCHEMA:
                raise RootError(f"{where}: expected schema {SCHEMA} or older, found {raw['schema']}; update rmset")
            files = {str(key): _entry(str(key), value) for key, value in raw["files"].items()}
            return cls(files, int(raw["token"]), version)
        except (UnreadableError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise RootError(f"{where}: expected a commit, found damaged text; restore it from a backup") from error


def _entry(key: str, raw: Any) -> Entry:
    entry = Entry(int(raw["size"]), str(raw["sha256"]), raw.get("object"), raw.get("packed"))
    if entry.packed is None:
        fine = _OBJECT.fullmatch(entry.object or "") is not None
    else:
        fine = entry.size <= SMALL and isinstance(entry.packed, str)
    if not (fine and _KEY.fullmatch(key) and _HASH.fullmatch(entry.sha256) and entry.size >= 0):
        raise ValueError(key[:80])
    return entry


def group_of(key: str) -> str | None:
    """Return the group of a key, or of all keys that match a pattern; None if they may be in several.

    >>> group_of("tracks/abc.parquet"), group_of("crops/abc/part-000.parquet"), group_of("state/track/abc.json")
    ('abc', 'abc', 'abc')
    >>> group_of("removed.json"), group_of("videos/*.json"), group_of("*/abc.*")
    ('shared', None, 'abc')
    """
    parts = key.split("/")
    if len(parts) == 1 or "/".join(parts[:2]).partition(".")[0] in _SHARED_FOLDERS:
        return SHARED if "*" not in parts[0] else None
    if parts[0] == "state" and len(parts) == 2:
        return SHARED if "*" not in parts[1] else None
    name = parts[1] if parts[0] == "crops" else parts[-1].removeprefix(".").partition(".")[0]
    if VIDEO_ID.fullmatch(name):
        return name
    return None if any(sign in name for sign in "*?[") else SHARED


def _object(group: str) -> str:
    return f"{_FOLDER}shared.json" if group == SHARED else f"{_FOLDER}videos/{group}.json"


def _group(name: str) -> str | None:
    if name == _object(SHARED):
        return SHARED
    found = name.removeprefix(f"{_FOLDER}videos/").removesuffix(".json")
    return found if VIDEO_ID.fullmatch(found) and name == _object(found) else None


class Commits:
    """The commits of a root, as last seen; a second old at most.

    Args:
        store: the bucket.
        folder: where the last ones seen are kept for the next process.
    """

    def __init__(self, store: ObjectStore, folder: Callable[[], Path]) -> None:
        self._store, self._folder = store, folder
        self._lock = threading.RLock()
        self._seen: dict[str, tuple[float, Commit]] = {}
        self._listed = -FRESH  # when all were listed

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what was seen."""
        return {"_store": self._store, "_folder": self._folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start anew."""
        self.__init__(**{name.removeprefix("_"): value for name, value in state.items()})  # type: ignore[misc]

    def of(self, group: str, *, held: bool = False) -> Commit:
        """Return the commit of a group; if its lock is `held`, the one last seen."""
        known = self._seen.get(group)
        now = time.monotonic()
        if known is not None and (held or self._store.is_forked or now - known[0] < FRESH):
            return known[1]
        if known is None and now - self._listed < FRESH:
            return Commit()
        return self._read(group)

    def refresh(self, group: str) -> None:
        """Read a commit now."""
        self._read(group)

    def _read(self, group: str) -> Commit:
        """Read a commit from the store, and note it."""
        now = time.monotonic()
        commit = self._fetched(group)
        with self._lock:
            self._seen[group] = (now, commit)
        return commit

    def _fetched(self, group: str) -> Commit:
        try:
            data, version = self._store.get(_object(group))
        except FileNotFoundError:
            return Commit()
        return Commit.parse(data.decode("utf-8", "replace"), version, self._store.place(_object(group)))

    def all(self) -> dict[str, Commit]:
        """Return the commits of all groups; only changed ones are read."""
        with self._lock:
            now = time.monotonic()
            if now - self._listed < FRESH or (self._store.is_forked and self._listed > 0):
                return {group: commit for group, (_, commit) in self._seen.items()}
            found = {g: v for name, v, _ in self._store.names(_FOLDER) if (g := _group(name)) is not None}
            known = {g: self._seen[g][1] if g in self._seen else self._kept(g) for g in found}
            same = {g: c for g, c in known.items() if c is not None and c.version and c.version.name == found[g].name}
            wanted = [g for g in found if g not in same]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                fresh = dict(zip(wanted, pool.map(self._fetched, wanted), strict=True))
            for group, commit in fresh.items():
                self._keep(group, commit)
            self._seen = {g: (now, c) for g, c in (same | fresh).items()}
            self._listed = now
            return same | fresh

    # The last ones seen by any process of this machine.

    def _kept(self, group: str) -> Commit | None:
        path = self._folder() / f"{group}.json"
        try:
            first, _, text = read_text(path, 2 * SMALL).partition("\n")
            version = json.loads(first)
            return Commit.parse(text, Version(version["e_tag"], version["number"]), str(path))
        except (OSError, RootError, UnreadableError, ValueError, TypeError, KeyError):
            return None

    def _keep(self, group: str, commit: Commit) -> None:
        if commit.version is None:
            return
        path = self._folder() / f"{group}.json"
        partial = path.with_name(f".{group}.{secrets.token_hex(4)}.partial")
        with contextlib.suppress(OSError):
            partial.write_bytes(json.dumps(vars(commit.version)).encode() + b"\n" + commit.to_bytes())
            partial.replace(path)

    # Changes.

    def claim(self, group: str, token: int) -> None:
        """Write the token of a lock into a commit: holders before it can change it no more."""
        self.change(group, lambda _: None, token)

    def change(
        self, group: str, update: Callable[[dict[str, Entry]], None], token: int | None = None
    ) -> tuple[Commit, Commit]:
        """Write a changed commit, whatever others write at the same time; return the one before and the new one.

        Args:
            group: the group.
            update: changes the files; called again if another process wrote in between.
            token: token of the held lock; None if none is held.

        Raises:
            RootError: the lock has passed to another process.
        """
        commit = self.of(group, held=True)
        for attempt in range(_TRIES):
            if token is not None and commit.token > token:
                raise RootError(lost(group))
            files = dict(commit.files)
            update(files)
            after = Commit(files, max(token or 0, commit.token))
            try:
                version = self._store.put(_object(group), after.to_bytes(), commit.version)
            except Conflict:
                time.sleep(min(0.01 * attempt, 0.5))
                commit = self._read(group)
                continue
            after = Commit(files, after.token, version)
            with self._lock:
                self._seen[group] = (time.monotonic(), after)
            return commit, after
        raise RootError(f"{self._store.place(_object(group))}: expected to write it, found others writing; try again")


def lost(what: str) -> str:
    """Message of a process whose lock has passed to another."""
    return (
        f"{what}: expected to hold its lock, found that it had expired, because this process was stopped or cut off; "
        "nothing of this run was published: run it again"
    )
