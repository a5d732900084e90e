"""Locks on a bucket: leases that expire, renewed while their owner lives, each with a higher token than the last.

A lease is an object `locks/<key>.json`. Its age is measured by the store's clock only. The lease of a dead process of
this machine is taken over at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rmset.errors import RootError
from rmset.remote.commits import lost
from rmset.remote.store import Conflict, ObjectStore, Version

SECONDS = 60.0
"""how long a lease lives without being renewed, s"""
_RENEWALS = 4
# The store's clock counts whole seconds.
_MARGIN = 1.0
_TRIES = 20


@dataclass
class Lease:
    """A held lock."""

    key: str
    token: int
    """larger than that of every earlier holder"""
    taken_over: bool
    """whether its last holder left it without releasing it"""
    version: Version
    until: float
    """when it ends unless renewed, by this process's clock"""
    gone: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Check that it is still held.

        Raises:
            RootError: it has expired.
        """
        if self.gone or _clock() > self.until:
            raise RootError(lost(self.key))


class Leases:
    """The locks of a root.

    Args:
        store: the bucket.
        seconds: how long a lease lives without being renewed.
    """

    def __init__(self, store: ObjectStore, seconds: float = SECONDS) -> None:
        self._store, self._seconds = store, seconds
        self.held: dict[str, Lease] = {}
        """locks of this process, by key"""

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without held locks."""
        return {"_store": self._store, "_seconds": self._seconds, "held": {}}

    @contextmanager
    def hold(self, key: str) -> Iterator[Lease]:
        """Hold a lock.

        Raises:
            RootError: another process holds it.
        """
        lease = self._acquire(key)
        self.held[key] = lease
        renewer = threading.Thread(target=self._renew, args=(lease,), name=f"lease {key}", daemon=True)
        renewer.start()
        try:
            yield lease
        finally:
            lease.ended.set()
            renewer.join()
            self.held.pop(key, None)
            self._release(lease)

    def is_held(self, key: str) -> bool:
        """Whether some process holds a lock now."""
        try:
            found, _ = self._read(key)
        except (FileNotFoundError, RootError):
            return False
        return found["holder"] is not None and not (_is_dead(found["holder"]) or self._left(key) <= 0)

    def _acquire(self, key: str) -> Lease:
        for attempt in range(_TRIES):
            began = _clock()
            try:
                found, version = self._read(key)
            except FileNotFoundError:
                found, version = {"holder": None, "token": 0}, None
            holder = found["holder"]
            if holder is not None and not _is_dead(holder) and (left := self._left(key)) > 0:
                raise RootError(
                    f"{key}: another process is working on it (process {holder.get('pid')} on {holder.get('host')}); "
                    f"wait for it or stop it; its lock expires in {left:.0f} s unless it is renewed"
                )
            token = int(found["token"]) + 1
            try:
                version = self._store.put(_object(key), _text(_self(), token), version)
            except Conflict:
                time.sleep(min(0.02 * attempt, 0.5))
                continue
            return Lease(key, token, holder is not None, version, began + self._seconds)
        raise RootError(f"{key}: many processes try to work on it; run the same command again")

    def _read(self, key: str) -> tuple[dict[str, Any], Version]:
        data, version = self._store.get(_object(key))
        try:
            found = json.loads(data[:10_000])
            holder = found["holder"]
            return {"holder": holder if isinstance(holder, dict) else None, "token": int(found["token"])}, version
        except (ValueError, TypeError, KeyError) as error:
            raise RootError(
                f"{self._store.place(_object(key))}: expected a lock, found damaged text; remove it"
            ) from error

    def _left(self, key: str) -> float:
        """How long a lease lives on, s, both moments by the store's clock."""
        try:
            renewed = self._store.modified(_object(key))
            self._store.write("clock", secrets.token_bytes(8))
            now = self._store.modified("clock")
        except FileNotFoundError:
            return 0.0
        return self._seconds + _MARGIN - (now - renewed).total_seconds()

    def _renew(self, lease: Lease) -> None:
        pause = self._seconds / _RENEWALS
        while not lease.ended.wait(pause):
            began = _clock()
            try:
                lease.version = self._store.put(_object(lease.key), _text(_self(), lease.token), lease.version)
            except Conflict:
                lease.gone = True
                return
            except Exception:
                # The store cannot be reached: `until` says how long that may last.
                if _clock() > lease.until:
                    lease.gone = True
                    return
            else:
                lease.until = began + self._seconds

    def _release(self, lease: Lease) -> None:
        if lease.gone:
            return
        with contextlib.suppress(Conflict, RootError):
            # What cannot be released expires. The token stays, for the next holder's.
            self._store.put(_object(lease.key), _text(None, lease.token), lease.version)


def _object(key: str) -> str:
    return f"locks/{key}.json"


def _text(holder: dict[str, Any] | None, token: int) -> bytes:
    return json.dumps({"holder": holder, "token": token, "write": secrets.token_hex(8)}).encode()


def _clock() -> float:
    """Seconds, counted on while the machine sleeps if the system can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _self() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "system": _system(), "began": _began(os.getpid())}


@cache
def _system() -> str | None:
    """Name of this boot of this machine, and of the space in which process numbers count; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _began(pid: int) -> str | None:
    """When a process began, in ticks of the system; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        # A dead process that was not waited for is still listed.
        return None if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return None


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    if _system() is None or holder.get("system") != _system() or not isinstance(holder.get("pid"), int):
        return False
    return _began(holder["pid"]) != holder.get("began")
