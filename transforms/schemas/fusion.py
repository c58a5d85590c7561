"""Columns that only the tables of fused runs have, and columns of catalog rows with what sources say."""

from collections.abc import Collection

import pyarrow as pa

from transforms.schemas.columns import column
from transforms.schemas.tables import DELETES, LATER_COLUMNS, TABLES

SAID, SAID_ID = "_said", "_said_id"
"""Columns of catalog rows in a fused run: what sources say about the track, and a hash of it and of their rules."""

FUSION_ID = "fusion_id"
"""Column of the ledger of a fused run with this hash."""

_SOURCE = pa.field("source", pa.string(), nullable=False)
_WEIGHT = pa.field("weight", pa.float32(), nullable=False)

SAID_TYPE = pa.list_(
    pa.field("element", pa.struct([_SOURCE, pa.field("tag", pa.string(), nullable=False), _WEIGHT]), nullable=False)
)
"""Sorted by source, in the order of the file of `--fusion`, and by tag; null if no source says anything."""

EXPERTS_TYPE = pa.list_(pa.field("element", pa.struct([_SOURCE, _WEIGHT]), nullable=False))

FUSED_COLUMNS = {
    "track_tags": (
        column(
            "experts",
            EXPERTS_TYPE,
            "What each source says about the tag, after its trust: 1 is yes, 0 is no, 0.5 is nothing. Null if none "
            "says anything. Only in snapshots that were tagged with `--fusion`.",
            nullable=True,
        ),
    ),
    "ledger": (
        column(
            FUSION_ID,
            pa.string(),
            "Hash of everything that sources say about the track, and of their rules. Null if they say nothing. Only "
            "in snapshots that were tagged with `--fusion`.",
            nullable=True,
        ),
    ),
}
"""Table -> columns that follow its others in a fused run. Other runs lack them, so their content hash is unchanged."""


def declared_schema(name: str, columns: Collection[str]) -> pa.Schema:
    """The columns that a file of a table must have.

    Those of fused runs are among them if one of them is in `columns`. Those of `LATER_COLUMNS`, which files of earlier
    versions lack, are among them only if they are in `columns`.
    """
    later = LATER_COLUMNS.get(name, frozenset()) - set(columns)
    further = FUSED_COLUMNS.get(name, ())
    fused = further if any(field.name in columns for field in further) else ()
    return pa.schema([*(field for field in {**TABLES, **DELETES}[name] if field.name not in later), *fused])
