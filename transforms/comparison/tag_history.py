"""What became of a tag id that a snapshot does not have: it was renamed, merged, split or removed, or never was one."""

import difflib
import functools
from collections.abc import Callable, Iterator

from transforms import storage
from transforms.table.reader import SnapshotReader, open_snapshot, published_numbers
from transforms.table.versions import TableError


class TagHistory:
    """The tag ids of one snapshot. Its table `taxonomy` is read when it is first needed.

    Args:
      snapshot: the snapshot that the ids are looked up in.
    """

    def __init__(self, snapshot: SnapshotReader) -> None:
        self.snapshot = snapshot

    @functools.cached_property
    def tags(self) -> frozenset[str]:
        """The tags. See `SnapshotReader.scan` for errors."""
        return frozenset(self.snapshot.scan("taxonomy", ["tag"])["tag"].to_pylist())

    @functools.cached_property
    def replaced(self) -> dict[str, list[str]]:
        """Another id (an alias, or an earlier id) -> the tags that have it, sorted."""
        found: dict[str, list[str]] = {}
        if "other_ids" in self.snapshot.schema("taxonomy").names:
            for row in self.snapshot.scan("taxonomy", ["tag", "other_ids"]).to_pylist():
                for other in row["other_ids"] or ():
                    found.setdefault(other, []).append(row["tag"])
        return {other: sorted(tags) for other, tags in found.items()}

    @functools.cached_property
    def named(self) -> dict[str, list[str]]:
        """Name in small letters (the second part of an id, or a display name) -> the tags that have it, sorted."""
        found: dict[str, set[str]] = {}
        for row in self.snapshot.scan("taxonomy", ["tag", "name"]).to_pylist():
            for name in (row["tag"].partition("/")[2], row["name"]):
                found.setdefault(name.casefold(), set()).add(row["tag"])
        for other, tags in self.replaced.items():
            found.setdefault(other.partition("/")[2].casefold(), set()).update(tags)
        return {name: sorted(tags) for name, tags in found.items()}

    def explain_name(self, name: str) -> str:
        """A sentence about a text without a category that a tag id is compared with: which tags have this name."""
        if tags := self.named.get(name.casefold()):
            return f"no tag has the id {name}: it is the name of {' and '.join(tags)}; compare with the whole id"
        near = difflib.get_close_matches(name.casefold(), list(self.named), n=1)
        meant = f"did you mean {' or '.join(self.named[near[0]])}?" if near else "an id is a category, / and a name"
        return f"no tag has the id {name}: {meant}"

    def looks_like_one(self, text: str) -> bool:
        """Whether a text has the form of a tag id, and its category is one of the snapshot."""
        category, slash, rest = text.partition("/")
        categories = {tag.partition("/")[0].casefold() for tag in self.tags}
        return bool(slash and rest) and "/" not in rest and category.casefold() in categories

    def explain(self, tag: str) -> str:
        """A sentence about an id that is not among `tags`: what it is now, or which one may be meant."""
        number = self.snapshot.manifest.number
        if tag in self.replaced:
            new, since = " and ".join(self.replaced[tag]), self._gone_since(tag)
            return f"{tag} is now {new}" + (f" since snapshot {since}" if since else "")
        if (since := self._gone_since(tag)) is not None:
            return f"snapshot {number} has no tag {tag}: it was removed in snapshot {since}"
        near = difflib.get_close_matches(tag.casefold(), {one.casefold() for one in self.tags}, n=1)
        meant = sorted(one for one in self.tags if near and one.casefold() == near[0])
        return f"snapshot {number} has no tag {tag}" + (f": did you mean {meant[0]}?" if meant else "")

    def _gone_since(self, tag: str) -> int | None:
        """Number of a snapshot that lacks a tag, while the one before it has it; None if none before this one has it.

        Looks back in steps that double, and then halves the last one: it reads few snapshots of many.
        """
        try:
            numbers = [n for n in published_numbers(self.snapshot.root) if n < self.snapshot.manifest.number]
            found = next((i for i in _doubling(len(numbers)) if self._had(numbers[i], tag)), None)
            if found is None:
                return None
            after = _first_without(found, len(numbers), lambda i: self._had(numbers[i], tag))
        except (TableError, storage.StorageError):  # the sentence is worth less than the answer that it is about
            return None
        return (numbers[after] if after < len(numbers) else self.snapshot.manifest.number) or None

    def _had(self, number: int, tag: str) -> bool:
        return tag in self._tags_of(number)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - as long as a command or a shell
    def _tags_of(self, number: int) -> frozenset[str]:
        return TagHistory(open_snapshot(self.snapshot.root, number)).tags


def _doubling(count: int) -> Iterator[int]:
    """Positions from the last one back: `count` - 1, - 2, - 4 and so on, and the first one.

    >>> list(_doubling(10))
    [9, 8, 6, 2, 0]
    """
    step = 1
    while step < count:
        yield count - step
        step *= 2
    if count:
        yield 0


def _first_without(with_it: int, end: int, had: Callable[[int], bool]) -> int:
    """A position after one that has it, up to `end`, whose predecessor has it and which has not."""
    without = end
    while without - with_it > 1:
        middle = (with_it + without) // 2
        if had(middle):
            with_it = middle
        else:
            without = middle
    return without
