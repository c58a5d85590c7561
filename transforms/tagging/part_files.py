"""Part files: the outcomes of finished chunks, kept as a cache. A file that is damaged in any way counts as absent."""

import functools
import logging
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.audio.errors import REASONS, Stage
from transforms.formats.hashing import bucket_of, digest
from transforms.formats.parquet import CheckedFile, parquet_bytes
from transforms.schemas.parameter_ranges import PARAMETER_RANGES
from transforms.schemas.parameters import PARAMETER_NAMES
from transforms.schemas.tables import PART
from transforms.table.layout import part_folder

_log = logging.getLogger(__name__)

_NAME_DIGITS = 24
"""Hex digits of the digest of a part file's bytes that are its name."""

_MOST_BYTES = 1 << 30
"""Largest part file that is read: a chunk of 64 tracks has less than 1 MiB."""

_MOST_REMEMBERED = 10_000
"""Most files of which this process remembers that it has checked their rows."""

_RANGES = {
    "source_bytes": (0, 1 << 53),
    "decoded_fraction": (0, 1),
    "duration_s": (0, 1 << 31),
    "sample_rate": (1, 1 << 31),
    "channels": (1, 1 << 15),
    **PARAMETER_RANGES,
}
"""Column -> smallest and largest value; NaN is outside."""


class Promised(NamedTuple):
    """What the rows of a bucket's part files must agree with.

    Attributes:
      bucket: number of the bucket.
      buckets: number of buckets of the table; None: ids are not compared with the bucket.
      embedding_id: id under which embeddings are reused.
      dim: length of an embedding; None: all of a file have the same one.
    """

    bucket: int
    buckets: int | None
    embedding_id: str
    dim: int | None


class _Damaged(Exception):
    """The file is not what `write_part` wrote, or its rows are not what the schema promises."""


def write_part(root: str, bucket: int, rows: pa.Table, embedding_id: str) -> str:
    """Writes the part file of one chunk, named by its content; returns its url. Writing it again has no effect.

    A damaged file of this name is replaced, because the chunk would otherwise never get an outcome. Columns that part
    files of earlier versions lack may be missing.
    """
    data = parquet_bytes(_completed(rows, PART.names).cast(PART), ids={"embedding_id": embedding_id})
    url = storage.join(part_folder(root, bucket), f"{digest(data)[:_NAME_DIGITS]}.parquet")
    try:
        storage.ensure(url, data)  # an earlier attempt may have written it
    except storage.StorageError:
        storage.write_bytes(url, data)
    return url


def read_parts(
    root: str, promised: Promised, columns: Sequence[str], track_ids: Container[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Yields the name of each sound part file of the bucket, and columns of all its rows.

    Files without any of these tracks may be passed over: to compare their rows with the schema takes time.
    A file that cannot be read or is damaged is reported once per process and skipped: its tracks are decoded again.
    Files with another embedding are skipped without a warning.
    """
    for file in storage.list_folder(part_folder(root, promised.bucket)):
        if not file.url.endswith(".parquet"):
            continue
        try:
            part = _read(file.url, promised, columns, track_ids)
        except (storage.StorageError, _Damaged) as fault:
            _warn_once(file.url, str(fault).removeprefix(f"{file.url}: "))
            continue
        if part is not None:
            yield file.url.rpartition("/")[2], part


@functools.lru_cache(maxsize=10_000)
def _warn_once(url: str, fault: str) -> None:
    _log.warning("%s: ignored, its tracks are decoded again: %s; it can be deleted", url, fault)


def _read(url: str, promised: Promised, columns: Sequence[str], track_ids: Container[str]) -> pa.Table | None:
    """Columns of a file; None if it has another embedding, or none of the tracks and was not checked before."""
    data = storage.read_bytes(url, max_bytes=_MOST_BYTES)
    name = url.rpartition("/")[2].removesuffix(".parquet")
    if digest(data)[:_NAME_DIGITS] != name:
        raise _Damaged(f"{len(data)} bytes that do not match the checksum in the file's name")
    try:
        file = CheckedFile(pa.BufferReader(data))
        if (file.schema_arrow.metadata or {}).get(b"embedding_id") != promised.embedding_id.encode():
            return None
        _check_schema(file.schema_arrow)
        stored = file.schema_arrow.names
        if (name, promised) in _sound:
            return _completed(file.read(columns=[c for c in columns if c in stored], use_threads=False), columns)
        own = file.read(columns=["track_id"], use_threads=False)["track_id"].to_pylist()
        if not any(track in track_ids for track in own):
            return None
        rows = _completed(file.read(columns=[c for c in PART.names if c in stored], use_threads=False), PART.names)
        rows.validate(full=True)
        _check_rows(rows, promised)
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        raise _Damaged(" ".join(str(error).split())[:500]) from error
    _remember(name, promised)
    return rows.select(columns)


def _completed(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """These columns; those of parameters are null in files of earlier versions."""
    for name in columns:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, PART.field(name).type))
    return rows.select(list(columns))


_sound: set[tuple[str, Promised]] = set()
"""Names of files whose rows this process has checked. The name is a checksum of the bytes, so once is enough."""


def _remember(name: str, promised: Promised) -> None:
    if len(_sound) >= _MOST_REMEMBERED:
        _sound.clear()
    _sound.add((name, promised))


def _check_schema(schema: pa.Schema) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise _Damaged("a column occurs more than once")
    lacking = set(PARAMETER_NAMES) if not set(PARAMETER_NAMES) & set(schema.names) else set()  # of an earlier version
    for field in PART:
        if field.name in lacking:
            continue
        if field.name not in schema.names or schema.field(field.name).type != field.type:
            raise _Damaged(f"column {field.name} is not {field.type}")


def _check_rows(rows: pa.Table, promised: Promised) -> None:
    ids = rows["track_id"].to_pylist()
    if None in ids or rows["source_version"].null_count:
        raise _Damaged("a row has no track_id or no source_version")
    if len(set(ids)) != len(ids):
        raise _Damaged("a track_id occurs more than once")
    if promised.buckets and any(bucket_of(track, promised.buckets) != promised.bucket for track in ids):
        raise _Damaged(f"tracks of other buckets than {promised.bucket}")
    if strangers := set(rows["reason"].unique().to_pylist()) - {None, *REASONS}:
        raise _Damaged(f"unknown reason {min(strangers)!r}")
    if strangers := set(rows["stage"].unique().to_pylist()) - {None, *get_args(Stage)}:
        raise _Damaged(f"unknown stage {min(strangers)!r}")
    for name, (low, high) in _RANGES.items():
        values = rows[name].drop_null().to_numpy()
        if not ((values >= low) & (values <= high)).all():
            raise _Damaged(f"{name} is not within {low} to {high}")
    _check_digests(rows["source_sha256"].drop_null())
    _check_embeddings(rows, promised.dim)


def _check_digests(digests: pa.ChunkedArray) -> None:
    if not pc.all(pc.match_substring_regex(digests, "^[0-9a-f]{64}$"), min_count=0).as_py():
        raise _Damaged("source_sha256 is no SHA-256")


def _check_embeddings(rows: pa.Table, dim: int | None) -> None:
    embeddings = rows["embedding"]
    told = pc.xor(pc.is_valid(embeddings), pc.is_valid(rows["reason"]))
    silent = pc.invert(pc.or_(pc.is_valid(embeddings), pc.is_valid(rows["reason"])))
    read = pc.and_(pc.fill_null(pc.equal(rows["stage"], "read"), False), pc.is_valid(rows["source_sha256"]))
    if not pc.all(pc.or_(told, pc.and_(silent, read)), min_count=0).as_py():
        raise _Damaged("a row has both a reason and an embedding, or neither")
    kept = embeddings.drop_null().combine_chunks()
    lengths = set(pc.unique(pc.list_value_length(kept)).to_pylist())
    if len(lengths) > 1 or (dim is not None and lengths - {dim}):
        raise _Damaged(f"embeddings of {sorted(lengths)} values instead of {dim or 'one length'}")
    values = kept.flatten().to_numpy(zero_copy_only=False)  # null becomes NaN
    if not np.isfinite(values).all():
        raise _Damaged("an embedding has values that are not finite")
    with np.errstate(over="ignore"):
        if not np.array_equal(values, values.astype(np.float16)):
            raise _Damaged("an embedding is not rounded to float16 precision")
