"""Validation of untrusted SQL: exactly one `select` that reads the root's tables and computes.

DuckDB's own parser splits the text; the one statement found is the one that runs. Its parse tree is searched, because
DuckDB 2 accepts an `insert` inside a `with`, and functions that read files. The statement inside `explain` is parsed
separately, and the text that runs is built from it.

This is the first lock. The second is independent: a read-only database without files other than the root's tables,
which are read-only too (`rmset.read.catalog`, `rmset.read.mount`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from rmset.errors import QueryError

_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
TABLE_FUNCTIONS = {
    "all_positives", "generate_series", "negatives", "positives", "range", "repeat", "unnest",
    "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types", "duckdb_views",
}  # fmt: skip
# Functions with side effects, waits, access beyond the rows, or SQL of their own.
_FUNCTIONS = {
    "currval", "current_setting", "getenv", "getvariable", "json_deserialize_sql", "json_execute_serialized_sql",
    "json_serialize_plan", "nextval", "pg_sleep", "query", "query_table", "setseed", "setval", "sleep_ms", "write_log",
}  # fmt: skip
# Schemas of the engine with metadata of tables, columns and types.
_SCHEMAS = {"information_schema", "pg_catalog"}
_CATALOG_VIEWS = {"duckdb_columns", "duckdb_tables", "duckdb_types", "duckdb_views"}
_SHOWN = {'"tables"', "__show_tables_expanded"}
# Functions that make one value with a given number of elements. A value is held in memory whole, outside of
# DuckDB's memory limit.
_LISTS = {"range", "generate_series"}
_REPEATED = {"repeat", "list_resize", "array_resize", "lpad", "rpad", "bitstring"}
_MOST_ELEMENTS = 50_000_000
_MOST_TEXT = 1_000_000
_RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception): (.+)")
_POINTER = re.compile(r"LINE \d+:")
_ONLY = "a root is only read from here"


def check(connection: duckdb.DuckDBPyConnection, query: str, tables: Iterable[str]) -> duckdb.Statement:
    """Validate a query and return its one statement.

    Args:
        connection: connection whose parser is used.
        query: untrusted SQL.
        tables: names of the tables that may be read.

    Raises:
        QueryError: the query cannot be parsed, is not one `select` (or `describe`, `summarize`, `explain`), or uses a
            table or function that could read more than the root.
    """
    statement = _one(connection, query)
    if _type(statement) == duckdb.StatementType.EXPLAIN:
        verb, rest = _explained(statement.query)
        inner = _one(connection, rest)
        _look_through(connection, inner, tables)
        statement = _one(connection, f"{verb}\n{inner.query}")
        if _type(statement) != duckdb.StatementType.EXPLAIN:
            raise QueryError(f"SQL: expected explain and one select, found {_kind(statement)}; {_ONLY}")
        return statement
    _look_through(connection, statement, tables)
    return statement


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """Return the only statement of a text."""
    if len(query) > _MOST_TEXT:
        raise QueryError(f"SQL: expected at most {_MOST_TEXT:,} characters, found {len(query):,}; shorten the query")
    try:
        query.encode()  # fails for a lone surrogate
        statements = connection.extract_statements(query)
    except (duckdb.Error, UnicodeError) as error:
        if "expression depth" in str(error):
            raise _too_deep() from None
        raise QueryError(f"SQL: {one_line(error)}") from error
    except RecursionError:
        raise _too_deep() from None
    if len(statements) != 1:
        found = ", ".join(map(_kind, statements)) or "nothing"
        raise QueryError(f"SQL: expected one select, found {found}; {_ONLY}")
    statement = statements[0]
    if _type(statement) not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise QueryError(f"SQL: expected one select, found {_kind(statement)}; {_ONLY}")
    if statement.named_parameters:
        names = ", ".join(sorted(statement.named_parameters))
        raise QueryError(f"SQL: expected values, found the parameter {names}; write the value in its place")
    return statement


def _explained(text: str) -> tuple[str, str]:
    """Split a text into `explain` or `explain analyze` and the explained query."""
    data = text.encode()
    words: list[str] = []
    for start, kind in duckdb.tokenize(text):
        if kind == duckdb.token_type.comment:
            continue
        word = data[start : start + 8].decode(errors="replace").lower()
        if not words and word.startswith("explain"):
            words.append("explain")
        elif words == ["explain"] and word.startswith(("analyze", "analyse")):
            words.append("analyze")
        else:
            return " ".join(words), data[start:].decode()
    raise QueryError("SQL: expected explain and one select, found no select; write it after explain")


def _look_through(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement, tables: Iterable[str]) -> None:
    """Raise for a statement whose parse tree does more than read and compute."""
    if _type(statement) != duckdb.StatementType.SELECT:
        raise QueryError(f"SQL: expected one select, found {_kind(statement)}; {_ONLY}")
    try:
        answer = connection.execute("select json_serialize_sql($query)", {"query": statement.query}).fetchall()
        tree = json.loads(answer[0][0])
    except duckdb.Error as error:
        raise QueryError(f"SQL: {one_line(error)}") from error
    except RecursionError:
        raise _too_deep() from None
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        raise QueryError(f"SQL: expected one select, found {tree.get('error_message', 'another statement')}; {_ONLY}")
    nodes = list(_nodes(tree))
    known = {name.lower() for name in tables} | _named_here(nodes)
    # as tables they give rows one by one, without much memory
    streams = {id(node.get("function")) for node in nodes if node.get("type") == "TABLE_FUNCTION"}
    for node in nodes:
        _look_at(node, known)
        if node.get("class") == "FUNCTION" and id(node) not in streams:
            _look_at_size(_path(node)[-1], node.get("arguments") or [])


def _look_at(node: dict[str, Any], tables: set[str]) -> None:
    kind = str(node.get("type", ""))
    if (kind.endswith("_NODE") or "cte_map" in node) and kind not in _NODES:
        found = kind.removesuffix("_NODE").removesuffix("_QUERY").lower()
        raise QueryError(f"SQL: expected one select, found {found} inside it; {_ONLY}")
    if kind == "VALUE_PARAMETER":
        raise QueryError(f"SQL: expected values, found the parameter {node.get('identifier')}; write the value")
    if kind == "TABLE_FUNCTION":
        path = _path(node.get("function") or {})
        if path[0] not in TABLE_FUNCTIONS or len(path) != 1:
            raise QueryError(
                f"SQL: expected a table of the root, found the function {'.'.join(path) or '?'}; `show tables` lists "
                "the tables; allowed functions are range, unnest, positives, negatives and all_positives"
            )
    elif kind == "BASE_TABLE" or (kind == "SHOW_REF" and not node.get("query")):
        _look_at_table(_path(node), tables, shown=kind == "SHOW_REF")
    elif node.get("class") == "FUNCTION":
        path = _path(node)
        if path[-1] in _FUNCTIONS:
            raise QueryError(f"SQL: expected functions that compute, found {path[-1]}; {_ONLY}")


def _look_at_table(path: list[str], tables: set[str], *, shown: bool) -> None:
    *schema, name = path
    if shown and name in _SHOWN:
        return
    if schema in ([], ["main"]) and (name in tables or name in _CATALOG_VIEWS):
        return
    if schema and schema[-1] in _SCHEMAS and len(schema) == 1:
        return
    raise QueryError(
        f"SQL: expected a table of the root, found {'.'.join(path) or '?'}; `show tables` lists the tables"
    )


def _look_at_size(name: str, arguments: list[Any]) -> None:
    """Raise for a single value with very many elements, which would be held in memory whole."""
    numbers = [number for a in arguments if (number := _number(a)) is not None]
    count = 0.0
    if name in _LISTS and 1 <= len(numbers) == len(arguments) <= 3:
        low, high, step = (0.0, *numbers, 1.0) if len(numbers) == 1 else (*numbers, 1.0)[:3]
        count = abs((high - low) / step) if step else 0.0
    elif name in _REPEATED and len(arguments) > 1:
        count = _number(arguments[1]) or 0.0
    if count > _MOST_ELEMENTS:
        raise QueryError(
            f"SQL: expected a value of at most {_MOST_ELEMENTS:,} elements, found {name} of {count:,.0f}; "
            "`from range(…)` gives as many rows, one after the other"
        )


def _number(argument: Any) -> float | None:
    """Return the value of a literal number, with or without a sign or a cast; None for other expressions."""
    found = argument.get("expression", argument) if isinstance(argument, dict) else {}
    if not isinstance(found, dict):
        return None
    if found.get("type") == "OPERATOR_CAST":
        return _number(found.get("child"))
    path, inner = _path(found), found.get("arguments") or []
    if found.get("class") == "FUNCTION" and path[-1] in "+-" and len(inner) == 1:
        value = _number(inner[0])
        return None if value is None else value * (-1 if path[-1] == "-" else 1)
    if found.get("class") != "CONSTANT":
        return None
    literal = found.get("literal") or found.get("value") or {}
    try:
        return float(literal.get("text", literal.get("value", "")))
    except (TypeError, ValueError, AttributeError):
        return None


def _path(node: dict[str, Any]) -> list[str]:
    """Return the parts of the name of a table or function, in lower case."""
    named = node.get("qualified_name") or {}
    parts = named.get("path") or [node.get("function_name") or node.get("table_name") or "?"]
    return [str(part).lower() for part in parts]


def _named_here(nodes: list[dict[str, Any]]) -> set[str]:
    """Names that the query defines by `with`."""
    return {
        str(entry.get("key", "")).lower()
        for node in nodes
        for entry in (node.get("cte_map") or {}).get("map", ())
        if isinstance(entry, dict)
    }


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


def _type(statement: duckdb.Statement) -> duckdb.StatementType | None:
    try:
        return statement.type
    except ValueError:  # kinds missing from DuckDB's Python, such as `update extensions`
        return None


def _kind(statement: duckdb.Statement) -> str:
    found = _type(statement)
    return "another statement" if found is None else str(found.name).lower()


def _too_deep() -> QueryError:
    return QueryError("SQL: expected a query of some hundred levels at most, found a deeper one; use joins or `in`")


def one_line(error: BaseException, *, pointer: bool = True) -> str:
    """Return a DuckDB error without its line breaks, advice on settings, and Python's traceback.

    Args:
        error: error raised by DuckDB.
        pointer: whether to keep the quoted part of the query, which only its author can use.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    if any("Traceback (most recent call last):" in line for line in lines):
        # raised by our own file system: the last line of its traceback, without the error's class
        raised = [found[1] for line in lines if (found := _RAISED.match(line))]
        return raised[-1] if raised else lines[-1]
    if "Possible solutions:" in lines:
        lines = lines[: lines.index("Possible solutions:")]
    return "; ".join(line for line in lines if pointer or not _POINTER.match(line))
