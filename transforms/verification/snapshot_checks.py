"""Reads a published snapshot again from its bytes and reports every problem."""

import dataclasses
import io
from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.blocks import checksums_of
from transforms.formats.hashing import sha256_hex
from transforms.formats.parquet import SORTED_BY, CheckedFile
from transforms.iceberg.checks import iceberg_problems
from transforms.schemas.fusion import declared_schema
from transforms.schemas.tables import DELETES, DELETES_OF, GROUPED_BY, PER_BUCKET, SCHEMA_VERSION
from transforms.table.content import has_content
from transforms.table.layout import snapshot_path
from transforms.table.neighbours import NEIGHBOURS_TABLE
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DEFERRED, DataFile, Run, Snapshot
from transforms.verification.bucket_checks import CheckedTags, bucket_problems
from transforms.verification.group_checks import GroupCounts
from transforms.verification.level_checks import delete_problems, live_rows
from transforms.verification.manifest_checks import list_problems, record_problems
from transforms.verification.neighbour_checks import index_problems, neighbour_problems


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifiedStep:
    """One step of the verification and its problems.

    Attributes:
      what: the bucket or file, for a progress bar.
      files: number of data files read.
      rows: number of rows read.
      problems: one sentence each, which begins with the file, bucket or table.
    """

    what: str
    files: int = 0
    rows: int = 0
    problems: tuple[str, ...] = ()


def steps(snapshot: SnapshotReader) -> int:
    """Number of `VerifiedStep`s that `verify` yields."""
    return len(_buckets(snapshot)) + len(_group_buckets(snapshot)) + len(snapshot.manifest.files(NEIGHBOURS_TABLE)) + 2


def _buckets(snapshot: SnapshotReader) -> list[int]:
    return sorted({file.bucket for file in snapshot.manifest.run.files if file.table in PER_BUCKET})


def _group_buckets(snapshot: SnapshotReader) -> list[DataFile]:
    """The base file of each bucket of artists or albums."""
    return [file for name in GROUPED_BY for file in snapshot.manifest.base_files(name)]


def verify(snapshot: SnapshotReader) -> Iterator[VerifiedStep]:
    """Checks every file of a snapshot: bytes, schema, page checksums, order and content; and that the tables agree.

    It relies on no name and no count. One bucket is in memory at a time.
    """
    tags, taxonomy = _taxonomy(snapshot)
    yield taxonomy
    counts, groups = Counter[str](), GroupCounts(snapshot.manifest.run)
    for bucket in _buckets(snapshot):
        step, tables = _read_bucket(snapshot, bucket)
        if tags and set(tables) == set(PER_BUCKET):
            between = bucket_problems(tables, tags, snapshot.manifest.run, bucket, snapshot.buckets)
            step = dataclasses.replace(step, problems=(*step.problems, *between))
        if "ledger" in tables:
            counts.update(tables["ledger"]["status"].to_pylist())
            counts["catalog"] += tables["ledger"].num_rows
        if "tracks" in tables:
            groups.add_tracks(tables["tracks"])
        yield step
    for base in _group_buckets(snapshot):
        step, tables = _read_tables(snapshot, base.bucket, (base.table,), base.path)
        if tags and (rows := tables.get(base.table)) is not None:
            found = groups.row_problems(rows, base, tags, snapshot.buckets)
            step = dataclasses.replace(step, problems=(*step.problems, *found))
        yield step
    for file in snapshot.manifest.files(NEIGHBOURS_TABLE):
        read, wrong = read_published(snapshot, file)
        wrong += [] if read is None else neighbour_problems(snapshot, read, file)
        yield VerifiedStep(what=file.path, files=1, rows=file.rows, problems=tuple(wrong))
    problems = [
        *_count_problems(snapshot.manifest, counts),
        *groups.problems(),
        *record_problems(snapshot),
        *list_problems(snapshot),
        *iceberg_problems(snapshot),
        *index_problems(snapshot),
    ]
    yield VerifiedStep(what="counts", problems=tuple(problems))


def _taxonomy(snapshot: SnapshotReader) -> tuple[CheckedTags | None, VerifiedStep]:
    files = snapshot.manifest.files("taxonomy")
    if len(files) != 1:
        return None, VerifiedStep(what="taxonomy", problems=(f"taxonomy: {len(files)} files instead of 1",))
    table, problems = read_published(snapshot, files[0])
    verified = VerifiedStep(what="taxonomy", files=1, rows=table.num_rows if table else 0, problems=tuple(problems))
    return (CheckedTags.of(table) if table is not None else None), verified


def _read_bucket(snapshot: SnapshotReader, bucket: int) -> tuple[VerifiedStep, dict[str, pa.Table]]:
    """The bucket's tables that could be read, and the problems of their files."""
    return _read_tables(snapshot, bucket, PER_BUCKET, f"bucket {bucket}")


def _read_tables(
    snapshot: SnapshotReader, bucket: int, names: Sequence[str], what: str
) -> tuple[VerifiedStep, dict[str, pa.Table]]:
    """The live rows of the tables in a bucket, and all problems; these tables share a delete file."""
    tables: dict[str, pa.Table] = {}
    deletes, problems, files = None, list[str](), 0
    for file in snapshot.manifest.bucket_files(DELETES_OF[names[0]], bucket):
        files += 1
        deletes, found = read_published(snapshot, file)
        problems += found
        if deletes is not None:
            problems += delete_problems(deletes, file, snapshot.manifest.number, snapshot.buckets)
    for name in names:
        own = snapshot.manifest.bucket_files(name, bucket)
        if len(own) != 1 and not (own and own[0].merged):
            problems.append(f"bucket {bucket}: {len(own)} files of {name} instead of 1")
        pieces = []
        for file in own:
            files += 1
            table, file_problems = read_published(snapshot, file)
            problems += file_problems
            pieces += [] if table is None else [(file, table)]
        if pieces and len(pieces) == len(own):
            tables[name], level_problems = live_rows(pieces, deletes)
            problems += level_problems
    rows = sum(table.num_rows for table in tables.values())
    return VerifiedStep(what=what, files=files, rows=rows, problems=tuple(problems)), tables


def read_published(snapshot: SnapshotReader, file: DataFile) -> tuple[pa.Table | None, list[str]]:
    """The rows of a data file, or None if it cannot be read as its table; and its problems."""
    try:
        data = storage.read_bytes(snapshot.url(file))
    except storage.StorageError as error:
        return None, [f"{file.path}: {error}"]
    problems = []
    if len(data) != file.bytes:
        problems.append(f"{file.path}: {len(data)} bytes, the snapshot has {file.bytes}")
    if sha256_hex(data) != file.sha256:
        # Bytes that nobody wrote are not parsed.
        return None, [*problems, f"{file.path}: sha256 {sha256_hex(data)}, the snapshot has {file.sha256}"]
    if file.checksums and checksums_of(data) != file.checksums:
        problems.append(f"{file.path}: the snapshot has other checksums of its blocks")
    try:
        with CheckedFile(io.BytesIO(data)) as parquet:
            table = parquet.read(use_threads=False)
            problems += _header_problems(parquet, snapshot.manifest.run, file)
    except (OSError, pa.ArrowException) as error:
        return None, [*problems, f"{file.path}: {' '.join(str(error).split())}"]
    schema_problems = _schema_problems(table.schema, file)
    if schema_problems:
        return None, problems + schema_problems
    return table, problems + list(_row_problems(table, file))


def _header_problems(parquet: CheckedFile, run: Run, file: DataFile) -> Iterator[str]:
    """Checks ids and schema version in the key-value metadata."""
    metadata, ids = parquet.schema_arrow.metadata or {}, dataclasses.asdict(run.ids)
    if file.table == "embeddings" and file.run_id != run.run_id:  # embeddings stay if only the heads are new
        ids = {name: ids[name] for name in ("feature_id", "embedding_id")}
    elif file.table in DELETES or file.table == NEIGHBOURS_TABLE:  # they name keys, which nothing was computed for
        ids = {}
    wanted = {**ids, "schema_version": str(SCHEMA_VERSION)}
    for name, value in wanted.items():
        stored = metadata.get(name.encode(), b"").decode()
        if stored != value:
            yield f"{file.path}: metadata {name} is {stored!r}, the snapshot has {value!r}"


def _schema_problems(schema: pa.Schema, file: DataFile) -> list[str]:
    """Lists columns that differ from the table's declaration. `tracks` may have further columns at its end."""
    declared = declared_schema(file.table, schema.names)
    names = schema.names if file.table != "tracks" else schema.names[: len(declared)]
    if names != declared.names:
        return [f"{file.path}: columns {', '.join(names)} instead of {', '.join(declared.names)}"]
    return [
        f"{file.path}: column {field.name} is {schema.field(field.name).type}, declared as {field.type}"
        for field in declared
        if schema.field(field.name).type != field.type
    ]


def _row_problems(table: pa.Table, file: DataFile) -> Iterator[str]:
    """Checks row count, content digest and order, that columns which are not nullable have no null, and for NaN."""
    if table.num_rows != file.rows:
        yield f"{file.path}: {table.num_rows} rows, the snapshot has {file.rows}"
    if file.content and not has_content(file.table, table, file.content):
        yield f"{file.path}: its rows have another content hash, the snapshot has {file.content}"
    keys = [(name, order) for name, order in SORTED_BY[file.table] if name in table.column_names]
    sorted_ = table.take(pc.sort_indices(table, sort_keys=keys)).select([name for name, _ in keys])
    if not sorted_.equals(table.select([name for name, _ in keys])):
        yield f"{file.path}: rows are not sorted by {', '.join(name for name, _ in keys)}"
    for field in declared_schema(file.table, table.column_names):
        column = table[field.name]
        if not field.nullable and column.null_count:
            yield f"{file.path}: column {field.name} has {column.null_count} nulls"
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(column)).as_py():
            yield f"{file.path}: column {field.name} has NaN"


def _count_problems(manifest: Snapshot, found: Counter[str]) -> Iterator[str]:
    """Conservation: the ledgers have as many rows as the run counted, and the counts add up."""
    counts = manifest.run.counts
    outcomes = ("tagged", "carried", "rejected", DEFERRED)
    for name in ("catalog", *outcomes):
        if counts.get(name, 0) != found[name]:
            yield f"{snapshot_path(manifest.number)}: counts {counts.get(name, 0)} {name}, the ledger has {found[name]}"
    total = sum(counts.get(name, 0) for name in outcomes)
    if counts["catalog"] != total:
        sums = "tagged + carried + rejected" + (f" + {DEFERRED}" if DEFERRED in counts else "")
        yield f"{snapshot_path(manifest.number)}: {counts['catalog']} ids but {sums} = {total}"
