"""Limits of catalogs: a small file must not fill the memory. `docs/reference/catalog.md` lists them for users."""

from collections.abc import Iterable

MOST_ROWS = 1_000_000_000
"""Rows of a catalog."""

ROWS_PER_BYTE = 100
"""Rows of a Parquet file per byte of it: constant columns take no space, so a file of 1 kB can claim any number."""

DECODED_PER_BYTE = 1000
"""Decoded bytes of a row group per byte of it in the file, beyond the first 64 MiB."""

DECODED_FREE = 64 << 20
"""Decoded bytes of a row group that may come from any number of bytes in the file."""

MOST_ROW_GROUPS = 65_536
"""Row groups of a Parquet file. Each one is a unit of work."""

MOST_COLUMNS = 512
"""Columns of a catalog, over all its files."""

NAME_CHARS = 1024
"""Characters of a column's name."""

ID_CHARS = 1024
"""Characters of a track_id, artist_id, album_id or source_version."""

URI_CHARS = 4096
"""Characters of a uri."""

TEXT_CHARS = 65_536
"""Characters of any other text."""

MOST_TAGS = 1000
"""Tags of a track."""

ROW_BYTES = 1 << 20
"""Bytes of a row, decoded."""

BATCH_BYTES = 16 << 20
"""Bytes of a batch of decoded rows, at most one row more."""

PAGE_BYTES = 128 << 20
"""Bytes of a page of a Parquet file after decompression."""

GROUP_BYTES = 512 << 20
"""Bytes of the largest pages of all columns of a row group together, and of one nested column of a row group."""

NESTED_VALUES = 64_000_000
"""Values of one nested column of a row group."""

_LISTED = 20


def row_size(size: int) -> str:
    """The message for a row of this size."""
    return f"the row has {size} bytes, at most {ROW_BYTES} are read: shorten its values"


def listed(names: Iterable[str]) -> str:
    """Names as text for a message: at most 20, each of at most 60 characters."""
    texts = [name if len(name) <= 60 else f"{name[:57]}..." for name in names]
    rest = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + rest


def check_columns(names: Iterable[str], what: str = "columns") -> None:
    """Raises ValueError for too many names, and for one that is too long."""
    found = list(names)
    if len(found) > MOST_COLUMNS:
        raise ValueError(f"{len(found)} {what}, at most {MOST_COLUMNS} are read: remove some")
    if long := next((name for name in found if len(name) > NAME_CHARS), None):
        raise ValueError(f"column {long[:57]!r}... has a name of {len(long)} characters, at most {NAME_CHARS} are read")
