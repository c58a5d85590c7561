"""Notes about a query whose answer may surprise: it names tags that the snapshot lacks, or a snapshot that is none."""

import re
from collections.abc import Iterable, Iterator

from pipelines.querying.statements import Mentions
from transforms.comparison.tag_history import TagHistory
from transforms.schemas.tables import TABLES
from transforms.table.macros.unpublished import FUNCTIONS
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sql import TAG_IDS

_OTHER = re.compile(r"previous_|snapshot_(?P<number>[1-9][0-9]*)_")


class Notes:
    """Finds the notes about queries on one snapshot.

    Args:
      snapshot: the snapshot whose tables have no prefix.
    """

    def __init__(self, snapshot: SnapshotReader) -> None:
        self.snapshot = snapshot
        self._histories: dict[int, TagHistory] = {}

    def about(self, mentioned: Mentions) -> Iterator[str]:
        """The notes about what a query mentions.

        Raises:
          TableError, StorageError: a snapshot that it names does not exist, or cannot be read.
        """
        if self.snapshot.manifest.run.parent is None and any(n.startswith("previous_") for n in mentioned.tables):
            number = self.snapshot.manifest.number
            yield f"there is no snapshot before snapshot {number}: the tables previous_... are empty"
        if any("/" in text for text in mentioned.texts):
            yield from self._unknown_tags(mentioned)
        if names := [text for text in mentioned.of_tags if "/" not in text]:
            yield from self._bare_names(names, self._numbers(mentioned))

    def _bare_names(self, names: Iterable[str], numbers: Iterable[int]) -> Iterator[str]:
        """A note for each text that is no tag id, nor the beginning of one, because it lacks the category."""
        histories = [self._history(number) for number in numbers]
        for text in names:
            name = text.rstrip("%*_")
            begins, tags = name != text, [tag for one in histories for tag in one.tags]
            is_found = any(tag.startswith(name) if begins else tag == name for tag in tags)
            if tags and name and not is_found and not text.startswith(("%", "*", "_")):
                yield histories[0].explain_name(name)

    def _unknown_tags(self, mentioned: Mentions) -> Iterator[str]:
        """A note for each text that looks like a tag, and is one in none of the snapshots that the query reads."""
        histories = [self._history(number) for number in self._numbers(mentioned)]
        by_any_id = any(name.endswith((TAG_IDS, *FUNCTIONS)) for name in mentioned.tables)
        for text in mentioned.texts:
            is_known = any(text in one.tags or (by_any_id and text in one.replaced) for one in histories)
            asked = next((one for one in histories if one.looks_like_one(text)), None)
            if asked is not None and not is_known:
                yield asked.explain(text) + (_REMEDY if text in asked.replaced else "")

    def _numbers(self, mentioned: Mentions) -> list[int]:
        """Numbers of the snapshots whose tables a query names, that of this snapshot first."""
        manifest, numbers = self.snapshot.manifest, set()
        for name in mentioned.tables:
            if found := _OTHER.match(name):
                numbers.add(int(found["number"]) if found["number"] else manifest.run.parent or 0)
            elif name in (*TABLES, TAG_IDS, *FUNCTIONS):
                numbers.add(manifest.number)
        return sorted(numbers - {0}, key=lambda number: (number != manifest.number, number))

    def _history(self, number: int) -> TagHistory:
        if number not in self._histories:
            own = number == self.snapshot.manifest.number
            self._histories[number] = TagHistory(self.snapshot if own else open_snapshot(self.snapshot.root, number))
        return self._histories[number]


_REMEDY = "; tag_ids finds both ids: JOIN tag_ids USING (tag), and compare its column id"
