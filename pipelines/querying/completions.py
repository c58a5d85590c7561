"""What the interactive shell completes: keywords, tables, columns, and tags within quotes."""

import dataclasses
from collections.abc import Iterable, Sequence

from transforms.schemas.tables import TABLES
from transforms.table.duckdb_views import without_texts
from transforms.table.macros.unpublished import FUNCTIONS
from transforms.table.reader import SnapshotReader
from transforms.table.sql import TAG_IDS

DELIMITERS = " \t\n()',;=<>.\""
"""Characters that separate the words that are completed. The slash of a tag is not among them."""

_KEYWORDS = (
    "SELECT FROM WHERE GROUP BY ORDER BY LIMIT HAVING JOIN LEFT USING ON AND OR NOT IN IS NULL AS DISTINCT COUNT AVG "
    "MIN MAX SUM ROUND CASE WHEN THEN ELSE END DESC LIKE ILIKE BETWEEN WITH DESCRIBE SHOW TABLES SUMMARIZE UNION ALL"
)


@dataclasses.dataclass(frozen=True)
class Words:
    """What may be completed.

    Attributes:
      names: keywords, tables and columns.
      tags: tag ids.
    """

    names: Sequence[str]
    tags: Sequence[str]

    def completions(self, line: str, begin: int, end: int) -> list[str]:
        """The words that the text between two positions of a line may become, sorted, without what precedes it.

        >>> words = Words(["track_id", "tracks"], ["mood/calm", "mood/very sad"])
        >>> words.completions("SELECT tr", 7, 9)
        ['track_id', 'tracks']
        >>> words.completions("WHERE tag = 'mood/very s", 23, 24)  # the editor closes the quote
        ['sad']
        """
        quote = _open_quote(line[:begin])
        if quote is not None:
            typed, word = line[quote + 1 : end], begin - quote - 1
            return [tag[word:] for tag in self.tags if tag.startswith(typed)]
        typed = line[begin:end].casefold()
        return sorted(name for name in self.names if name.casefold().startswith(typed))


def _open_quote(text: str) -> int | None:
    """Position of the quote that is not closed yet."""
    return text.rindex("'") if text.count("'") % 2 else None


def words_of(snapshot: SnapshotReader) -> Words:
    """The keywords of SQL, and the tables, columns and tags of a snapshot.

    Raises:
      StorageError: the table cannot be read.
    """
    tables = [
        prefix + name for prefix in ("", "previous_", *_numbered(snapshot)) for name in (*TABLES, TAG_IDS, *FUNCTIONS)
    ]
    columns = [column for name in TABLES for column in snapshot.schema(name).names]
    tags = sorted(snapshot.scan("taxonomy", ["tag"])["tag"].to_pylist())
    return Words(list(dict.fromkeys([*_KEYWORDS.split(), *tables, *columns])), tags)


def _numbered(snapshot: SnapshotReader) -> Iterable[str]:
    """The prefix of the parent's tables by its number: an example of the form."""
    parent = snapshot.manifest.run.parent
    return () if parent is None else (f"snapshot_{parent}_",)


def is_complete(sql: str) -> bool:
    """Whether a statement has ended: by a semicolon outside of texts and comments.

    >>> [is_complete(sql) for sql in ("SELECT ';'", "SELECT 1; -- one", "SELECT 'a;")]
    [False, True, False]
    """
    rest = without_texts(sql).rstrip()
    return rest.endswith(";") and "'" not in rest
