"""New heads for a bundle from embeddings that are published already: no audio, no patches, no TensorFlow."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.bundles import split_file
from models.bundles.bundle import Bundle
from models.bundles.bundle_writing import check_output, write_bundle
from models.bundles.model_card import model_card
from models.bundles.split_file import Sides
from models.bundles.trunk_bundle import BundleError, TrunkBundle, files_of, load_trunks, read_file
from models.evaluation.intervals import with_intervals
from models.heads.heads import layout_of
from models.heads.labelled import Labelled
from models.heads.tagger import SPLITS, HeadOptions, SplitRows, Tagger, build_tagger, pairs_of
from transforms.records.hashing import json_bytes
from transforms.records.parquet import read_parquet
from transforms.records.snapshots import Snapshot
from transforms.records.splits import NONE, SplitRatios
from transforms.records.sql import locations
from transforms.records.taxonomy import Taxonomy
from transforms.signal.spec import FeatureSpec


class LabelledTrack(NamedTuple):
    """Labels of one track: its group, its targets and mask float32 [T], the side that their source gives it, if any."""

    track_id: str
    group: str
    targets: np.ndarray
    mask: np.ndarray
    official: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refitted:
    """A new bundle, its metrics, and how many labelled tracks the table or the bundle's split does not hold."""

    bundle: Bundle
    metrics: dict[str, Any]
    absent: int
    unsplit: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Card:
    """What a model card says of the training data."""

    taxonomy: Taxonomy
    feature_spec: FeatureSpec


def refit(
    url: str,
    output: str,
    table: tuple[str, Snapshot],
    labels: Iterable[LabelledTrack],
    taxonomy: Taxonomy,
    options: HeadOptions,
    ratios: SplitRatios,
) -> Refitted:
    """Fits heads on a snapshot's embeddings and writes a bundle that makes the same embeddings.

    Args:
      url: the bundle whose trunks made the embeddings.
      output: folder of the new bundle.
      table: a table and its snapshot.
      labels: labelled tracks, in the order of the taxonomy's tags.
      taxonomy: tags of the new heads.
      options: what was asked of heads.
      ratios: shares of the sides of artists that the bundle's split does not know.

    Raises:
      BundleError: the bundle cannot be used, makes other embeddings, or no labelled track has one for training.
    """
    check_output(output)
    base = load_trunks(url)
    root, snapshot = table
    if snapshot.run.ids.embedding_id != base.embedding_id:
        raise BundleError(
            f"{root} holds embeddings {snapshot.run.ids.embedding_id}, {url} makes {base.embedding_id}: give the "
            "bundle that the table was tagged with, or tag with this one first"
        )
    found = {track.track_id: track for track in labels}
    embedded = read_embeddings(root, snapshot, sorted(found), base.embedding_dim)
    splits, unsplit = _split(found, embedded, split_file.read_sides(base), ratios, len(taxonomy.tags))
    if not splits["train"].track_ids:
        raise BundleError(f"{root} holds no embedding of a labelled track of the training split: nothing to fit on")
    blocks = base.pooling.blocks(base.trunks, base.spec.n_mels)
    layout = layout_of(taxonomy)
    tagger = with_intervals(build_tagger(splits, layout, taxonomy.tag_ids, blocks, options), splits["test"], layout)
    bundle = write_bundle(
        output,
        spec=base.spec,
        taxonomy=taxonomy,
        pooling=base.pooling,
        trunks=base.trunks,
        heads=tagger.heads,
        tags=tagger.tags,
        files=_files(base, splits, tagger, taxonomy, snapshot),
    )
    absent = len(found) - len(embedded[0])
    return Refitted(bundle=bundle, metrics=tagger.metrics, absent=absent, unsplit=unsplit)


def read_embeddings(root: str, snapshot: Snapshot, wanted: Sequence[str], dim: int) -> tuple[list[str], np.ndarray]:
    """Embeddings of these tracks that a snapshot holds, file by file: ids, and float16 [n, dim], their full precision.

    Raises:
      BundleError: one has another length.
    """
    ids: list[str] = []
    values = np.empty((len(wanted), dim), np.float16)
    among = pa.array(wanted, pa.string())
    for place in locations(root, snapshot, "embeddings"):
        rows = read_parquet(place, ["track_id", "embedding"])
        rows = rows.filter(pc.is_in(rows.column("track_id"), value_set=among))
        if not rows.num_rows:
            continue
        flat = pc.list_flatten(rows.column("embedding")).to_numpy()
        if len(flat) != rows.num_rows * dim:
            raise BundleError(f"{place}: {len(flat) / rows.num_rows:g} values an embedding, the bundle makes {dim}")
        values[len(ids) : len(ids) + rows.num_rows] = flat.reshape(-1, dim)
        ids += rows.column("track_id").to_pylist()
    return ids, values[: len(ids)]


def _split(
    labels: Mapping[str, LabelledTrack],
    embedded: tuple[list[str], np.ndarray],
    sides: Sides,
    ratios: SplitRatios,
    tags: int,
) -> tuple[dict[str, SplitRows], int]:
    """Rows of each split, and how many tracks the bundle's split does not know."""
    ids, embeddings = embedded
    places: dict[str, list[int]] = {split: [] for split in (*SPLITS, NONE)}
    unknown = 0
    for place, track_id in enumerate(ids):
        track = labels[track_id]
        side, known = sides.of(track_id, track.group, track.official, ratios)
        places[side].append(place)
        unknown += not known
    return {
        split: _rows([labels[ids[p]] for p in places[split]], embeddings[places[split]], tags) for split in SPLITS
    }, unknown


def _rows(tracks: Sequence[LabelledTrack], embeddings: np.ndarray, tags: int) -> SplitRows:
    groups = tuple(track.group for track in tracks)
    empty = np.zeros((0, tags), np.float32)
    return SplitRows(
        track_ids=tuple(track.track_id for track in tracks),
        groups=groups,
        durations_s=np.full(len(tracks), np.nan),
        embedded=Labelled(
            embeddings=embeddings,
            targets=np.stack([track.targets for track in tracks]) if tracks else empty,
            mask=np.stack([track.mask for track in tracks]) if tracks else empty,
            groups=groups,
        ),
        moments=None,
    )


def _files(
    base: TrunkBundle, splits: Mapping[str, SplitRows], tagger: Tagger, taxonomy: Taxonomy, snapshot: Snapshot
) -> dict[str, bytes]:
    """The trunks' files as they are, and what people read."""
    kept = {name for trunk in base.trunks for place in trunk.files.values() for name in files_of(place, base.files)}
    history = {"heads_only": {"embedding_id": base.embedding_id, "snapshot": snapshot.number}, "epochs": []}
    card = _Card(taxonomy=taxonomy, feature_spec=base.spec)
    return {
        **{name: read_file(base.url, name, base.files[name]) for name in sorted(kept)},
        split_file.FILE: split_file.to_bytes(pairs_of(splits)),
        "metrics.json": json_bytes(tagger.metrics),
        "history.json": json_bytes(history),
        "MODEL_CARD.md": model_card(card, base.trunks, tagger.tags, tagger.metrics).encode(),
    }
