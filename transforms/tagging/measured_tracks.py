"""Parameters of outcomes: which have those of a run, and how they join outcomes that are carried."""

import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID


def is_measured(rows: pa.Table, *parameters_ids: str) -> pa.ChunkedArray:
    """Which rows have parameters of one of these ids: bool [rows]."""
    return pc.is_in(rows[PARAMETERS_ID], value_set=pa.array(parameters_ids, pa.string()))


def with_measured(outcomes: pa.Table, measured: pa.Table) -> pa.Table:
    """Outcomes with the parameters of those tracks that were decoded for them alone."""
    if not measured.num_rows:
        return outcomes
    place = pc.index_in(outcomes["track_id"], value_set=measured["track_id"].combine_chunks())
    for name in (name for name in PARAMETER_NAMES if name in outcomes.column_names):
        values = pc.if_else(pc.is_valid(place), measured[name].take(place), outcomes[name])
        outcomes = outcomes.set_column(outcomes.column_names.index(name), outcomes.schema.field(name), values)
    return outcomes
