"""The tags of a snapshot that patterns choose."""

import fnmatch
from collections.abc import Sequence

from pipelines.terminal.errors import UsageError
from transforms.comparison.tag_history import TagHistory
from transforms.table.reader import SnapshotReader


def chosen_tags(snapshot: SnapshotReader, patterns: Sequence[str]) -> list[str]:
    """Tag ids that match a pattern, or all of them, in the order of the taxonomy.

    Args:
      snapshot: its table `taxonomy` has the tags.
      patterns: ids, or patterns such as `mood/*`.

    Raises:
      UsageError: a pattern matches nothing.
    """
    tags: list[str] = snapshot.scan("taxonomy", ["tag"])["tag"].to_pylist()
    for pattern in patterns:
        if not fnmatch.filter(tags, pattern):
            raise UsageError(f"--tag {pattern}: {_missing(TagHistory(snapshot), pattern)}")
    if not patterns:
        return tags
    return [tag for tag in tags if any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)]


def _missing(history: TagHistory, pattern: str) -> str:
    """Why a pattern matches nothing, and what to give instead."""
    if history.looks_like_one(pattern) or pattern in history.replaced:
        text = history.explain(pattern)
        if pattern in history.replaced:
            return f"{text}: give {' '.join(f'--tag {tag}' for tag in history.replaced[pattern])}"
        return text if "?" in text else f"{text}; {_LIST}"
    return f"no tag of snapshot {history.snapshot.manifest.number} matches; {_LIST}"


_LIST = "`catalog-tagger query TABLE 'SELECT tag FROM taxonomy'` lists them"
