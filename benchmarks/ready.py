"""Tables with complete part files: `tag` finds an outcome of every track, decodes nothing and writes all tables."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.bundles.tagger_bundle import Bundle, load_bundle
from transforms.formats.hashing import bucket_of, sha256_hex
from transforms.schemas.tables import PART
from transforms.table.versions import open_table
from transforms.tagging.part_files import write_part

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


def _write_catalog(path: Path, names: list[str]) -> None:
    columns = {
        "track_id": names,
        "uri": [f"audio/{name}.flac" for name in names],
        "artist_id": [f"artist-{number // 10:07d}" for number in range(len(names))],
        "title": [f"Title of {name}" for name in names],
        "source_version": ["1"] * len(names),
    }
    pq.write_table(pa.table(columns), path, row_group_size=ROW_GROUP)


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
    columns |= {"track_id": pa.array(names), "source_sha256": pa.array([sha256_hex(f"{n} {version}".encode()) for n in names])}
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), bundle.embedding_dim)
    fields = [columns[f.name].cast(f.type) if f.name in columns else pa.nulls(len(names), f.type) for f in PART]
    return pa.table(fields, schema=PART)
