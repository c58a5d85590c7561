"""Fits new heads for a bundle on published embeddings: without audio, patches or TensorFlow."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc

from models.bundles import split_record as split_file
from models.bundles.split_record import Sides
from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import BundleError, TrunkBundle, files_of, load_trunks, read_file
from models.bundles.writing import made_by, open_output
from models.draft import BundleDraft
from models.evaluation.intervals import with_intervals
from models.fitting.kept_split import KeptSplit, keep_split
from models.fitting.row_files import EMBEDDING_TYPE, LabelledFiles, RowFile
from models.fitting.rows import SplitRows, pairs_of
from models.fitting.tagger import HeadOptions, build_tagger
from models.scoring.heads import layout_of
from transforms.formats.hashing import digest
from transforms.splits.by_artist import NONE, SPLITS, SplitRatios
from transforms.splits.track_labels import TrackLabels
from transforms.table.reader import SnapshotReader
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.telemetry.phases import phase


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefittedBundle:
    """A new bundle, its metrics, and counts of labelled tracks.

    Attributes:
      absent: tracks that are not in the table.
      kept_out: tracks that are excluded by the split, or because the same bytes are also on another side.
      unsplit: tracks that are used although the bundle's split does not contain them.
      is_old: whether the bundle was already there, made from the same inputs.
    """

    bundle: Bundle
    metrics: dict[str, Any]
    absent: int
    kept_out: int
    unsplit: int
    is_old: bool = False


def refit(
    url: str,
    output: str,
    snapshot: SnapshotReader,
    labels: Iterable[TrackLabels],
    taxonomy: Taxonomy,
    options: HeadOptions,
    ratios: SplitRatios,
) -> RefittedBundle:
    """Fits heads on a snapshot's embeddings and writes a bundle with the same trunks.

    Args:
      url: the bundle whose trunks made the embeddings.
      output: folder of the new bundle.
      snapshot: a snapshot of the table with the embeddings.
      labels: labelled tracks, in the order of the taxonomy's tags.
      taxonomy: tags of the new heads.
      options: how heads are fitted.
      ratios: shares of the sides, for artists that the bundle's split does not contain.

    Raises:
      BundleError: the bundle cannot be used or makes other embeddings, or no labelled training track has an embedding.
    """
    base = load_trunks(url)
    if base.embedding_id not in (own := snapshot.manifest.run.embedding_ids):
        raise BundleError(
            f"{snapshot.root} has embeddings {' and '.join(own)}, but {url} makes {base.embedding_id}: give the "
            "bundle that the table was tagged with, or first tag with this one"
        )
    with phase("reading the labels"):
        labelled = _Labels.of(labels, len(taxonomy.tags))
    request = _request(base, snapshot, labelled, taxonomy, options, ratios)
    if (finished := _finished(output, request)) is not None:
        return finished
    open_output(output)
    embedded = read_embeddings(snapshot, sorted(labelled.places), base.embedding_dim, base.embedding_id)
    split = split_file.read_rows(base)
    known, learned = Sides.of_rows(split), split_file.learned_rows(base, split)
    kept = keep_split(labelled.rows(), known, learned, snapshot, ratios)
    with phase("reading the embeddings"):
        splits, absent, kept_out, unsplit = _split(labelled, embedded, kept, base.embedding_dim)
    if not splits["train"].track_ids:
        raise BundleError(
            f"{snapshot.root} has no embedding of a labelled training track, so heads cannot be fitted: label tracks "
            "that the table contains"
        )
    blocks = base.pooling.blocks(base.trunks, base.spec.n_mels)
    layout = layout_of(taxonomy)
    tagger = with_intervals(build_tagger(splits, layout, taxonomy.tag_ids, blocks, options), splits["test"], layout)
    draft = BundleDraft(
        embedding=base,
        trunk_files=_trunk_files(base),
        taxonomy=taxonomy,
        tagger=tagger,
        history={
            "heads_only": {"embedding_id": base.embedding_id, "snapshot": snapshot.manifest.number},
            "epochs": [],
            "request": request,
            "tracks_left_out": {"absent": absent, "kept_out": kept_out, "unsplit": unsplit},
        },
        splits={**pairs_of(splits), NONE: _out(known, kept)},
        learned=learned,
    )
    with phase("writing the bundle"):
        bundle = draft.write(output)
    return RefittedBundle(bundle=bundle, metrics=tagger.metrics, absent=absent, kept_out=kept_out, unsplit=unsplit)


def _request(
    base: TrunkBundle,
    snapshot: SnapshotReader,
    labelled: "_Labels",
    taxonomy: Taxonomy,
    options: HeadOptions,
    ratios: SplitRatios,
) -> str:
    """Digest of everything that the new bundle depends on."""
    files = sorted(base.files.items())
    names = (base.embedding_id, snapshot.manifest.run.content_hash, taxonomy.taxonomy_id)
    return digest(*map(str, names), repr(files), repr(options), repr(ratios), labelled.digest())


def _finished(output: str, request: str) -> RefittedBundle | None:
    """The bundle at this place if it was made from the same inputs."""
    found = made_by(output, request)
    if found is None:
        return None
    bundle, metrics, history = found
    return RefittedBundle(bundle=bundle, metrics=metrics, is_old=True, **history["tracks_left_out"])


def read_embeddings(
    snapshot: SnapshotReader, wanted: Sequence[str], dim: int, embedding_id: str | None = None
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields the embeddings of these tracks in batches: ids, and float16 [n, dim], which is their full precision.

    Tracks that the snapshot does not contain are skipped.

    Raises:
      BundleError: the embeddings do not have `dim` values.
    """
    columns = ["track_id", "embedding"]
    for rows in snapshot.batches("embeddings", columns, track_ids=wanted, embedding_id=embedding_id):
        flat = pc.list_flatten(rows.column("embedding")).to_numpy()
        if len(flat) != rows.num_rows * dim:
            mean = len(flat) / rows.num_rows
            raise BundleError(f"{snapshot.root}: {mean:g} values per embedding, but the bundle makes {dim}")
        yield rows.column("track_id").to_pylist(), flat.reshape(-1, dim).astype(EMBEDDING_TYPE)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Labels:
    """Labels of all tracks: row number by track id; group and official side of each row; targets and mask [n, T]."""

    places: dict[str, int]
    groups: list[str]
    official: list[str | None]
    targets: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, labels: Iterable[TrackLabels], tags: int) -> Self:
        places: dict[str, int] = {}
        groups: list[str] = []
        official: list[str | None] = []
        targets, mask = RowFile(tags, np.float32), RowFile(tags, np.uint8)
        for track in labels:
            places[track.track_id] = len(groups)
            groups.append(track.group)
            official.append(track.official)
            targets.append(track.targets)
            mask.append(track.mask)
        return cls(places=places, groups=groups, official=official, targets=targets.mapped(), mask=mask.mapped())

    def digest(self) -> str:
        """Digest of all labels."""
        sha = hashlib.sha256()
        for row in self.rows():
            sha.update(json.dumps(row).encode())
        for values in (self.targets, self.mask):
            sha.update(values.ravel().view(np.uint8).data)
        return sha.hexdigest()

    def rows(self) -> Iterator[tuple[str, str, str | None]]:
        """track_id, group and official side of each track."""
        return ((track_id, self.groups[place], self.official[place]) for track_id, place in self.places.items())


class _Side:
    """The rows of one split. They are written to disk as they arrive."""

    def __init__(self, dim: int, tags: int) -> None:
        self._ids: list[str] = []
        self._groups: list[str] = []
        self._rows = LabelledFiles(dim, tags)

    def append(self, ids: Sequence[str], embeddings: np.ndarray, labels: _Labels) -> None:
        places = [labels.places[track_id] for track_id in ids]
        self._ids += ids
        self._groups += [labels.groups[place] for place in places]
        self._rows.append(embeddings, labels.targets[places], labels.mask[places])

    def rows(self) -> SplitRows:
        groups = tuple(self._groups)
        return SplitRows(
            track_ids=tuple(self._ids),
            groups=groups,
            durations_s=np.full(len(groups), np.nan),
            embedded=self._rows.labelled(groups),
            moments=None,
        )


def _split(
    labels: _Labels, embedded: Iterable[tuple[list[str], np.ndarray]], kept: KeptSplit, dim: int
) -> tuple[dict[str, SplitRows], int, int, int]:
    """Rows of each split, and the counts `absent`, `kept_out` and `unsplit` of `RefittedBundle`."""
    written = {split: _Side(dim, labels.targets.shape[1]) for split in SPLITS}
    absent, kept_out, unknown = len(labels.places), 0, 0
    for ids, embeddings in embedded:
        absent -= len(ids)
        rows: dict[str, list[int]] = {split: [] for split in (*SPLITS, NONE)}
        for row, track_id in enumerate(ids):
            rows[kept.sides[track_id]].append(row)
            unknown += track_id in kept.new
        kept_out += len(rows[NONE])
        for split, side_rows in written.items():
            side_rows.append([ids[row] for row in rows[split]], embeddings[rows[split]], labels)
    return {split: side_rows.rows() for split, side_rows in written.items()}, absent, kept_out, unknown


def _out(known: Sides, kept: KeptSplit) -> list[tuple[str, str]]:
    """The tracks that are excluded, now or by the bundle's split. Their groups are left empty: they are not used."""
    found = {track for sides in (known.tracks, kept.sides) for track, side in sides.items() if side == NONE}
    return [(track, "") for track in found]


def _trunk_files(base: TrunkBundle) -> dict[str, bytes]:
    """The unchanged files of the trunks, by name."""
    kept = {name for trunk in base.trunks for place in trunk.files.values() for name in files_of(place, base.files)}
    return {name: read_file(base.url, name, base.files[name]) for name in sorted(kept)}
