"""Nights of a table without audio: invented embeddings, heads that are really fitted, and the writer of `tag`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle
from models.embedding.blocks import Block
from models.fitting import calibration
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows
from models.scoring.heads import layout_of, published
from transforms.catalog.problems import FirstProblems
from transforms.features.spec import FeatureSpec
from transforms.formats.arrow import group_numbers
from transforms.formats.hashing import short_id
from transforms.publishing.commit import publish, read_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.overrides import Override
from transforms.record_run import RecordRunSettings, RunResults, record_run
from transforms.schemas.catalog import CATALOG
from transforms.sum_evidence import add_evidence
from transforms.table.snapshots import Run, Snapshot, current_snapshot
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket
from transforms.tagging.bucket_files import write_bucket
from transforms.tagging.examination import BucketExaminer
from transforms.tagging.outcomes.prior import OUTCOME, PriorOutcomes
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.telemetry.work import WorkTotals

MOST_TRACKS, DIM, BUCKETS = 8_000, 16, 3
TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
            {"name": "genre", "kind": "multiclass", "tags": [f"genre/g{i}" for i in range(5)]},
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [
                    {"id": "mood/soft"},
                    {"id": "mood/calm", "parents": ["mood/soft"]},
                    {"id": "mood/happy"},
                    {"id": "mood/rare"},
                ],
            },
        ]
    }
)
SHARES = {"mood/soft": 0.4, "mood/happy": 0.3, "mood/rare": 0.02}


def _invented() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings float32 [n, DIM] and labels float [n, tags] of all tracks; a track's number decides on both."""
    rng = np.random.default_rng(7)
    index, count = TAXONOMY.index, MOST_TRACKS
    labels = np.zeros((count, len(TAXONOMY.tags)))
    vocal = rng.random(count) < 0.6
    labels[:, index["voice/vocal"]], labels[:, index["voice/instrumental"]] = vocal, ~vocal
    labels[np.arange(count), [index[f"genre/g{i}"] for i in rng.choice(5, count, p=[0.4, 0.25, 0.2, 0.1, 0.05])]] = 1
    for tag, share in SHARES.items():
        labels[:, index[tag]] = rng.random(count) < share
    labels[:, index["mood/calm"]] = labels[:, index["mood/soft"]] * (rng.random(count) < 0.5)
    directions = rng.normal(0, 1.2, (len(TAXONOMY.tags), DIM))
    embeddings = labels @ directions + rng.normal(0, 1, (count, DIM))
    return embeddings.astype(np.float16).astype(np.float32), labels


EMBEDDINGS, LABELS = _invented()


def blank_bundle(folder: Path) -> Bundle:
    """A bundle with random heads."""
    return write_fake_bundle(str(folder), TAXONOMY, FeatureSpec(), patch_dim=DIM // 2)


def trained(bundle: Bundle, tracks: np.ndarray) -> Bundle:
    """The bundle with heads that are fitted, calibrated and cut on these labelled tracks, as `train` does it."""
    layout, rows = layout_of(TAXONOMY), _labelled(tracks)
    split = len(tracks) * 4 // 5
    parts = rows.rows(np.arange(split)), rows.rows(np.arange(split, len(tracks)))
    fitted = fit_heads(*parts, layout, [Block(name="all", spans=((0, DIM),))], "none")
    heads = calibration.calibrate(fitted.heads, fitted.logits, fitted.targets, fitted.mask, layout)
    scores = published(fitted.logits, heads, layout)
    cuts = calibration.thresholds(scores, fitted.targets, fitted.mask, layout, [None] * len(TAXONOMY.tags))
    facts = (dataclasses.replace(own, threshold=cut.value) for own, cut in zip(bundle.tags, cuts, strict=True))
    return dataclasses.replace(bundle, heads=heads, tags=tuple(facts))


def _labelled(tracks: np.ndarray) -> LabelledRows:
    return LabelledRows(
        embeddings=EMBEDDINGS[tracks],
        targets=LABELS[tracks].astype(np.float32),
        mask=np.ones((len(tracks), LABELS.shape[1]), np.float32),
        groups=tuple(f"artist-{track // 3}" for track in tracks),
    )


def swapped(bundle: Bundle, first: str, second: str) -> Bundle:
    """The bundle, but each of two tags has the head of the other."""
    order = np.arange(len(bundle.tags))
    one, other = bundle.taxonomy.index[first], bundle.taxonomy.index[second]
    order[[one, other]] = other, one
    columns = {name: getattr(bundle.heads, name)[..., order] for name in ("weights", "bias", "slope", "offset")}
    facts = tuple(
        dataclasses.replace(bundle.tags[source], tag=own.tag) for own, source in zip(bundle.tags, order, strict=True)
    )
    return dataclasses.replace(bundle, heads=dataclasses.replace(bundle.heads, **columns), tags=facts)


def record_night(
    table: Path,
    bundle: Bundle,
    tracks: Sequence[int],
    *,
    rejected: Sequence[int] = (),
    versions: Mapping[int, str] | None = None,
    limits: GateLimits | None = None,
    publication: PublishedRows | None = None,
) -> Run:
    """Assembles, examines, writes and records one run, as `tag` does it; returns the run that waits for `publish`.

    Args:
      tracks: numbers of the catalog's tracks.
      rejected: numbers of the tracks that are silent.
      versions: number -> source version; "1" for all others.
    """
    publication, limits = publication or PublishedRows(), limits or GateLimits()
    root, parent = str(table), current_snapshot(str(table))
    open_table(root, BUCKETS)
    known = PriorOutcomes(
        root=root, parent=parent and parent.number, ids=ids_of(bundle), due_again=frozenset(), buckets=BUCKETS
    )
    rows, outcomes = night_inputs(tracks, rejected, versions)
    run_id = short_id(
        "run", str(known.parent), repr((list(tracks), list(rejected), versions, publication)), bundle.tagger_id
    )
    examiner = BucketExaminer(known=known, publication=publication, taxonomy=bundle.taxonomy_rows())
    place = group_numbers(rows["track_id"].to_pylist(), BUCKETS)
    reports, evidence = [], []
    for bucket in range(BUCKETS):
        own = pa.array(place == bucket)
        if rows.filter(own).num_rows:
            made = assemble_bucket(rows.filter(own), outcomes.filter(own), {}, bundle, run_id, publication)
            reports.append(write_bucket(known, bucket, made, run_id))
            evidence.append(examiner.examine(bucket, made))
    results = RunResults(reports, (len(tracks), 0, 0), FirstProblems().sample(), WorkTotals(), add_evidence(evidence))
    settings = RecordRunSettings(
        known=known,
        load_tagger=lambda: bundle,
        publication=publication,
        counted=len(tracks),
        limits=limits,
        launch="launches/launch.json",
    )
    record_run(run_id, results, settings)
    return read_run(root, run_id)


def publish_night(
    table: Path,
    bundle: Bundle,
    tracks: Sequence[int],
    *,
    limits: GateLimits | None = None,
    override: Override | None = None,
    **changes,
) -> Snapshot:
    """Records one run and publishes it, see `record_night`."""
    run = record_night(table, bundle, tracks, limits=limits, **changes)
    return publish(str(table), run, limits or GateLimits(), override)


def night_inputs(
    tracks: Sequence[int], rejected: Sequence[int] = (), versions: Mapping[int, str] | None = None
) -> tuple[pa.Table, pa.Table]:
    """The catalog's rows and the outcomes of these tracks, both sorted by id."""
    return _catalog(tracks, versions or {}), _outcomes(tracks, set(rejected), versions or {})


def track_id(number: int) -> str:
    """The id of a track."""
    return f"track-{number:06d}"


def _catalog(tracks: Sequence[int], versions: Mapping[int, str]) -> pa.Table:
    numbers = sorted(tracks)
    given = {
        "track_id": [track_id(n) for n in numbers],
        "uri": [f"audio/{n}.flac" for n in numbers],
        "source_version": [versions.get(n, "1") for n in numbers],
    }
    columns = [pa.array(given.get(f.name, [None] * len(numbers)), f.type) for f in CATALOG]
    return pa.table(columns, schema=CATALOG)


def _outcomes(tracks: Sequence[int], rejected: set[int], versions: Mapping[int, str]) -> pa.Table:
    numbers = sorted(tracks)
    gone = [n in rejected for n in numbers]
    given = {
        "track_id": [track_id(n) for n in numbers],
        "source_version": [versions.get(n, "1") for n in numbers],
        "reason": ["silent" if lost else None for lost in gone],
        "stage": ["features" if lost else None for lost in gone],
        "embedding": [None if lost else EMBEDDINGS[n].tolist() for n, lost in zip(numbers, gone, strict=True)],
        "carried": [False] * len(numbers),
        **{name: [1] * len(numbers) for name in ("duration_s", "sample_rate", "channels", "decoded_fraction")},
    }
    columns = [pa.array(given.get(f.name, [None] * len(numbers)), f.type) for f in OUTCOME]
    return pa.table(columns, schema=OUTCOME)
