"""Columns of `tracks` by the words of a request. Which columns there are depends on the table and its catalog."""

from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.table.reader import SnapshotReader

CALLED = {
    "duration": ("duration_s",),
    "tempo": ("tempo_bpm", "bpm"),
    "key": ("camelot", "key", "musical_key", "initial_key"),
    "loudness": ("loudness_lufs",),
    "metre": ("beats_per_bar", "time_signature"),
    "energy": ("energy",),
}
"""Word -> the columns that it can mean, the first that the table has. Any column can also be given by its own name."""


def column_of(snapshot: SnapshotReader, word: str) -> str:
    """The column of `tracks` that a word means.

    Raises:
      DiscoveryError: the table has no such column.
    """
    have = snapshot.schema("tracks").names
    for name in (word, *CALLED.get(word, ())):
        if name in have:
            return name
    meant = f" ({' or '.join(CALLED[word])})" if CALLED.get(word, (word,)) != (word,) else ""
    raise DiscoveryError(
        f"{word}{meant}: tracks of snapshot {snapshot.manifest.number} has no such column; "
        f"columns are {', '.join(have)}"
    )


def has_column(snapshot: SnapshotReader, word: str) -> bool:
    """Whether the table has a column that a word means."""
    have = snapshot.schema("tracks").names
    return any(name in have for name in (word, *CALLED.get(word, ())))
