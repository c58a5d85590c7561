"""Splits a catalog so that every tag gets its share on every side and no artist is on two sides.

catalog-tagger split --catalog catalog.parquet --taxonomy taxonomy.yaml --output split.parquet
catalog-tagger prepare --catalog split.parquet --split-column split ...
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.catalog import fail_on_problems, open_catalog, split_ratios
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.labelled_tracks import redirected_lines
from pipelines.inputs.source_roots import record_roots, recorded_roots
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError
from transforms import storage
from transforms.catalog.limits import listed
from transforms.catalog.reader import CatalogShard, list_shards
from transforms.formats.hashing import json_bytes
from transforms.splits.by_artist import split_of
from transforms.splits.stratified import previous_sides, report, split_catalog, with_sides
from transforms.splits.survey import read_labels
from transforms.taxonomy.hierarchy import load_taxonomy


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Reads the catalog twice: to assign the sides, and to write the rows with their sides."""
    ratios = split_ratios(args)
    _check_output(args.output)
    check_writes("--output", args.output)
    check_writes("--report", args.report)
    taxonomy = load_taxonomy(args.taxonomy)
    shards, _ = open_catalog(args.catalog)
    _check_columns(shards, args)
    catalog = read_labels(shards, taxonomy, lambda row: split_of(row, ratios), args.bytes_column)
    fail_on_problems(catalog.problems, "split")
    previous = previous_sides(_previous(args), args.column) if args.previous else None
    sides = split_catalog(catalog, taxonomy, ratios, previous)
    result = report(catalog, sides, taxonomy, ratios)
    _write(with_sides(shards, sides, args.column), args.output)
    if roots := recorded_roots(dict.fromkeys(shard.file.url for shard in shards)):
        record_roots(args.output, roots)  # the uris are the same
    if args.report:
        storage.write_bytes(args.report, json_bytes(result))
    return Answer(text=summary(result), document=result)


def _check_output(output: str) -> None:
    if not output.endswith(".parquet"):
        raise UsageError(f"--output={output}: the output is a Parquet file, use a name that ends in .parquet")


def _check_columns(shards: list[CatalogShard], args: Arguments) -> None:
    names = shards[0].schema.names if shards else []
    if args.column in names:
        raise UsageError(f"--column={args.column}: the catalog already has this column, choose another name")
    if args.bytes_column and args.bytes_column not in names:
        raise UsageError(f"--bytes-column={args.bytes_column}: the columns are {listed(names[:-2])}")


def _previous(args: Arguments) -> list[CatalogShard]:
    shards = list_shards(args.previous)
    if shards and args.column not in shards[0].schema.names:
        raise UsageError(
            f"--previous={args.previous}: no column {args.column!r}: give the --column that it was written with"
        )
    return shards


def _write(batches: Iterable[pa.RecordBatch], output: str) -> None:
    """Writes the batches one by one, so that memory does not grow with the catalog.

    The same file may be there already, because a scheduler may start a finished command again.

    Raises:
      CommandFailed: another file has the name.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.parquet"
        writer = None
        for batch in batches:
            writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd", write_page_checksum=True)
            writer.write_batch(batch)
        if writer is not None:
            writer.close()
            try:
                storage.ensure_upload(path, output)
            except storage.AlreadyExists as error:
                raise CommandFailed(f"{output} already exists with other content: choose another --output") from error


def summary(found: dict[str, Any]) -> str:
    """Summary of a split's report, as text of a few lines."""
    tracks = ", ".join(f"{side} {count}" for side, count in found["tracks"].items())
    plain = found["hash_split"]
    lines = [
        f"{tracks} tracks; {found['groups_on_several_sides']} artists on several sides",
        f"tag shares deviate by {found['mean_deviation']:.4f} on average and {found['worst_deviation']:.4f} at most "
        f"(hash split: {plain['mean_deviation']:.4f}, {plain['worst_deviation']:.4f})",
        *redirected_lines(found["redirected_tags"]),
    ]
    return "\n".join(lines)
