"""Makes a catalog from any text table: renames columns, reads lists and columns of tags."""

import dataclasses
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transforms.catalog import values as track_values
from transforms.catalog.importers.builder import CatalogBuilder, RowTags
from transforms.catalog.importers.source_table import SourceTable, read_table
from transforms.taxonomy.categories import CategoryKind
from transforms.taxonomy.tag_ids import shown, slug, tag_id, weighted_tag


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvLayout:
    """The meaning of the columns of a table.

    Attributes:
      renamed: catalog column -> column of the table, such as `track_id` -> `clip_id`, or a template with columns in
        braces: `{album}-{disc}-{track}`.
      tags: columns with full tag ids (`mood/calm:0.7|genre/rock`). A column `tags` without another use is one.
      lists: (category, column) of columns with names of one category, joined by the separator.
      wide: (category, columns) with one column per tag, which contains 0, 1 or a weight. `*` means all columns without
        another use.
      separator: text between the names of a list.
      kinds: category -> kind, for categories that are not `multilabel`.
      names: names of the columns of a table without a header.
      encoding: encoding of a table that is not in UTF-8 and has no byte order mark.
      uri_bases: prefixes to remove from uris, such as `https://host/music/` if the files were copied from there.
    """

    renamed: Mapping[str, str]
    tags: Sequence[str] = ()
    lists: Sequence[tuple[str, str]] = ()
    wide: Sequence[tuple[str, Sequence[str]]] = ()
    separator: str = "|"
    kinds: Mapping[str, CategoryKind] = dataclasses.field(default_factory=dict)
    names: Sequence[str] | None = None
    uri_bases: Sequence[str] = ()
    encoding: str | None = None

    def __post_init__(self) -> None:
        if missing := [name for name in ("track_id", "uri") if name not in self.renamed]:
            raise ValueError(f"no column given for {' and '.join(missing)}")
        if self.names is not None and not all(name.strip() for name in self.names):
            raise ValueError(f"a name is empty in {','.join(self.names)!r}: give one name per column")
        if not self.separator:
            raise ValueError("the separator of the names in a list is empty: give the text between two names")


def import_csv(url: str, layout: CsvLayout) -> CatalogBuilder:
    """Makes the catalog of one table.

    Keeps all columns of the table except tag columns, unless `wide` contains `*`: then only renamed columns.

    Raises:
      ValueError: the table lacks a column that the layout names.
    """
    source = read_table(url, names=layout.names, encoding=layout.encoding)
    imported = CatalogBuilder(kinds=dict(layout.kinds), sources=[source.text])
    plain = _plain_readers(source, layout)
    tags_of = _tag_readers(source, layout, used={name for c in layout.renamed.values() for name in _columns(c)})
    for row in imported.rows_of(source):
        values = {name: read(row.values) for name, read in plain.items()}
        tags: RowTags = {}
        for read_tags in tags_of:
            found, faults = read_tags(row.values)
            tags |= found
            for column, message in faults:
                imported.leave_out(row, column, message)
        imported.add(row, {**values, "uri": _without_base(values["uri"], layout.uri_bases), "tags": tags})
    return imported


def _without_base(uri: str, bases: Sequence[str]) -> str:
    """The uri without the longest base that it starts with."""
    base = max((base for base in bases if uri.startswith(base)), key=len, default="")
    return uri[len(base) :].lstrip("/") if base else uri


Reader = Callable[[Sequence[str]], str]
TagReader = Callable[[Sequence[str]], tuple[RowTags, list[tuple[str, str]]]]
"""Reads the tags in the fields of a row. Also gives (column, message) of each value that it leaves out."""


def _columns(column: str) -> list[str]:
    """The table's columns that a name or a template with columns in braces uses."""
    names = [name for _, name, _, _ in string.Formatter().parse(column) if name is not None] if "{" in column else []
    return names or [column]


def _reader(source: SourceTable, column: str) -> Reader:
    places = {name: source.place(name) for name in _columns(column)}
    if column in places:
        return lambda fields: fields[places[column]]
    return lambda fields: column.format_map({name: fields[place].strip() for name, place in places.items()})


def _plain_readers(source: SourceTable, layout: CsvLayout) -> dict[str, Reader]:
    """Catalog column -> its reader, for all columns that are not tags."""
    renamed = {name: _reader(source, column) for name, column in layout.renamed.items()}
    if any("*" in names for _, names in layout.wide):
        return renamed
    taken = {*layout.tags, *(column for _, column in layout.lists), *(c for _, names in layout.wide for c in names)}
    others = [n for n in source.names if n and n not in {*taken, *layout.renamed.values(), *layout.renamed}]
    return {**renamed, **{name: _reader(source, name) for name in others}}


def _tag_readers(source: SourceTable, layout: CsvLayout, used: set[str]) -> list[TagReader]:
    readers: list[TagReader] = []
    named = {*layout.tags, *(column for _, column in layout.lists), *(c for _, names in layout.wide for c in names)}
    by_name = ["tags"] if "tags" in source.names and not named & {"tags", "*"} else []
    for column in (*layout.tags, *by_name):
        readers.append(_id_reader(column, source.place(column)))
    for category, column in layout.lists:
        readers.append(_list_reader(_checked(category), column, source.place(column), layout.separator))
    for category, columns in layout.wide:
        readers.append(_wide_reader(_checked(category), _wide_places(source, columns, used)))
    return readers


def _checked(category: str) -> str:
    tag_id(f"{category}/x")
    return category


def _wide_places(source: SourceTable, columns: Sequence[str], used: set[str]) -> dict[str, int]:
    if "*" in columns:
        return {name: i for i, name in enumerate(source.names) if name not in used and slug(name)}
    return {name: source.place(name) for name in columns}


def _id_reader(column: str, place: int) -> TagReader:
    def read(fields: Sequence[str]) -> tuple[RowTags, list[tuple[str, str]]]:
        tags, faults = track_values.tags(fields[place])
        return dict(tags or ()), [(column, fault) for fault in faults]

    return read


def _list_reader(category: str, column: str, place: int, separator: str) -> TagReader:
    def read(fields: Sequence[str]) -> tuple[RowTags, list[tuple[str, str]]]:
        slugs = {name: slug(name) for name in fields[place].split(separator) if name.strip()}
        faults = [(column, f"{shown(name)} has neither letters nor digits") for name, one in slugs.items() if not one]
        return dict.fromkeys(tag_id(f"{category}/{one}") for one in slugs.values() if one), faults

    return read


def _wide_reader(category: str, places: Mapping[str, int]) -> TagReader:
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


def parse_pairs(texts: Sequence[str], what: str) -> list[tuple[str, Any]]:
    """Parses texts such as `A=B` to pairs.

    Raises:
      ValueError: a text has no `=`, or nothing on one side of it.
    """
    pairs = []
    for text in texts:
        left, equals, right = text.partition("=")
        if not (left and equals and right):
            raise ValueError(f"{what}={text}: write CATEGORY=COLUMN")
        pairs.append((left, right))
    return pairs
