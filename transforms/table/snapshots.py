"""Snapshots: each is a numbered, immutable, complete version of all tables; its commit creates one file."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from transforms import storage
from transforms.formats.hashing import combine, digest
from transforms.formats.inner_paths import inner_path
from transforms.formats.sealing import read_record
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.schemas.tables import (
    DELETES,
    DELETES_OF,
    GROUPED_BY,
    MIXED_SCHEMA_VERSION,
    OPTIONAL,
    PER_BUCKET,
    SCHEMA_VERSION,
)
from transforms.table.layout import snapshot_path
from transforms.table.versions import TableError, check_version, is_sealed

COUNTS = ("catalog", "tagged", "carried", "rejected", "unavailable", "decoded", "reused")
"""Counts of a run, in the order in which they are printed."""

DEFERRED, POSTPONED = "deferred", "postponed"
"""Further counts of a run with a budget. `deferred`: tracks without an outcome, which no run has reached. `postponed`:
these, and the tracks that keep an outcome of the last snapshot until a later run replaces it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataFile:
    """One immutable Parquet file of a table.

    Attributes:
      path: relative to the table root.
      bucket: bucket of its tracks, artists or albums; -1 for the taxonomy.
      content: digest of its rows, see `comparable_digest`; "" for tables that follow from others.
      checksums: CRC-32C of the file and of its blocks, see `checksums_of`; "" in manifests of version 0.1.
      order: number of the snapshot that the file was written for; 0 in manifests of earlier versions. Of the files of a
        table in a bucket, the one with the lowest order is the base. The others have newer rows, see `levels`.
      dead: number of its rows that a delete file takes out in this snapshot.
      merged: of a base that is not alone or has dead rows: digest of all live rows of its table and bucket.
    """

    table: str
    path: str
    bucket: int
    rows: int
    bytes: int
    sha256: str
    content: str
    checksums: str = ""
    order: int = 0
    dead: int = 0
    merged: str = ""

    def __post_init__(self) -> None:
        inner_path(self.path)

    @property
    def has_deletes(self) -> bool:
        """Whether a delete file of its bucket takes out some of its rows."""
        return self.dead > 0

    @property
    def run_id(self) -> str:
        """The run that wrote the file."""
        return self.path.partition("/run=")[2].partition("/")[0]

    def to_json(self) -> dict[str, Any]:
        """The file as a JSON object. Further facts are in fields of the run, which version 0.1 passes over."""
        fields = dataclasses.asdict(self)
        for name in ("checksums", "order", "dead", "merged"):
            del fields[name]
        return fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ids:
    """Ids of everything that the rows of a snapshot were computed with."""

    feature_id: str
    embedding_id: str
    tagger_id: str
    taxonomy_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EarlierIds:
    """Rows of earlier runs that a run kept as they were, because it did not reach their tracks within its budget.

    Attributes:
      ids: what the rows were computed with.
      tracks: number of their tracks with tags.
      rejected: number of their rejected tracks.
      thresholds: tag -> threshold of that tagger; the table `taxonomy` has those of the run's own.
    """

    ids: Ids
    tracks: int
    rejected: int
    thresholds: dict[str, float]

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The rows that `dataclasses.asdict` described."""
        return cls(**obj | {"ids": Ids(**obj["ids"])})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The manifest of a finished run, stored at `runs/<run_id>.json`: everything that `publish` needs.

    Attributes:
      counts: `catalog` is the sum of `tagged`, `carried` and `rejected`. `decoded` tracks were extracted by this job,
        `reused` ones come from part files of an earlier unpublished job. `unavailable` are the rejects that the next
        run tries again.
      reasons: rejected tracks by reason.
      counted: number of rows of the catalog that the launcher counted. None for runs of earlier versions.
      changes: `added`: tracks that the last snapshot lacks; `removed`: tracks that only it has. Empty for runs of
        earlier versions.
      options: options that select the published rows (`min_score`, `top_k`).
      files: all data files, those of `artist_tags` and `album_tags` last. Runs of earlier versions have none of these,
        and no delete files.
      evidence: what the gates need to know of the rows, measured while they were assembled, see `Evidence.to_json`;
        `before`: counts of the last snapshot. Empty for runs of earlier versions, and for a rollback.
      overrides: what was published although a gate refused it, in this snapshot and in all before it: `snapshot`,
        `run_id`, `gate`, `value`, `limit`, `reason`, `by`, `when`. Empty in `runs/<run_id>.json`.
      gates: name -> `value`, `limit`, `passed`. In `runs/<run_id>.json`, the limits are those of the launch; in a
        snapshot, those of the publisher. Empty for runs of earlier versions.
      measured: measured work by stage: `core_seconds`, `counters`, `distributions`. Differs between equal runs. Empty
        for runs of earlier versions.
      plan: `expected`: numbers of tracks and costs that were planned when the run began; `happened`: the same numbers
        after it; `causes`: why, see the counters of the stage `plan`. Empty for runs of earlier versions and rollbacks.
      fusion: what the scores were combined with: `policy_id`, `policy` (see `Policy.to_json`), `tracks` of which a
        source says something, and `sources`: name, table, and what became of their rows. Empty for runs without
        sources.
      rolled_back_to: number of the snapshot whose content a rollback published again; None for other runs.
      rollback_reason: why, as the user says; None if no reason was given.
      purged: takedowns that rewrote the snapshot: name -> `tracks` that were taken out, and `when`.
      licences: licences of the networks as the bundle states them, as `name: licence`. Empty for runs of earlier
        versions.
      earlier: what other ids the rows have, the most tracks first; empty if all rows have `ids`.
      neighbours: what the table `neighbours` and the search index were computed from, see
        `transforms.table.neighbours`; empty if the snapshot has neither.
      parameters: how parameters of new tracks are measured: `parameters_id`, and the fields of the spec; `measures` is
        `none` if they are not. Rows of `tracks` say what they were measured by. Empty for runs of earlier versions.
      rules: names of the categories whose tags follow from rules.
      embedding_parts: embedding_id -> the parts of the embedding, for each embedding of the rows. Runs of earlier
        versions say nothing.
      trunk_ids: embedding_id -> ids of its trunks, in the order of their parts, for each embedding of the rows. Runs of
        earlier versions say nothing.
    """

    run_id: str
    parent: int | None
    ids: Ids
    counts: dict[str, int]
    reasons: dict[str, int]
    options: dict[str, float | None]
    files: tuple[DataFile, ...]
    counted: int | None = None
    changes: dict[str, int] = dataclasses.field(default_factory=dict)
    evidence: dict[str, Any] = dataclasses.field(default_factory=dict)
    overrides: tuple[dict[str, Any], ...] = ()
    gates: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)
    plan: dict[str, Any] = dataclasses.field(default_factory=dict)
    fusion: dict[str, Any] = dataclasses.field(default_factory=dict)
    rolled_back_to: int | None = None
    rollback_reason: str | None = None
    purged: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    licences: tuple[str, ...] = ()
    earlier: tuple[EarlierIds, ...] = ()
    neighbours: dict[str, Any] = dataclasses.field(default_factory=dict)
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    rules: tuple[str, ...] = ()
    embedding_parts: dict[str, tuple[EmbeddingPart, ...]] = dataclasses.field(default_factory=dict)
    trunk_ids: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def is_mixed(self) -> bool:
        """Whether rows have other ids than `ids`, or tracks wait for a later run: earlier versions misread both."""
        return bool(self.earlier or self.counts.get(DEFERRED))

    @property
    def embedding_ids(self) -> tuple[str, ...]:
        """Ids of the embeddings that the snapshot has, that of the run first."""
        kept = (one.ids.embedding_id for one in self.earlier if one.tracks)
        return tuple(dict.fromkeys((self.ids.embedding_id, *kept)))

    @property
    def content_hash(self) -> str:
        """Hash of the rows of `tracks`, `track_tags`, `embeddings` and `ledger`, independent of file names."""
        own = [file for file in self.files if file.table in PER_BUCKET]
        merged = {(file.table, file.bucket): file.merged for file in own if file.merged}
        digests = [(f.table, f.bucket, f.content) for f in own if (f.table, f.bucket) not in merged]
        digests += [(table, bucket, content) for (table, bucket), content in merged.items()]
        return combine(digest(table, str(bucket), content) for table, bucket, content in digests)

    @property
    def has_levels(self) -> bool:
        """Whether some rows of its files are superseded, or a table has several files in a bucket."""
        return any(file.merged for file in self.files)

    @property
    def paths(self) -> set[str]:
        """Paths of its data files, and of the manifest of its search index if it has one."""
        index = self.neighbours.get("index")
        return {file.path for file in self.files} | ({index} if index else set())

    @property
    def written(self) -> list[DataFile]:
        """The files that this run wrote. The others are those of earlier runs, whose rows did not change."""
        return [file for file in self.files if file.run_id == self.run_id]

    def to_json(self) -> dict[str, Any]:
        """The run as a JSON object. Tags of artists and albums are in a field of their own, unknown to version 0.1."""
        return {
            "schema_version": MIXED_SCHEMA_VERSION if self.is_mixed else SCHEMA_VERSION,
            "content_hash": self.content_hash,
            **dataclasses.asdict(self),
            "files": [f.to_json() for f in self.files if f.table not in OPTIONAL and f.table not in DELETES],
            "group_files": [file.to_json() for file in self.files if file.table in GROUPED_BY],
            "neighbour_files": [file.to_json() for file in self.files if file.table == "neighbours"],
            "delete_files": [file.to_json() for file in self.files if file.table in DELETES],
            "checksums": {file.path: file.checksums for file in self.files if file.checksums},
            "orders": {file.run_id: file.order for file in self.files if file.order},
            "dead": {file.path: file.dead for file in self.files if file.dead},
            "merged": {file.path: file.merged for file in self.files if file.merged},
        }

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The run that `to_json` wrote.

        Raises:
          TableError: written by another schema version.
          ValueError: the run's id or the path of a file is not a plain name, or a count is missing.
        """
        if obj["schema_version"] not in (SCHEMA_VERSION, MIXED_SCHEMA_VERSION):
            raise TableError(
                f"schema version {obj['schema_version']} cannot be read, because this version reads {SCHEMA_VERSION} "
                f"and {MIXED_SCHEMA_VERSION}: upgrade catalog-tagger"
            )
        inner_path(obj["run_id"])
        if missing := [name for name in COUNTS if name not in obj["counts"]]:
            raise ValueError(f"it does not count {missing[0]} tracks")
        names = {f.name for f in dataclasses.fields(cls)}
        fields = {k: v for k, v in obj.items() if k in names}
        others = {
            "overrides": tuple(obj.get("overrides", ())),
            "licences": tuple(obj.get("licences", ())),
            "rules": tuple(obj.get("rules", ())),
            "earlier": tuple(map(EarlierIds.from_json, obj.get("earlier", ()))),
            "embedding_parts": {
                name: tuple(map(EmbeddingPart.from_json, parts))
                for name, parts in obj.get("embedding_parts", {}).items()
            },
            "trunk_ids": {name: tuple(ids) for name, ids in obj.get("trunk_ids", {}).items()},
        }
        return cls(**fields | others | {"ids": Ids(**obj["ids"]), "files": tuple(_data_files(obj))})


_FURTHER_FILES = ("group_files", "neighbour_files", "delete_files")


def _data_files(obj: dict[str, Any]) -> Iterator[DataFile]:
    """The files of a run's JSON object."""
    checksums, orders, dead, merged = (obj.get(name, {}) for name in ("checksums", "orders", "dead", "merged"))
    for fields in (*obj["files"], *(one for name in _FURTHER_FILES for one in obj.get(name, ()))):
        file, path = DataFile(**fields), fields["path"]
        yield dataclasses.replace(
            file,
            checksums=checksums.get(path, ""),
            order=orders.get(file.run_id, 0),
            dead=dead.get(path, 0),
            merged=merged.get(path, ""),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One published version: a number, the time of the commit (ISO format, UTC), and the run that it publishes."""

    number: int
    created: str
    run: Run

    @functools.cached_property
    def _buckets(self) -> dict[str, dict[int, list[DataFile]]]:
        """Table -> bucket -> its files. Made once, because whoever reads a bucket asks for its files."""
        found: dict[str, dict[int, list[DataFile]]] = {}
        for file in sorted(self.run.files, key=lambda f: (f.table, f.bucket, f.order, f.path)):
            found.setdefault(file.table, {}).setdefault(file.bucket, []).append(file)
        return found

    def by_bucket(self, name: str) -> Mapping[int, Sequence[DataFile]]:
        """Bucket -> the files of one table in it, the base first. Ascending."""
        return self._buckets.get(name, {})

    def bucket_files(self, name: str, bucket: int) -> list[DataFile]:
        """The files of one table in a bucket, the base first."""
        return list(self.by_bucket(name).get(bucket, ()))

    def files(self, name: str) -> list[DataFile]:
        """The files of one table, by bucket, the base of each bucket first."""
        return [file for own in self.by_bucket(name).values() for file in own]

    def base_files(self, name: str) -> list[DataFile]:
        """The base of each bucket of one table: its rows when the bucket was last compacted."""
        return [own[0] for own in self.by_bucket(name).values()]

    def delete_files(self, name: str) -> list[DataFile]:
        """The delete files for one table, by bucket: at most one a bucket."""
        return self.files(DELETES_OF.get(name, ""))

    def rows(self, name: str) -> int:
        """Number of rows of one table."""
        return sum(file.rows - file.dead for file in self.run.files if file.table == name)

    def content(self, name: str, bucket: int) -> list[str]:
        """Digests of a table's rows in a bucket: equal for equal rows. Empty if it has no rows there."""
        return [file.merged or file.content for file in self.bucket_files(name, bucket)[:1]]

    def to_json(self) -> dict[str, Any]:
        """The snapshot as a JSON object."""
        return {"number": self.number, "created": self.created, **self.run.to_json()}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The snapshot that `to_json` wrote."""
        return cls(number=obj["number"], created=obj["created"], run=Run.from_json(obj))


def listed_numbers(root: str) -> list[int]:
    """Numbers of all published snapshots, ascending; they come from a listing, never from `current.json`."""
    names = [file.url.rsplit("/", 1)[-1] for file in storage.list_folder(storage.join(root, "snapshots"))]
    return sorted(int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdigit())


def snapshot_numbers(root: str) -> list[int]:
    """See `listed_numbers`.

    Raises:
      TableError: the table needs a newer reader.
    """
    check_version(root)
    return listed_numbers(root)


def read_snapshot(root: str, number: int) -> Snapshot:
    """Reads a published snapshot.

    Raises:
      storage.NotFound: there is no snapshot of this number.
      TableError: written by another schema version, or damaged.
    """
    url = storage.join(root, snapshot_path(number))
    snapshot = read_record(url, "a snapshot", Snapshot.from_json, TableError, must_be_sealed=lambda: is_sealed(root))
    if snapshot.number != number:
        raise TableError(f"{url}: holds snapshot {snapshot.number}: the file was renamed or copied")
    return snapshot


def current_snapshot(root: str) -> Snapshot | None:
    """The newest published snapshot; None if there is no snapshot."""
    numbers = snapshot_numbers(root)
    return read_snapshot(root, numbers[-1]) if numbers else None
