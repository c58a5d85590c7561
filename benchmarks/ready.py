"""Tables with complete part files, or with one snapshot: `tag` finds an outcome of every track and decodes nothing."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.bundles.tagger_bundle import Bundle, load_bundle
from transforms.formats.arrow import group_numbers
from transforms.formats.hashing import bucket_of, sha256_hex
from transforms.publishing.commit import publish
from transforms.publishing.gates import GateLimits
from transforms.schemas.catalog import CATALOG
from transforms.schemas.tables import PART
from transforms.table.snapshots import Run
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket
from transforms.tagging.bucket_files import write_bucket, write_table_file
from transforms.tagging.outcomes.of_parent import completed
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.part_files import write_part
from transforms.tagging.tagger import ids_of

ROW_GROUP = 65_536
CHUNK = 64


def write_ready(folder: Path, bundle_url: str, tracks: int, bucket_tracks: int = 20_000) -> tuple[Path, Path]:
    """A catalog of tracks that do not exist, and a table with their part files; returns both.

    The part files are those that the last stage of extraction writes, of ready embeddings.
    """
    catalog, table = folder / "catalog.parquet", folder / "table"
    folder.mkdir(parents=True)
    buckets = open_table(str(table), math.ceil(tracks / bucket_tracks))
    names = [f"track-{number:08d}" for number in range(tracks)]
    _write_catalog(catalog, names)
    write_parts(table, load_bundle(bundle_url), names, buckets=buckets)
    return catalog, table


def write_parts(table: Path, bundle: Bundle, names: list[str], *, version: str = "1", buckets: int = 0) -> None:
    """Writes part files of tracks, with random embeddings that depend on the version of the sources.

    Args:
      buckets: number of buckets of the table; 0: as `table.json` says.
    """
    buckets, rng = buckets or open_table(str(table), 1), np.random.default_rng(int(version))
    for bucket, chunk in _chunks(names, buckets):
        write_part(str(table), bucket, _part(chunk, bundle, rng, version), bundle.embedding_id)


def publish_ready(folder: Path, bundle_url: str, tracks: int, bucket_tracks: int = 20_000) -> tuple[Path, Path]:
    """Like `write_ready`, but instead of part files the table has one snapshot, written bucket by bucket as by `tag`.

    It has no tags of artists and albums.
    """
    catalog, table, bundle = folder / "catalog.parquet", folder / "table", load_bundle(bundle_url)
    folder.mkdir(parents=True)
    buckets = open_table(str(table), math.ceil(tracks / bucket_tracks))
    rows = _catalog_rows([f"track-{number:08d}" for number in range(tracks)])
    pq.write_table(rows, catalog, row_group_size=ROW_GROUP)
    known = PriorOutcomes(root=str(table), parent=None, ids=ids_of(bundle), due_again=frozenset(), buckets=buckets)
    place, rng = group_numbers(rows["track_id"].to_pylist(), buckets), np.random.default_rng(0)
    reports = []
    for bucket in range(buckets):
        own = rows.filter(pa.array(place == bucket))
        columns = [own[f.name].cast(f.type) if f.name in own.column_names else _nulls(f, own) for f in CATALOG]
        outcomes = _part(own["track_id"].to_pylist(), bundle, rng, "1")
        outcomes = completed(outcomes.append_column("carried", pa.repeat(False, own.num_rows)))
        given = pa.table(columns, schema=CATALOG)
        made = assemble_bucket(given, outcomes, {}, bundle, "run-ready", PublishedRows())
        reports.append(write_bucket(known, bucket, made, "run-ready"))
    tags = write_table_file(known, -1, "taxonomy", bundle.taxonomy_rows().sort_by("tag"), "run-ready")
    run = Run(
        run_id="run-ready",
        parent=None,
        ids=known.ids,
        counts={"catalog": tracks, "tagged": tracks, "carried": 0, "rejected": 0, "unavailable": 0}
        | {"decoded": 0, "reused": tracks},
        reasons={},
        options=PublishedRows().to_json(),
        files=(*(file for report in reports for file in report.files), tags),
    )
    publish(str(table), run, GateLimits())
    return catalog, table


def _nulls(field: pa.Field, rows: pa.Table) -> pa.Array:
    return pa.nulls(rows.num_rows, field.type)


def _write_catalog(path: Path, names: list[str]) -> None:
    pq.write_table(_catalog_rows(names), path, row_group_size=ROW_GROUP)


def _catalog_rows(names: list[str]) -> pa.Table:
    columns = {
        "track_id": names,
        "uri": [f"audio/{name}.flac" for name in names],
        "artist_id": [f"artist-{number // 10:07d}" for number in range(len(names))],
        "title": [f"Title of {name}" for name in names],
        "source_version": ["1"] * len(names),
    }
    return pa.table(columns)


def _chunks(names: list[str], buckets: int) -> Iterator[tuple[int, list[str]]]:
    waiting: dict[int, list[str]] = {}
    for name in names:
        chunk = waiting.setdefault(bucket_of(name, buckets), [])
        chunk.append(name)
        if len(chunk) == CHUNK:
            yield bucket_of(name, buckets), waiting.pop(bucket_of(name, buckets))
    yield from waiting.items()


def _part(names: list[str], bundle: Bundle, rng: np.random.Generator, version: str) -> pa.Table:
    values = rng.normal(size=(len(names), bundle.embedding_dim)).astype(np.float16).astype(np.float32)
    facts = {"source_version": version, "source_bytes": 16_044, "decoded_fraction": 1.0, "duration_s": 30.0}
    columns = {name: pa.repeat(value, len(names)) for name, value in facts.items()}
    columns |= {"sample_rate": pa.repeat(44_100, len(names)), "channels": pa.repeat(2, len(names))}
    columns |= {
        "track_id": pa.array(names),
        "source_sha256": pa.array([sha256_hex(f"{n} {version}".encode()) for n in names]),
    }
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), bundle.embedding_dim)
    fields = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(len(names), f.type) for f in PART]
    return pa.table(fields, schema=PART)
