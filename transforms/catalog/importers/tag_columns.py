"""Readers of the columns of a table that name tags."""

import re
from collections.abc import Callable, Mapping, Sequence

from transforms.catalog import values as track_values
from transforms.catalog.importers.builder import RowTags
from transforms.catalog.importers.name_lists import NameList
from transforms.catalog.importers.source_table import SourceTable
from transforms.taxonomy.tag_ids import shown, slug, tag_id, weighted_tag

TagReader = Callable[[Sequence[str]], tuple[RowTags, list[tuple[str, str]]]]
"""Reads the tags in the fields of a row. Also gives (column, message) of each value that it leaves out."""


def checked_category(category: str) -> str:
    """The category; raises ValueError if no tag id can begin with it."""
    tag_id(f"{category}/x")
    return category


def wide_places(source: SourceTable, columns: Sequence[str], used: set[str]) -> dict[str, int]:
    """Position of each column that is a tag. `*` means all that have no other use."""
    if "*" in columns:
        return {name: i for i, name in enumerate(source.names) if name not in used and slug(name)}
    return {name: source.place(name) for name in columns}


def id_reader(column: str, place: int) -> TagReader:
    """A reader of a column with full tag ids."""

    def read(fields: Sequence[str]) -> tuple[RowTags, list[tuple[str, str]]]:
        tags, faults = track_values.tags(fields[place])
        return dict(tags or ()), [(column, fault) for fault in faults]

    return read


def list_reader(category: str, names: NameList, place: int) -> TagReader:
    """A reader of a column with names of one category."""

    def read(fields: Sequence[str]) -> tuple[RowTags, list[tuple[str, str]]]:
        slugs = {name: slug(name) for name in names.names(fields[place])}
        faults = [
            (names.column, f"{shown(name)} has neither letters nor digits") for name, one in slugs.items() if not one
        ]
        return dict.fromkeys(tag_id(f"{category}/{one}") for one in slugs.values() if one), faults

    return read


def wide_reader(category: str, places: Mapping[str, int]) -> TagReader:
    """A reader of tag columns. It keeps weights of 0 only if all are 0: then the track is known to carry no tag."""
    columns = [(name, place, tag_id(f"{category}/{slug(name)}")) for name, place in places.items()]

    def read(fields: Sequence[str]) -> tuple[RowTags, list[tuple[str, str]]]:
        weights: dict[str, float] = {}
        faults = []
        for name, place, tag in columns:
            try:
                if fields[place].strip():
                    weights[tag] = max(_weight(fields[place], tag), weights.get(tag, 0.0))
            except ValueError as e:
                faults.append((name, str(e)))
        carried: RowTags = {tag: None if weight == 1 else weight for tag, weight in weights.items() if weight}
        return carried or dict.fromkeys(weights, 0.0), faults

    return read


def _weight(text: str, tag: str) -> float:
    if text in ("0", "1"):  # nearly all values
        return float(text)
    if not re.fullmatch(r"\s*[0-9.eE+-]+\s*", text):
        raise ValueError(f"{text!r} for tag {tag!r}: give 0, 1 or a weight in between")
    weight = weighted_tag(f"{tag}:{text.strip()}")[1]
    return 1.0 if weight is None else weight
