"""What the columns of a text table are taken for, as a user reads it before anything is written."""

import dataclasses
from collections.abc import Iterator, Sequence

from transforms.catalog.importers.assignments import source_columns
from transforms.catalog.importers.column_types import ColumnSurvey
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.name_lists import NameList
from transforms.schemas.catalog import CATALOG


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnUse:
    """What a column of a table is taken for.

    Attributes:
      column: its name.
      becomes: the columns or tags of the catalog that are made of it.
      type: type of its values, or form of its lists.
      filled: number of rows with a value.
      examples: the first different values.
      note: what a user should know of it.
    """

    column: str
    becomes: str
    type: str
    filled: int
    examples: Sequence[str]
    note: str


def column_use(layout: CsvLayout, survey: ColumnSurvey, names: NameList | None) -> ColumnUse:
    """What a column is taken for.

    Args:
      layout: the meaning of the columns, for this table.
      survey: the column's values.
      names: the form of its lists, if it has names of tags.
    """
    columns = list(_columns(layout, survey.name))
    tags = list(_tags(layout, survey.name, columns))
    known = [name for name in columns if name in CATALOG.names]
    further = bool(columns) and not known
    return ColumnUse(
        column=survey.name,
        becomes=", ".join(dict.fromkeys([*columns, *tags])) or "not used",
        type=_type(layout, survey, columns, names) if columns or tags else "",
        filled=survey.filled,
        examples=tuple(survey.examples),
        note=survey.note if further and layout.typed else "",
    )


def _columns(layout: CsvLayout, name: str) -> Iterator[str]:
    """The catalog's columns that are made of a column."""
    yield from (target for target, column in layout.renamed.items() if name in source_columns(column))
    others = {*layout.renamed, *layout.renamed.values(), *layout.tag_columns}
    if name not in others and not layout.takes_all_tags and not layout.reads_tags_of(name):
        yield name


def _tags(layout: CsvLayout, name: str, columns: Sequence[str]) -> Iterator[str]:
    if name in layout.tags or layout.reads_tags_of(name):
        yield "tags"
    yield from (f"{category} tags" for category, column in layout.lists if column == name)
    for category, given in layout.wide:
        if name in given or ("*" in given and not columns):
            yield f"{category} tag"


def _type(layout: CsvLayout, survey: ColumnSurvey, columns: Sequence[str], names: NameList | None) -> str:
    if names is not None:
        return names.form
    if not columns:
        return "tag ids" if survey.name in layout.tags or layout.reads_tags_of(survey.name) else "weight"
    if "year" in columns:
        return "year"
    given = [layout.types[name] for name in columns if name in layout.types]
    if given or not layout.typed or any(name in CATALOG.names for name in columns):
        return given[0] if given else "text"
    return layout.formats.get(survey.name, survey.type)
