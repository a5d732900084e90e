"""Reuse of freed memory by the C library, for networks on the processor.

glibc maps buffers of more than 32 MiB anew, and returns the free end of its heap to the system. A network frees and
requests all its activations in every step, so the kernel clears the same pages again and again.
"""

from __future__ import annotations

import ctypes
import os
import sys

# names and numbers of malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD = 64 << 20
"""Bytes requested from the system beyond a buffer; fewer requests while the process grows."""


def keep_freed_memory() -> bool:
    """Let glibc keep freed buffers for the next ones instead of returning them to the system.

    It holds for the whole process, so a program decides it, not a library: `fertrain` and its helper processes do.
    Results stay the same to the bit. The peak of the memory grows by up to a ninth, and the process does not shrink
    after it (benchmarks/results/allocator.md). Settings of the user (`MALLOC_*`, `GLIBC_TUNABLES`) take precedence.

    Returns:
        Whether it is in force; False without glibc, or where the user has settings.
    """
    own = any(name.startswith("MALLOC_") for name in os.environ) or "glibc.malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if sys.platform != "linux" or own:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # -1: never; bitwise, because every setting is tried
    return bool(mallopt(_MMAP_MAX, 0) & mallopt(_TRIM_THRESHOLD, -1) & mallopt(_TOP_PAD, _PAD))
