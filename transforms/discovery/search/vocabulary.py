"""The tags of a snapshot, and the texts that name them: ids, display names, aliases, earlier ids."""

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from transforms.table.reader import SnapshotReader
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.published_tags import taxonomy_of_rows
from transforms.taxonomy.tag_ids import shown, slug, tag_id


class DiscoveryError(ValueError):
    """A request that cannot be answered: it names something that the snapshot does not have, or contradicts itself."""


class NotInSnapshot(DiscoveryError):
    """What is asked about is not in the snapshot."""


@dataclasses.dataclass(frozen=True)
class Term:
    """What a request asks for: one tag, or several of which any will do.

    Attributes:
      label: the tag id, or the ids joined by `|`.
      tags: the ids and those of all their narrower tags. The score of a term is the highest of these.
    """

    label: str
    tags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The tags of a taxonomy and the texts that name them."""

    taxonomy: Taxonomy

    @functools.cached_property
    def display_names(self) -> Mapping[str, str]:
        """Tag id -> display name."""
        return {tag.id: tag.name for tag in self.taxonomy.tags}

    @functools.cached_property
    def narrower(self) -> Mapping[str, tuple[str, ...]]:
        """Tag id -> the ids of its direct and indirect narrower tags, in the order of the taxonomy."""
        ids = self.taxonomy.tag_ids
        below: dict[str, list[str]] = {tag: [] for tag in ids}
        for place, above in enumerate(self.taxonomy.ancestors):
            for parent in above:
                below[ids[parent]].append(ids[place])
        return {tag: tuple(found) for tag, found in below.items()}

    @functools.cached_property
    def by_name(self) -> Mapping[str, tuple[str, ...]]:
        """Slug of a display name, of the second part of an id or of another id -> the tags with this name."""
        found: dict[str, dict[str, None]] = {}
        for tag in self.taxonomy.tags:
            for text in (tag.name, tag.id.partition("/")[2], *self._other_names.get(tag.id, ())):
                found.setdefault(slug(text), {})[tag.id] = None
        return {name: tuple(tags) for name, tags in found.items() if name}

    @functools.cached_property
    def _other_names(self) -> Mapping[str, list[str]]:
        return {tag: [other.partition("/")[2] for other in ids] for tag, ids in self.taxonomy.other_ids.items()}

    def term(self, tags: Iterable[str]) -> Term:
        """The term of some tag ids with their narrower tags."""
        own = tuple(dict.fromkeys(tags))
        return Term(
            "|".join(own), tuple(dict.fromkeys([*own, *(below for tag in own for below in self.narrower[tag])]))
        )

    def find(self, text: str) -> Term:
        """The term that a text names: a tag id, another id of the tag, or a name that only one tag has.

        An earlier id that was split stands for all tags that replace it.

        Raises:
          DiscoveryError: no tag, or several tags of different meaning, have this name.
        """
        if "/" in text or "---" in text:
            try:
                key = tag_id(text)
            except ValueError as error:
                raise DiscoveryError(str(error)) from error
            if (resolved := self.taxonomy.resolve(key)) is not None:
                return self.term([resolved])
            if replaced := [tag for tag in self.taxonomy.replaced.get(key, ()) if tag in self.narrower]:
                return self.term(replaced)
            raise DiscoveryError(f"tag {shown(text)}: the snapshot has no such tag{self._meant(key)}")
        found = self.by_name.get(slug(text), ())
        if not found:
            raise DiscoveryError(f"tag {shown(text)}: no tag of the snapshot has this name{self._meant(text)}")
        if len(found) > 1:
            raise DiscoveryError(f"tag {shown(text)}: {' and '.join(found)} have this name: give the id of one of them")
        return self.term(found)

    def _meant(self, text: str) -> str:
        near = difflib.get_close_matches(text, self.taxonomy.tag_ids, n=1)
        near = near or difflib.get_close_matches(slug(text), list(self.by_name), n=1)
        return f": did you mean {near[0]}?" if near else "; `SELECT tag, name FROM taxonomy` lists all tags"


def vocabulary_of(snapshot: SnapshotReader) -> Vocabulary:
    """The vocabulary of a snapshot, from its table `taxonomy`."""
    rows: list[dict[str, Any]] = snapshot.scan("taxonomy").to_pylist()
    return Vocabulary(taxonomy_of_rows(rows))
