"""Worker processes that do not import the caller's script.

A spawned process imports the script that spawned it. `rmset.build(root, jobs=2)` at the top of a script would then
build again in every worker. The functions that workers run live in importable modules, so they need no script.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Lock, Thread
from types import ModuleType

_starting = Lock()


class _Worker(SpawnProcess):
    """A spawned process that does not know which script is running."""

    def start(self) -> None:
        """Start it; the script is hidden for the moment in which the process is described."""
        with _starting:
            script = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                super().start()
            finally:
                sys.modules["__main__"] = script


class WorkerContext(SpawnContext):
    """For `ProcessPoolExecutor(mp_context=WorkerContext())`."""

    Process = _Worker


def end_with(parent: Connection) -> None:
    """End this worker when the other end of a pipe is closed: by its parent, or by the system when the parent dies.

    A worker that outlives its parent would hold its memory and the locks of its video.
    """

    def wait() -> None:
        try:
            parent.recv_bytes()
        except (EOFError, OSError):
            # No cleanup needed: the next run replaces incomplete files.
            os._exit(1)

    # Ctrl-C in a terminal reaches workers too; it is the parent that ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=wait, name="parent", daemon=True).start()
