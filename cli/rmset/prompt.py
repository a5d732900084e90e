"""An SQL prompt: lines with history and completion, statements that end in a semicolon, a few dot commands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rmset.errors import RmsetError

from ..console import Format, say, warn

if TYPE_CHECKING:
    from rmset.read.catalog import Catalog

HELP = """\
A statement ends with a semicolon.
.tables            tables and macros           .schema TABLE      columns of a table
.format NAME       table, json or csv          .output FILE       write the next result to Parquet or CSV
.help              this                        .quit              leave (or Ctrl-D)"""
_KEYWORDS = (
    "select", "from", "where", "group", "by", "order", "limit", "having", "join", "left", "using", "on", "and", "or",
    "not", "in", "between", "is", "null", "as", "distinct", "with", "union", "all", "except", "intersect", "case",
    "when", "then", "else", "end", "count", "sum", "avg", "min", "max", "median", "quantile_cont", "describe",
    "summarize", "explain", "unnest", "range", "desc", "asc", "over", "partition", "filter",
)  # fmt: skip
_HISTORY = 2000


def loop(catalog: Catalog, answer: Callable[[str, Format, Path | None], None]) -> None:
    """Read statements from the terminal and run each, until the user leaves.

    Args:
        catalog: source of names for completion.
        answer: runs a query and prints its result in a format, or writes it to a file.
    """
    with _terminal(catalog):
        say(f"{catalog.root.place}: .help lists commands, Ctrl-D leaves")
        fmt, output = Format.TABLE, None
        for text in statements(_lines()):
            try:
                if not text.startswith("."):
                    answer(text, fmt, output)
                    output = None
                    continue
                command, _, rest = text[1:].partition(" ")
                if command in ("quit", "exit"):
                    return
                if command == "format" and rest in list(Format):
                    fmt = Format(rest)
                elif command == "output" and rest:
                    output = Path(rest)
                elif command == "tables":
                    answer("show tables", fmt, None)
                    say(
                        "macros: positives(video, person, frame), negatives(video, person, frame), all_positives(video)"
                    )
                elif command == "schema" and re.fullmatch(r"\w+", rest):
                    answer(f"describe {rest}", fmt, None)
                else:
                    for line in HELP.splitlines():
                        say(line)
            except RmsetError as error:
                # A typing error does not end the prompt.
                warn(str(error))
            except KeyboardInterrupt:
                warn("stopped")


def statements(lines: Iterator[str]) -> Iterator[str]:
    r"""Join lines into statements, which end at a semicolon at the end of a line; a dot command is one line.

    >>> list(statements(iter(["select 1,", "2;", ".help", "select 3"])))
    ['select 1,\n2', '.help', 'select 3']
    """
    kept: list[str] = []
    for line in lines:
        if not kept and line.strip().startswith("."):
            yield line.strip()
            continue
        if not kept and not line.strip():
            continue
        kept.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(kept).strip().rstrip(";").strip()
            kept = []
    if kept:
        yield "\n".join(kept).strip()


def words(catalog: Catalog) -> list[str]:
    """List words for completion: tables, columns, macros, keywords."""
    rows = catalog.sql("select distinct table_name, column_name from duckdb_columns() where not internal").rows()
    names = {row["table_name"] for row in rows} | {row["column_name"] for row in rows}
    return sorted(names | {"positives(", "negatives(", "all_positives("}) + sorted(_KEYWORDS)


def completer(known: list[str]) -> Callable[[str, int], str | None]:
    """Make a completer for readline: the n-th word that begins with the text, in the case that the user types."""

    def complete(text: str, n: int) -> str | None:
        found = [w for w in known if w.startswith(text.lower())]
        if n >= len(found):
            return None
        return found[n].upper() if text.isupper() else found[n]

    return complete


def _lines() -> Iterator[str]:
    prompt = "rmset> "
    while True:
        try:
            line = input(prompt)
        except EOFError:
            warn("")
            return
        except KeyboardInterrupt:
            warn("")
            continue
        prompt = "rmset> " if line.rstrip().endswith(";") or line.startswith(".") or not line.strip() else "  ...> "
        yield line


class _terminal:  # noqa: N801  (reads as a context)
    """History and completion, if the system has readline."""

    def __init__(self, catalog: Catalog) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self._file = Path(state) / "rmset" / "sql_history"
        self._catalog = catalog

    def __enter__(self) -> None:
        try:
            import readline
        except ImportError:
            return
        readline.set_completer(completer(words(self._catalog)))
        readline.set_completer_delims(" \t\n,()=<>+-*/;")
        readline.parse_and_bind("tab: complete")
        readline.set_history_length(_HISTORY)
        if self._file.exists():
            try:
                readline.read_history_file(self._file)
            except OSError as error:
                say(f"{self._file}: history cannot be read ({error.strerror})")

    def __exit__(self, *exc: object) -> None:
        try:
            import readline

            self._file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(self._file)
        except (ImportError, OSError) as error:
            say(f"history is not kept ({error})")
