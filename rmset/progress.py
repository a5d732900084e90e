"""Progress and messages of long work: callbacks, and bars in terminals and notebooks."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress(Protocol):
    """Progress callback: label, units done, total (0: unknown)."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report `done` of `total` units of `what`."""


def silent(what: str, done: int, total: int) -> None:
    """Drop the report."""


Say = Callable[[str], None]
"""Callback for one-line messages."""


def quiet(line: str) -> None:
    """Drop the line."""


@contextmanager
def bars(wanted: Progress | bool | None = None) -> Iterator[Progress]:
    """Show a bar per kind of work with count, time and time left, on stderr or in the notebook, until it is done.

    Args:
        wanted: None for bars in a terminal or notebook, False for none, or a callback that is called instead.
    """
    if callable(wanted):
        yield wanted
    elif wanted is False:
        yield silent
    elif in_notebook():
        with _notebook() as report:
            yield report
    elif wanted or sys.stderr.isatty():
        with _terminal() as report:
            yield report
    else:
        # No bars in log files.
        yield silent


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


@contextmanager
def _terminal() -> Iterator[Progress]:
    """Rich's bars; lines printed meanwhile appear above them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as shown:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total or None)
            shown.update(tasks[what], completed=done, total=total or None)

        yield report


@contextmanager
def _notebook() -> Iterator[Progress]:
    """Bars by tqdm, which unlike rich's need no widgets in the notebook."""
    with warnings.catch_warnings():
        # silence its advice to install widgets
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

    shown: dict[str, Any] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in shown:
            shown[what] = tqdm(desc=what, leave=False)
        bar = shown[what]
        if done < bar.n:
            # the same work on the next video
            bar.reset()
        bar.total = total or None
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        for bar in shown.values():
            bar.close()
