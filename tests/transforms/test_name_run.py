"""A run's id: other rows or other outcomes make another run, other places in the catalog do not."""

import pyarrow as pa

from transforms.name_run import outcome_digest
from transforms.schemas.catalog import FILE, ROW

ROWS = pa.table({"track_id": ["a", "b"], "title": ["A", "B"], FILE: ["x.csv", "x.csv"], ROW: [1, 2]})
OUTCOMES = pa.table({"track_id": ["a", "b"], "reason": [None, "unavailable"]})


def _with(table: pa.Table, **columns: list) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def test_places_in_the_catalog_do_not_count() -> None:
    moved = _with(ROWS, **{FILE: ["y.csv", "z.csv"], ROW: [7, 1]})
    assert outcome_digest(moved, OUTCOMES) == outcome_digest(ROWS, OUTCOMES)


def test_an_outcome_and_a_title_count() -> None:
    mended, renamed = _with(OUTCOMES, reason=["silent", None]), _with(ROWS, title=["A", "C"])
    assert len({outcome_digest(ROWS, OUTCOMES), outcome_digest(ROWS, mended), outcome_digest(renamed, OUTCOMES)}) == 3
