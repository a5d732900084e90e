"""What the two command lines share: tables, progress, and errors as one line.

Results go to stdout, talk goes to stderr. `--quiet` silences the talk, never the results.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from rmset.errors import RmsetError
from rmset.progress import Progress, bars


class Format(StrEnum):
    """How a command prints data."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


PANEL_OUTPUT = "output"

FormatOption = Annotated[
    Format, typer.Option("--format", "-f", help="How to print the result.", rich_help_panel=PANEL_OUTPUT)
]


class _Talk:
    """Whether talk is wanted; set once by the app's callback."""

    quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence talk and progress for the rest of the process."""
    _Talk.quiet = quiet


def _quiet_given(quiet: bool) -> None:
    # not the other way round: a command's default does not undo the program's own --quiet
    if quiet:
        set_quiet(True)


QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="No progress and no talk; results only.",
        callback=_quiet_given,
        is_eager=True,
        rich_help_panel=PANEL_OUTPUT,
    ),
]


class PanelCommand(TyperCommand):
    """A command whose `--help` lists options under the headings that they name, in the order of their first option."""

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
    """Tell the user something that is not the result."""
    if not _Talk.quiet:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


def emit(rows: Sequence[Mapping[str, Any]], fmt: Format, columns: Sequence[str] | None = None, title: str = "") -> None:
    """Print rows on stdout as a table, as a JSON array, or as CSV.

    Args:
        rows: one mapping a row; all have the same keys.
        fmt: the form.
        columns: names and their order; those of the first row if omitted.
        title: stands above the table, and nowhere else.
    """
    names = list(columns) if columns is not None else (list(rows[0]) if rows else [])
    if fmt is Format.JSON:
        json.dump([{n: row[n] for n in names} for row in rows], sys.stdout, indent=1, default=str)
        sys.stdout.write("\n")
    elif fmt is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if row[n] is None else row[n] for n in names] for row in rows])
    else:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
        for name in names:
            numeric = bool(rows) and all(isinstance(row[name], (int, float)) or row[name] is None for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(_cell(row[n])) for n in names))
        Console(width=None if sys.stdout.isatty() else 160, soft_wrap=False).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return str(value)


def progress() -> AbstractContextManager[Progress]:
    """A bar per kind of work with time left, on stderr; nothing under `--quiet`."""
    return bars(False if _Talk.quiet else None)


def run(app: typer.Typer, name: str, as_flags: Callable[[str], str] = str) -> None:
    """Run an app; turn every expected error into one line and the right exit code.

    Args:
        app: the program.
        name: as users type it.
        as_flags: turns names of parameters in a message into flags.
    """
    try:
        app(prog_name=name)
    except RmsetError as error:
        sys.stderr.write(f"{name}: {as_flags(str(error))}\n")
        sys.exit(error.exit_code)
    except SystemExit as ended:
        # What Typer makes of Ctrl-C.
        if ended.code == 130:
            sys.stderr.write(f"{name}: stopped; run the same command again to go on\n")
        raise
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # what no command foresaw: a folder that cannot be written, a file where a folder should be
        if error.filename is None:
            raise
        sys.stderr.write(f"{name}: expected to read or write {error.filename}, found: {error.strerror}; name another\n")
        sys.exit(1)
