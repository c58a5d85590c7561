"""What lies beside the shards of a dataset: `dataset.json`, written last and once."""

import dataclasses
import json
from typing import Any, Self

from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import json_bytes
from transforms.formats.parquet import read_parquet
from transforms.splits.by_artist import SplitRatios
from transforms.taxonomy.hierarchy import Taxonomy

DATASET_VERSION = 2
DATASET_FILE = "dataset.json"
REJECTS = "rejects.parquet"
CONFLICTS_FILE = "conflicts.parquet"

_LATER = ("groups", "gates")
"""Fields that older datasets do not have."""

TIED = "tied"
"""Reason of a track that was kept out because its bytes stand on two sides of the split."""


class DatasetError(ValueError):
    """A dataset that is missing, incomplete or of another version."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One TFRecord file of a dataset.

    Attributes:
      path: relative to the dataset's folder.
      split: `train`, `validation` or `test`.
      examples: records in it.
      patches: patches of all its records.
      bytes: size of the file.
      sha256: of the file.
    """

    path: str
    split: str
    examples: int
    patches: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetManifest:
    """All there is to know about a dataset.

    Attributes:
      feature_spec: how the patches were made.
      taxonomy: what the columns of targets and mask mean.
      split_ratios: shares of the artists on each side.
      split_column: catalog column that official splits were taken from; None: the hash of the artist decided.
      chunk_tracks: most tracks of one shard.
      catalog_digest: digest of the catalog's rows, whatever their order.
      shards: every TFRecord file, in order of their paths.
      mel_mean: mean of each mel band over all frames of the training split's patches, float64 [mels].
      mel_std: standard deviation of the same, float64 [mels].
      splits: examples of each split.
      tag_positive: split -> for each tag the examples that carry it (target over 0).
      tag_known: split -> for each tag the examples for which its category is known.
      counts: `catalog`, `examples`, `rejected` and `none` (kept out): the first is the sum of the others.
      rejects: reason -> tracks; `rejects.parquet` has them one by one.
      none: why tracks were kept out -> tracks: `unlabelled` (nothing that the taxonomy knows), `official` (the split
        column says so), `tied` (the same bytes stand on two sides).
      conflicts: category -> examples whose annotations contradict each other; `conflicts.parquet` has them one by one.
      unknown_tags: catalog tag -> examples that carry it although the taxonomy has no such category.
      groups: `all` groups (artists) of labelled tracks, and those that are `shared`: on several sides; empty where they
        were not counted, in older datasets.
      gates: name -> `value`, `limit`, `passed`; empty in older datasets.
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

    @property
    def feature_id(self) -> str:
        """Id of the feature spec."""
        return self.feature_spec.feature_id

    @property
    def taxonomy_id(self) -> str:
        """Id of the taxonomy."""
        return self.taxonomy.taxonomy_id

    def shards_of(self, split: str) -> tuple[ShardEntry, ...]:
        """The shards of one split, in order."""
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
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The manifest that `to_json` wrote.

        Raises:
          DatasetError: another version, or ids that do not fit what they name.
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
        """Commits the dataset: creates `dataset.json`, which must not exist with other content."""
        storage.create(storage.join(dataset, DATASET_FILE), json_bytes(self.to_json()))


def tied_tracks(dataset: str, manifest: DatasetManifest) -> list[str]:
    """Ids of the tracks that were kept out because their bytes stand on two sides of the split.

    Raises:
      DatasetError: the list of rejects, which has them, is missing.
    """
    if not manifest.none.get(TIED):
        return []
    url = storage.join(dataset, REJECTS)
    try:
        rows = read_parquet(url, ["track_id", "reason"]).to_pylist()
    except storage.NotFound as e:
        raise DatasetError(f"{url} is missing: it names {manifest.none[TIED]} tied tracks: prepare again") from e
    return [row["track_id"] for row in rows if row["reason"] == TIED]


def read_manifest(dataset: str) -> DatasetManifest:
    """The manifest of a finished dataset.

    Raises:
      DatasetError: there is none, or it cannot be used.
    """
    url = storage.join(dataset, DATASET_FILE)
    try:
        return DatasetManifest.from_json(json.loads(storage.read_bytes(url)))
    except storage.NotFound as e:
        raise DatasetError(f"{url}: no such file: the folder is no dataset, or its prepare did not finish") from e
    except (KeyError, TypeError, json.JSONDecodeError) as e:
        raise DatasetError(f"{url}: not a dataset manifest ({type(e).__name__}: {e})") from e
