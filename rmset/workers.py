"""Worker processes that do not import the caller's script.

A spawned process imports the script that spawned it. `rmset.build(root, jobs=2)` at the top of a script would then
build again in every worker. The functions that workers run live in importable modules, so they need no script.
"""

from __future__ import annotations

import sys
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Lock
from types import ModuleType

_starting = Lock()


class _Worker(SpawnProcess):
    """A spawned process that is not told which script is running."""

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
