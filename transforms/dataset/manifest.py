"""The manifest of a dataset, `dataset.json`. It is written once, after all shards."""

import dataclasses
from typing import Any, Self

import pyarrow as pa

from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.arrow import content_digest
from transforms.formats.inner_paths import inner_path
from transforms.formats.parquet import read_parquet
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.splits.by_artist import SplitRatios
from transforms.taxonomy.hierarchy import Taxonomy

DATASET_VERSION = 2
DATASET_FILE = "dataset.json"
REJECTS = "rejects.parquet"
CONFLICTS_FILE = "conflicts.parquet"

_LATER = ("groups", "gates", "lists", "redirected_tags")
"""Fields that older datasets do not have."""

TIED = "tied"
"""Reason of a track that was left out because its bytes are on two sides of the split."""


class DatasetError(ValueError):
    """The dataset is missing, incomplete or of another version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One TFRecord file of a dataset.

    Attributes:
      path: path relative to the dataset's folder.
      split: `train`, `validation` or `test`.
      examples: number of its records.
      patches: number of patches in all its records.
      bytes: size of the file.
      sha256: SHA-256 of the file.
      checksums: CRC-32C of the file, 8 hex digits; "" once the dataset is finished, and in reports of version 0.1.
    """

    path: str
    split: str
    examples: int
    patches: int
    bytes: int
    sha256: str
    checksums: str = ""

    def __post_init__(self) -> None:
        inner_path(self.path)

    def to_json(self) -> dict[str, Any]:
        """The shard as an object of `dataset.json`."""
        fields = dataclasses.asdict(self)
        del fields["checksums"]
        return fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """The description of a dataset.

    Attributes:
      feature_spec: how the patches were made.
      taxonomy: defines the columns of targets and mask.
      split_ratios: shares of the artists on each side.
      split_column: catalog column with the official split; None if the hash of the artist decided.
      chunk_tracks: most tracks per shard.
      catalog_digest: digest of the catalog's rows, independent of their order.
      shards: all TFRecord files, in order of their paths.
      mel_mean: mean of each mel band over all frames of the training split's patches, float64 [mels].
      mel_std: standard deviation of the same, float64 [mels].
      splits: split -> number of examples.
      tag_positive: split -> for each tag, the number of examples that carry it (target over 0).
      tag_known: split -> for each tag, the number of examples for which its category is known.
      counts: number of tracks: `catalog`, `examples`, `rejected` and `none` (left out). The first is the sum of the
        others.
      rejects: reason -> number of tracks; `rejects.parquet` lists them.
      none: reason for leaving tracks out -> number of tracks: `unlabelled` (no annotation that the taxonomy has),
        `official` (the split column excludes them), `tied` (the same bytes are on two sides).
      conflicts: category -> number of examples with contradictory annotations; `conflicts.parquet` lists them.
      unknown_tags: catalog tag -> number of examples that carry it although the taxonomy does not have it.
      groups: number of `all` groups (artists) of labelled tracks, and of those that are `shared` by several sides.
        Empty in older datasets.
      gates: name of each gate -> `value`, `limit`, `passed`.
      lists: `rejects.parquet` and `conflicts.parquet` -> `list_digest`. Empty in older datasets.
      redirected_tags: earlier id of a tag that was replaced -> number of examples that carry it. It counts for the tags
        that replace it. Empty in older datasets.
    """

    feature_spec: FeatureSpec
    taxonomy: Taxonomy
    split_ratios: SplitRatios
    split_column: str | None
    chunk_tracks: int
    catalog_digest: str
    shards: tuple[ShardEntry, ...]
    mel_mean: tuple[float, ...]
    mel_std: tuple[float, ...]
    splits: dict[str, int]
    tag_positive: dict[str, tuple[int, ...]]
    tag_known: dict[str, tuple[int, ...]]
    counts: dict[str, int]
    rejects: dict[str, int]
    none: dict[str, int]
    conflicts: dict[str, int]
    unknown_tags: dict[str, int]
    groups: dict[str, int] = dataclasses.field(default_factory=dict)
    gates: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    lists: dict[str, str] = dataclasses.field(default_factory=dict)
    redirected_tags: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def feature_id(self) -> str:
        """Id of the feature spec."""
        return self.feature_spec.feature_id

    @property
    def taxonomy_id(self) -> str:
        """Id of the taxonomy."""
        return self.taxonomy.taxonomy_id

    def shards_of(self, split: str) -> tuple[ShardEntry, ...]:
        """The shards of one split, in order of their paths."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON object."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **fields,
            "dataset_version": DATASET_VERSION,
            "feature_id": self.feature_id,
            "taxonomy_id": self.taxonomy_id,
            "feature_spec": self.feature_spec.to_json(),
            "taxonomy": self.taxonomy.to_json(),
            "split_ratios": self.split_ratios.to_json(),
            "shards": [shard.to_json() for shard in self.shards],
        }

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """Reads the manifest that `to_json` wrote.

        Raises:
          DatasetError: the version differs, or the feature_id does not match the feature spec.
        """
        if obj.get("dataset_version") != DATASET_VERSION:
            raise DatasetError(f"dataset_version {obj.get('dataset_version')}: this version reads {DATASET_VERSION}")
        values = {field.name: obj[field.name] for field in dataclasses.fields(cls) if field.name not in _LATER}
        spec, taxonomy = FeatureSpec.from_json(obj["feature_spec"]), Taxonomy.from_json(obj["taxonomy"])
        if spec.feature_id != obj["feature_id"]:
            raise DatasetError(
                f"the dataset's feature_id is {obj['feature_id']}, this version's extractor gives {spec.feature_id}: "
                "prepare it again, or use the version that made it"
            )
        return cls(
            **{
                **values,
                "feature_spec": spec,
                "taxonomy": taxonomy,
                "split_ratios": SplitRatios(**obj["split_ratios"]),
                "shards": tuple(ShardEntry(**shard) for shard in obj["shards"]),
                "mel_mean": tuple(obj["mel_mean"]),
                "mel_std": tuple(obj["mel_std"]),
                "tag_positive": {split: tuple(row) for split, row in obj["tag_positive"].items()},
                "tag_known": {split: tuple(row) for split, row in obj["tag_known"].items()},
                **{name: obj.get(name, {}) for name in _LATER},
            }
        )

    def write(self, dataset: str) -> None:
        """Commits the dataset: creates `dataset.json`, which must not already exist with other content."""
        storage.create(storage.join(dataset, DATASET_FILE), sealed_bytes(self.to_json()))


def tied_tracks(dataset: str, manifest: DatasetManifest) -> list[str]:
    """Ids of the tracks that were left out because their bytes are on two sides of the split.

    Raises:
      DatasetError: the list of rejects, which contains them, is missing or was changed.
    """
    if not manifest.none.get(TIED):
        return []
    try:
        rows = read_list(dataset, manifest, REJECTS).to_pylist()
    except storage.NotFound as e:
        raise DatasetError(
            f"{storage.join(dataset, REJECTS)} is missing, although {DATASET_FILE} lists {manifest.none[TIED]} tied "
            "tracks: prepare again"
        ) from e
    return [row["track_id"] for row in rows if row["reason"] == TIED]


def list_digest(rows: pa.Table) -> str:
    """Digest of a list of the dataset. Columns that show where the audio is do not count, as in the whole manifest."""
    return content_digest(rows.select([name for name in rows.column_names if name not in ("uri", "detail")]))


def read_list(dataset: str, manifest: DatasetManifest, name: str) -> pa.Table:
    """The rows of `rejects.parquet` or `conflicts.parquet`.

    Raises:
      storage.NotFound: the list is missing.
      DatasetError: it is damaged or was changed.
    """
    url = storage.join(dataset, name)
    try:
        rows = read_parquet(url)
        found = list_digest(rows)
    except storage.NotFound:
        raise
    except (storage.StorageError, ValueError, KeyError) as e:
        raise DatasetError(f"{url} is damaged, prepare again: {' '.join(str(e).split())}") from e
    if found != (wanted := manifest.lists.get(name, found)):
        raise DatasetError(f"{url} was changed, prepare again: its digest is {found}, {DATASET_FILE} has {wanted}")
    return rows


def read_manifest(dataset: str) -> DatasetManifest:
    """Reads the manifest of a finished dataset.

    Raises:
      DatasetError: the manifest is missing or cannot be used.
    """
    url = storage.join(dataset, DATASET_FILE)
    try:
        return read_record(url, "a dataset manifest", DatasetManifest.from_json, DatasetError)
    except storage.NotFound as e:
        raise DatasetError(f"{url}: no such file: the folder is not a dataset, or `prepare` did not finish") from e
