"""The README in the folder of a table: what it is, how to open it, how fresh it is, and the licences that are known."""

from transforms.schemas.tables import ROW_SENTENCES, TABLES
from transforms.table.layout import iceberg_folder, snapshot_path
from transforms.table.snapshots import Snapshot
from transforms.table.sql import ROOT_VARIABLE

README_MARK = "<!-- catalog-tagger writes this page with each snapshot -->"
"""First line of the page. A page without it belongs to somebody else."""

_LONGEST_TEXT = 200


def readme(snapshot: Snapshot) -> str:
    """The text for the newest snapshot, as Markdown. It names no folder of the publisher."""
    return "\n".join([*_facts(snapshot), *_tables(snapshot), *_ways(snapshot.number)])


def _facts(snapshot: Snapshot) -> list[str]:
    run = snapshot.run
    tracks = run.counts["tagged"] + run.counts["carried"]
    rolled_back = "" if run.rolled_back_to is None else f" It has the content of snapshot {run.rolled_back_to}."
    return [
        README_MARK,
        "",
        "# Tags of a music catalog",
        "",
        "This folder is a table of catalog-tagger: versioned Parquet tables with a score for every track and tag. This",
        "page is written again with each snapshot.",
        "",
        f"- Newest snapshot: {snapshot.number}, published {snapshot.created}.{rolled_back}",
        f"- Tracks: {tracks} tagged, {run.counts['rejected']} rejected.",
        f"- Tagger: `{run.ids.tagger_id}`; embeddings: `{run.ids.embedding_id}`.",
        f"- Content hash: `{run.content_hash}`.",
        *_licences(run.licences),
        "",
    ]


def _licences(known: tuple[str, ...]) -> list[str]:
    """What the bundle says about its networks. It is text of others: no markup in it has an effect."""
    if not known:
        return ["- Licence of the tags: not recorded. The model bundle names none; ask its publisher."]
    texts = [" ".join(text.replace("`", "'").split())[:_LONGEST_TEXT] for text in known]
    return [
        "- Licence of the tags: the publisher decides. The networks that computed them have these licences:",
        *(f"  - `{text}`" for text in texts),
    ]


def _tables(snapshot: Snapshot) -> list[str]:
    rows = {name: snapshot.rows(name) for name in TABLES}
    return [
        "## Tables",
        "",
        *(f"- `{name}` ({rows[name]} rows): {ROW_SENTENCES[name]}" for name in TABLES),
        "",
    ]


def _ways(number: int) -> list[str]:
    return [
        "## Three ways to open it",
        "",
        "Do not read `data/` by a listing: it also has files of other snapshots. In this folder:",
        "",
        "1. With catalog-tagger, which verifies the checksums of what it reads:",
        "",
        "   ```bash",
        '   catalog-tagger query . "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag '
        'ORDER BY tracks DESC"',
        "   ```",
        "",
        "2. With DuckDB alone: `current.sql` creates a view for each table, and the functions",
        "   `has_tag('mood/calm', 0.7)`, `weighted_search(MAP {'mood/calm': 0.8, 'mood/sad': -1})` and",
        "   `similar_to('TRACK_ID')`.",
        "",
        "   ```bash",
        "   duckdb -init current.sql",
        "   ```",
        "",
        f"   From another folder, run `SET VARIABLE {ROOT_VARIABLE} = 'FOLDER';` first.",
        "",
        "3. With an engine that reads Apache Iceberg, such as Spark, Trino, pyiceberg, polars or DuckDB's extension:",
        f"   each table is an Iceberg table, such as `{iceberg_folder('track_tags')}`.",
        "",
        "   ```python",
        "   from pyiceberg.table import StaticTable",
        "",
        f'   table = StaticTable.from_metadata("{iceberg_folder("track_tags")}")  # on gs://: the whole URL',
        f"   rows = table.scan(snapshot_id={number}).to_arrow()  # the id is the number of the snapshot",
        "   ```",
        "",
        "   Iceberg's files name all files by absolute paths. After the folder was moved or copied, run",
        "   `catalog-tagger iceberg FOLDER` once.",
        "",
        f"The record of this snapshot is `{snapshot_path(number)}`. `catalog-tagger verify .` checks every file.",
        "",
    ]
