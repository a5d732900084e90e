"""Memory limit of a process, for values outside DuckDB's own limit: one list, one text, one Python object."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
# DuckDB counts its buffers; threads, Arrow batches and Python objects come beside them.
_BESIDE = 512 << 20


def size(text: str) -> int:
    """Bytes of a size as DuckDB prints it.

    >>> size("1.5 GiB")
    1610612736
    """
    found = re.fullmatch(r"([\d.]+) ?(\w+)", text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"expected a size such as 1.5 GiB, found {text!r}")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _lower(memory: int) -> tuple[int, int] | None:
    """Set the limit; return the earlier one, or None if no limit can be set."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        (used,) = re.findall(r"VmData:\s*(\d+) kB", status)
        most = int(used) * 1024 + memory * 3 // 2 + _BESIDE
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([most, *known]), hard))
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    return soft, hard


class _Turn:
    """Number of calls that share the limit, and the limit before the first of them."""

    lock = threading.Lock()
    working = 0
    before: tuple[int, int] | None = None


@contextmanager
def within(memory: int | None) -> Iterator[None]:
    """Limit the data of the process to its size plus 1.5 times `memory` plus 512 MiB, until the context ends.

    Larger allocations then fail at once, before pages are touched. All threads share the limit. Only Linux supports it.

    Args:
        memory: bytes that DuckDB may use; None sets no bound.
    """
    if memory is None:
        yield
        return
    with _Turn.lock:
        if not _Turn.working:
            _Turn.before = _lower(memory)
        _Turn.working += 1
    try:
        yield
    finally:
        with _Turn.lock:
            _Turn.working -= 1
            if not _Turn.working and _Turn.before is not None:
                import resource

                resource.setrlimit(resource.RLIMIT_DATA, _Turn.before)
