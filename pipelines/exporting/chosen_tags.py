"""The tags of a snapshot that patterns choose."""

import fnmatch
from collections.abc import Sequence

from pipelines.terminal.errors import UsageError
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
            raise UsageError(
                f"--tag {pattern}: no tag of snapshot {snapshot.manifest.number} matches; see DESCRIBE and "
                "SELECT tag FROM taxonomy in `catalog-tagger query`"
            )
    if not patterns:
        return tags
    return [tag for tag in tags if any(fnmatch.fnmatchcase(tag, pattern) for pattern in patterns)]
