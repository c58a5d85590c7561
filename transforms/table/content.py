"""The digest of a table's rows, which is equal for equal content."""

import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.arrow import content_digest

_NO_VERSIONS = "2:"
"""Prefix of digests that leave out the source versions of the ledger, which depend on the times of files."""


def comparable_digest(name: str, table: pa.Table) -> str:
    """Digest of a table's rows, without what can differ between equal runs.

    Left out of the ledger are `run_id`, `source_version`, and whether a track was tagged or carried.
    """
    if name != "ledger":
        return content_digest(table)
    return _NO_VERSIONS + content_digest(_without_status(table).drop_columns("source_version"))


def has_content(name: str, table: pa.Table, content: str) -> bool:
    """Whether these rows have this digest, which can be of an earlier version of this program."""
    if name == "ledger" and not content.startswith(_NO_VERSIONS):
        return content_digest(_without_status(table)) == content
    return comparable_digest(name, table) == content


def _without_status(ledger: pa.Table) -> pa.Table:
    status = pc.if_else(pc.equal(ledger["status"], "carried"), "tagged", ledger["status"])
    return ledger.set_column(ledger.column_names.index("status"), "status", status).drop_columns("run_id")
