"""Signals that end a command: what is done about them, and the exit code that follows."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

TERMINATED = 143
"""Exit code after SIGTERM, as in a shell: 128 + 15."""


class _Signal:
    """The signal that asked the program to end, by its exit code; 0 before one came."""

    code = 0


def end_on_signals() -> None:
    """Handle SIGTERM like Ctrl-C: remove partial files, keep finished work resumable; remember either."""
    own = os.getpid()

    def end(signum: int, frame: object) -> None:
        if os.getpid() != own:
            # A forked worker has nothing to clean up.
            os._exit(TERMINATED)
        # A second signal must not interrupt the cleanup.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _Signal.code = TERMINATED
        sys.exit(TERMINATED)

    def interrupt(signum: int, frame: object) -> None:
        _Signal.code = 130
        raise KeyboardInterrupt

    _Signal.code = 0
    on_sigterm(end)
    # A caller that ignores Ctrl-C, such as a shell for a job in the background, is not overruled.
    if _is_main() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def on_sigterm(handler: Any) -> None:
    """Set the handler; only the main thread can."""
    if _is_main():
        signal.signal(signal.SIGTERM, handler)


def stop_code(ended: BaseException) -> int:
    """Return the exit code of a command that a signal ended, 0 of others.

    Libraries that call back into Python, such as DuckDB and torch, swallow the exception of a signal, and fail with an
    error of their own.
    """
    if isinstance(ended, SystemExit):
        return int(ended.code) if ended.code in (130, TERMINATED) else 0
    return 130 if isinstance(ended, KeyboardInterrupt) else _Signal.code
