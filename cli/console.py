"""Output of both command lines: tables, progress, and one-line errors.

Results go to stdout, messages to stderr. `--quiet` silences messages, never results. All output goes through this
module, because it may contain untrusted text, which is escaped here (`printed`).
"""

from __future__ import annotations

import copy
import csv
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command_name

from rmset.errors import RmsetError, UsageError
from rmset.progress import Progress, bars
from rmset.read.values import csv_cell, plain

from . import printed, signals


class Format(StrEnum):
    """Output format of a command."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


PANEL_OUTPUT = "output"

FormatOption = Annotated[
    Format, typer.Option("--format", "-f", help="How to print the result.", rich_help_panel=PANEL_OUTPUT)
]


class _Talk:
    """Whether to print messages; one value for all threads of the process."""

    quiet = False


def be_quiet(context: typer.Context, quiet: bool) -> None:
    """Silence messages and progress until the program's context closes: a callback of `--quiet`.

    The end of the context undoes it, so that a process may run several commands. A command's default does not: it must
    not undo the program's own `--quiet`.
    """
    if quiet:
        _Talk.quiet = True
        context.find_root().call_on_close(_talk_again)


def _talk_again() -> None:
    _Talk.quiet = False


QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print results only: no progress, no messages.",
        callback=be_quiet,
        is_eager=True,
        rich_help_panel=PANEL_OUTPUT,
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from rmset import __version__

        typer.echo(__version__)
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
]


def _set_cache(folder: Path | None) -> None:
    if folder is not None:
        # In the environment, where processes that this one starts find it.
        os.environ["RMSET_CACHE"] = str(folder.resolve())


def _set_cache_size(size: str | None) -> None:
    if size is not None:
        from rmset.remote.cache import parse_size

        parse_size(size)
        os.environ["RMSET_CACHE_SIZE"] = size


CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Local copies of a data set on an object store; else $RMSET_CACHE, else the user's cache folder.",
        callback=_set_cache,
        show_default=False,
    ),
]
CacheSizeOption = Annotated[
    str | None,
    typer.Option(
        "--cache-size",
        metavar="SIZE",
        help="Most room for these copies, such as 200GB; else $RMSET_CACHE_SIZE, else half of the free disk.",
        callback=_set_cache_size,
        show_default=False,
    ),
]


class PanelCommand(TyperCommand):
    """A command whose `--help` groups options by their headings, in the order of the first option of each."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                own = "Arguments" if parameter.param_type_name == "argument" else "Options"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)


def say(message: str) -> None:
    """Print a one-line message on stderr."""
    if not _Talk.quiet:
        warn(message)


def warn(message: str) -> None:
    """Print a one-line warning on stderr, even under `--quiet`: a failure that does not end the command."""
    sys.stderr.write(printed.one_line(message) + "\n")
    sys.stderr.flush()


def echo(text: str) -> None:
    """Print a result that is plain text, of one or more lines, on stdout."""
    sys.stdout.write(printed.lines(text) + "\n")
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity become null."""
    # json escapes all but ASCII; DEL is escaped here
    text = json.dumps(plain(value), indent=1)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")


def emit(
    rows: Sequence[Mapping[str, Any]],
    fmt: Format,
    columns: Sequence[str] | None = None,
    title: str = "",
    *,
    cell: Callable[[str], str] = printed.cell,
) -> None:
    """Print rows on stdout as a table, as a JSON array, or as CSV.

    Args:
        rows: one mapping per row; all have the same keys.
        fmt: output format.
        columns: names and their order; those of the first row if omitted.
        title: heading of the table; not used in JSON and CSV.
        cell: conversion of CSV texts; the default escapes texts that a spreadsheet would run as formulas.
    """
    names = list(columns) if columns is not None else (list(rows[0]) if rows else [])
    if fmt is Format.JSON:
        document([{n: row[n] for n in names} for row in rows])
    elif fmt is Format.CSV:
        # Texts may contain carriage returns, which the csv module does not quote.
        guarded = cell is printed.cell
        writer = csv.writer(
            sys.stdout, lineterminator="\n", quoting=csv.QUOTE_MINIMAL if guarded else csv.QUOTE_NONNUMERIC
        )
        writer.writerow([cell(name) for name in names])
        writer.writerows([[csv_cell(row[n], cell) for n in names] for row in rows])
    else:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        heading = Text(printed.one_line(title)) if title else None
        table = Table(title=heading, title_justify="left", title_style="bold", header_style="bold")
        for name in names:
            numeric = bool(rows) and all(isinstance(row[name], (int, float)) or row[name] is None for row in rows)
            shown = Text(printed.one_line(name))
            table.add_column(shown, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printed.lines(_shown(row[n]))) for n in names))
        Console(width=None if sys.stdout.isatty() else 160, soft_wrap=False).print(table)


def _shown(value: Any) -> str:
    """Render a value as a cell of a table; pixels and other bytes by their number."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)


def progress() -> AbstractContextManager[Progress]:
    """Show a bar per kind of work with time left, on stderr; nothing under `--quiet`."""
    return bars(False if _Talk.quiet else None)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def run(app: typer.Typer, name: str, as_flags: Callable[[str], str] = str) -> None:
    """Run an app; print every expected error as one line, with the right exit code.

    Args:
        app: the program.
        name: name of the program.
        as_flags: replaces parameter names in a message by flags.
    """
    printed.plain_streams()
    if _is_later_rank():
        # one process of a data-parallel training talks and prints
        _Talk.quiet = True
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        try:
            signals.end_on_signals()
            asked_for(app, sys.argv[1:])(prog_name=name)
        except BaseException as ended:
            if not isinstance(ended, (SystemExit, RmsetError)):
                # not an end that all processes come to alike
                _be_heard()
            if code := signals.stop_code(ended):
                if _speaks():
                    _be_heard()
                    warn(f"{name}: stopped; run the same command again to resume")
                _leave(code)
            raise
    except RmsetError as error:
        if _speaks():
            _be_heard()
            warn(f"{name}: {as_flags(str(error))}")
        sys.exit(error.exit_code)
    except SystemExit:
        # The command is finished: a later SIGTERM must not look like a stop that lacks its line.
        signals.on_sigterm(signal.SIG_DFL)
        raise
    except BrokenPipeError:
        # The reader of a pipe (head, less) has closed it.
        sys.stderr.close()
        sys.exit(0)
    except MemoryError:
        warn(f"{name}: expected work that fits into memory, found more; ask for less at once, or take a larger machine")
        sys.exit(1)
    except OSError as error:
        # not handled by the command: an unwritable folder, a file in place of a folder
        if error.filename is not None:
            found = f"expected to read or write {error.filename}, found: {error.strerror}; name another"
        elif error.errno in _FULL:
            found = f"expected space for the output, found: {error.strerror}; free some space"
            # Flushing the buffer of a full standard output would fail again at exit.
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
        else:
            raise
        warn(f"{name}: {found}")
        sys.exit(1)


def asked_for(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """Return the program with only the command or group that the first word names, else the whole program.

    A shorter start: Typer inspects the signatures of all commands of the program that it is given.
    """
    first = words[0] if words else ""
    commands = [
        c for c in app.registered_commands if (c.name or get_command_name(getattr(c.callback, "__name__", ""))) == first
    ]
    groups = [g for g in app.registered_groups if g.name == first]
    if not commands and not groups:
        return app
    one = copy.copy(app)
    one.registered_commands, one.registered_groups = commands, groups
    return one


def _ranks() -> int:
    """Return the number of processes that a launcher of data-parallel training has started."""
    known = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    return int(os.environ["WORLD_SIZE"]) if known else 1


def _is_later_rank() -> bool:
    """Whether a launcher of data-parallel training started this process as another than the first."""
    return _ranks() > 1 and os.environ["RANK"] != "0"


def require_one_process(what: str) -> None:
    """Raise under a launcher of several processes, for work that they do not share.

    Raises:
        UsageError: there are several.
    """
    if _ranks() > 1:
        raise UsageError(f"expected one process for {what}, found {_ranks()}; start it without torchrun")


def _be_heard() -> None:
    """Give a later process its standard error back."""
    if _is_later_rank() and sys.__stderr__ is not None:
        sys.stderr = sys.__stderr__


def _speaks() -> bool:
    """Whether this process reports how the command ended: one of those of a data-parallel training, else the only one.

    The processes agree on it once they have joined; until then all fail alike, and the first one speaks.
    """
    joined = sys.modules.get("fertrain.ranks")
    return bool(joined.speaks()) if joined is not None else not _is_later_rank()


def _leave(code: int) -> None:
    """End the process; exit at once if DuckDB is busy with one huge value, which cannot be interrupted."""
    if any(thread.name == "rmset-sql" and thread.is_alive() for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
