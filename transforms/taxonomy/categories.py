"""Categories and their tags."""

import dataclasses
from typing import Literal

CategoryKind = Literal["binary", "multiclass", "multilabel"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tag:
    """One tag.

    Attributes:
      id: stable id, `category/slug`.
      name: display name.
      parents: ids of broader tags of the same category. A track that carries this tag carries them, too.
      aliases: other ids of this tag in catalogs.
      any_of: binary categories only: a track with any of these catalog tags carries this one.
      none_of: binary categories only: a track with any of these catalog tags does not carry it.
    """

    id: str
    name: str
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    @property
    def category(self) -> str:
        """Name of the tag's category."""
        return self.id.partition("/")[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Category:
    """A family of tags with one kind.

    Attributes:
      name: first part of its tags' ids.
      kind: `binary` (one tag that applies or not, or two tags of which one applies), `multiclass` (exactly one of the
        tags applies) or `multilabel` (any number of tags applies).
      tags: its tags, in the order of the file.
      dropped: tags of catalogs that are not targets, for example because they are too rare to learn. A track that has
        one is annotated in this category, and the tag's parents apply to it.
    """

    name: str
    kind: CategoryKind
    tags: tuple[Tag, ...]
    dropped: tuple[Tag, ...] = ()
