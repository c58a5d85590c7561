"""What an SQL text consists of, as DuckDB itself parses it: statements, tables, texts, and the place of an error."""

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.terminal.errors import USAGE, CommandFailed

if TYPE_CHECKING:
    import duckdb

_LIKE, _PREFIX = {"~~", "!~~", "~~*", "!~~*", "~~~"}, {"starts_with", "^@", "prefix"}
_PATTERNS = {*_LIKE, *_PREFIX, "suffix", "contains"}
"""Functions, and operators such as LIKE and GLOB, whose texts are parts of what is looked for."""


@dataclasses.dataclass(frozen=True)
class Mentions:
    """What a query mentions.

    Attributes:
      tables: names of tables, views and table functions, in small letters.
      texts: text constants that something may be compared with, in the order of the query. Patterns, and constants that
        are columns of the answer, are not among them.
      of_tags: texts and patterns that a column `tag` is compared with, and the tags that functions are called with.
        The beginning of a text ends with `%`.
    """

    tables: frozenset[str]
    texts: tuple[str, ...]
    of_tags: tuple[str, ...] = ()


def mentions(connection: "duckdb.DuckDBPyConnection", sql: str) -> Mentions:
    """What a query mentions; nothing if it cannot be parsed, or is no SELECT."""
    found = _parsed(connection, sql)
    nodes = [] if found["error"] else list(_nodes(found["statements"]))
    tables = {node["table_name"].lower() for node in nodes if node.get("type") == "BASE_TABLE"}
    calls = (node["function"] for node in nodes if node.get("type") == "TABLE_FUNCTION")
    tables |= {call["function_name"].lower() for call in calls}
    literals = [node["literal"] for node in nodes if node.get("type") == "VALUE_CONSTANT"]
    texts = dict.fromkeys(literal["text"] for literal in literals if literal.get("kind") == "STRING")
    of_tags = dict.fromkeys(text for node in nodes for text in _of_tags(node))
    return Mentions(frozenset(tables), tuple(texts), tuple(of_tags))


def _of_tags(node: dict[str, Any]) -> Iterator[str]:
    """The texts that a node compares with a column `tag`, or with which it calls a function for a tag."""
    name, kind = node.get("function_name", ""), node.get("type", "")
    if not (name in _LIKE or name in _PREFIX or name.endswith("has_tag") or kind.startswith("COMPARE_")):
        return
    parts = [node.get("left"), node.get("right"), *node.get("children", ()), *node.get("arguments", ())]
    known = [part.get("expression", part) for part in parts if isinstance(part, dict)]
    columns = [part["column_names"][-1].lower() for part in known if part.get("type") == "COLUMN_REF"]
    if "tag" in columns or name.endswith("has_tag"):
        literals = (part["literal"] for part in known if part.get("type") == "VALUE_CONSTANT")
        end = "%" if name in _PREFIX else ""
        yield from (literal["text"] + end for literal in literals if literal.get("kind") == "STRING")


def _parsed(connection: "duckdb.DuckDBPyConnection", sql: str) -> Any:
    """DuckDB's tree of the statements, or its error."""
    # All rows are fetched, because an open result blocks its connection.
    (row,) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    return json.loads(row[0])


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a tree, without constants that nothing is compared with."""
    if isinstance(value, list):
        for part in value:
            yield from _nodes(part)
    elif isinstance(value, dict):
        yield value
        name = value.get("function_name", "")
        if name in _PATTERNS or name.startswith("regexp_"):
            return
        for key, part in value.items():
            shown = part if key != "select_list" else [one for one in part if one.get("type") != "VALUE_CONSTANT"]
            yield from _nodes(shown)


def check_syntax(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    """Refuses a text with an error in its syntax, whose line, column (both from 1) and text of the line it names.

    Raises:
      CommandFailed: there is such an error.
    """
    found = _parsed(connection, sql)
    if not found["error"] or "position" not in found:
        return
    before = sql.encode()[: int(found["position"])].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    text = sql.split("\n")[line - 1].strip()
    raise CommandFailed(f"{found['error_message']} in line {line}, column {column}: {text}", USAGE)


def split_statements(connection: "duckdb.DuckDBPyConnection", sql: str) -> list[str]:
    """The statements of a text, without those that are empty.

    Raises:
      duckdb.ParserException: the text cannot be parsed.
    """
    return [statement.query for statement in connection.extract_statements(sql)]
