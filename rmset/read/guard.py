"""What a reader's SQL may be: one `select` that reads the root's tables and computes, nothing else.

Three doors, one behind the other: the kind of the statement; its parse tree, in which DuckDB 2 may hide an `insert`
inside a `with`, or a function that reads files; and the locked configuration of the connection (`rmset.read.catalog`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from rmset.errors import QueryError

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)
TABLE_FUNCTIONS = {
    "all_positives", "generate_series", "negatives", "positives", "range", "repeat", "unnest",
    "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types", "duckdb_views",
}  # fmt: skip


def check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Let a query pass, or say why not.

    Raises:
        QueryError: it cannot be parsed, is not one `select` (or `describe`, `summarize`, `explain`), or uses a
            function that could read more than the root.
    """
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"SQL: {one_line(error)}") from error
    if len(statements) != 1 or statements[0].type not in _READS:
        kinds = ", ".join(s.type.name.lower() for s in statements) or "nothing"
        raise QueryError(f"SQL: expected one select, found {kinds}; a root is only read from here")
    text = _EXPLAIN.sub("", statements[0].query, count=1)
    answer = connection.execute("select json_serialize_sql($query)", {"query": text}).fetchall()
    tree = json.loads(answer[0][0])
    if tree.get("error"):
        raise QueryError(f"SQL: expected one select, found {tree.get('error_message')}; a root is only read from here")
    for node in _nodes(tree):
        kind = str(node.get("type", ""))
        if kind.endswith("_NODE") and kind not in _NODES:
            found = kind.removesuffix("_NODE").removesuffix("_QUERY").lower()
            raise QueryError(f"SQL: expected one select, found {found} inside it; a root is only read from here")
        if kind == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name", "")).lower()
            if name not in TABLE_FUNCTIONS:
                raise QueryError(
                    f"SQL: expected a table of the root, found the function {name or '?'}; `show tables` lists the "
                    "tables; beside them range, unnest, positives, negatives, all_positives may stand"
                )


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree."""
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            yield here
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)


def one_line(error: Exception) -> str:
    """A DuckDB error without its line breaks and pointers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    return "; ".join(lines)
