"""Scores combined with human annotations: MTG-Jamendo's real tags as a source of which a part is hidden.

python -m benchmarks.fusion --meta ../shared/data/meta.tar.gz

The tags are real. The scores of the model are simulated, because the audio of these tracks is not at hand: one normal
deviate for each track and tag, whose mean depends on whether the track has the tag, and its exact posterior. Such a
model is calibrated and independent of the source, given the tags. Everything else is production: `tag` finds the
embeddings in part files, joins the sources, publishes; the functions of `evaluate --table` rate.
"""

import argparse
import dataclasses
import json
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.processes import catalog_tagger
from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.evaluation.published_scores import examine_table
from models.evaluation.summary import Resampling, evaluate
from pipelines.inputs.labelled_tracks import catalog_labels
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import bucket_of, sha256_hex
from transforms.schemas.tables import PART
from transforms.table.reader import open_snapshot
from transforms.table.versions import open_table
from transforms.tagging.part_files import write_part
from transforms.taxonomy.hierarchy import load_taxonomy

ROOT = Path(__file__).resolve().parent.parent

SEPARATION = 1.35
"""Distance of the two means in deviations: the ROC-AUC of a tag is 0.83, about what published networks reach."""

COVERED, SHOWN = 0.6, 0.5
"""Share of the tracks of which the editors say something, and share of these tracks' tags that they name."""

RATED = 10_000
"""Tracks that are rated."""

BUCKETS = 3
CHUNK = 64

SHOWN_RULE: Mapping[str, Any] = {"mode": "blend", "trust": 0.99}
NEGATIVE: Mapping[str, Any] = {**SHOWN_RULE, "absent": "negative"}

VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "an absent tag is unknown": {"editors": SHOWN_RULE},
    "an absent tag is a weak no (absent_trust 0.33)": {"editors": {**NEGATIVE, "absent_trust": 0.33}},
    "an absent tag is a sure no (absent_trust 0.99)": {"editors": NEGATIVE},
    "and tags of wrong tracks (crowd, trust 0.6)": {"editors": SHOWN_RULE, "crowd": {"mode": "blend", "trust": 0.6}},
}
"""What is measured -> rules of the sources."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A folder with `all.parquet`, `rated.parquet`, `bundle`, sources, and the pairs that the editors name."""

    folder: Path
    tracks: int
    named: frozenset[tuple[str, str]]

    def path(self, name: str) -> str:
        """A file or folder in it."""
        return str(self.folder / name)


def prepare(meta: Path, folder: Path, tracks: int | None = None) -> Prepared:
    """Imports the tags, writes the bundle, the part files, and the sources."""
    with tarfile.open(meta) as archive:
        archive.extractall(folder, filter="data")
    table = folder / "meta" / "mtg-jamendo" / "autotagging_reconstructed.tsv"
    files = ["--output", f"{folder}/imported.parquet", "--taxonomy", f"{folder}/taxonomy.yaml"]
    catalog_tagger(["import", "mtg-jamendo", str(table), *files], ROOT)
    rows = pq.read_table(folder / "imported.parquet")
    order = np.argsort([sha256_hex(track.encode()) for track in rows["track_id"].to_pylist()])
    rows = rows.take(pa.array(order[: tracks or len(order)]))
    version = pa.array(["1"] * rows.num_rows)
    rows = rows.append_column("source_version", version)
    pq.write_table(rows.drop_columns("tags"), folder / "all.parquet")
    pq.write_table(rows.slice(0, RATED), folder / "rated.parquet")
    write_fake_bundle(f"{folder}/bundle", load_taxonomy(f"{folder}/taxonomy.yaml"), FeatureSpec(), patch_dim=187)
    return Prepared(folder, rows.num_rows, _write_sources(folder, rows))


def tags_of(entries: Sequence[Any] | None) -> list[str]:
    """Names of the tags of a catalog row."""
    return [entry["tag"] if isinstance(entry, dict) else entry.partition(":")[0] for entry in entries or ()]


def _write_sources(folder: Path, rows: pa.Table) -> frozenset[tuple[str, str]]:
    """`editors` name a part of the tags of some tracks; `crowd` gives each track the tags of another one."""
    rng, ids = np.random.default_rng(1), rows["track_id"].to_pylist()
    tags = [tags_of(entries) for entries in rows["tags"].to_pylist()]
    covered = rng.random(len(ids)) < COVERED
    named = [
        (track, tag)
        for track, own, seen in zip(ids, tags, covered, strict=True)
        for tag in own
        if rng.random() < SHOWN and seen
    ]
    others = rng.permutation(len(ids))
    wrong = [(track, tag) for place, track in enumerate(ids) for tag in tags[others[place]]]
    for name, pairs in (("editors", named), ("crowd", wrong)):
        columns = {"track_id": [track for track, _ in pairs], "tag": [tag for _, tag in pairs]}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return frozenset(named)


def write_scores(prepared: Prepared, table: str) -> None:
    """Part files whose embeddings give simulated scores: the embedding solves the heads for the wanted logits."""
    bundle, rng = load_bundle(prepared.path("bundle")), np.random.default_rng(2)
    rows = pq.read_table(prepared.path("imported.parquet"), columns=["track_id", "tags"])
    place = {track: number for number, track in enumerate(rows["track_id"].to_pylist())}
    ids = pq.read_table(prepared.path("all.parquet"), columns=["track_id"])["track_id"].to_pylist()
    truth = np.zeros((len(ids), len(bundle.tags)), bool)
    tags = rows["tags"].to_pylist()
    for row, track in enumerate(ids):
        for tag in tags_of(tags[place[track]]):
            if (known := bundle.taxonomy.resolve(tag)) is not None:
                truth[row, bundle.taxonomy.index[known]] = True
    share = np.clip(truth.mean(axis=0), 1e-4, None)
    heard = SEPARATION * (rng.normal(size=truth.shape) + SEPARATION * truth) - SEPARATION**2 / 2
    logits = np.log(share) - np.log1p(-share) + heard
    embeddings = (logits - bundle.heads.bias) @ np.linalg.pinv(bundle.heads.weights)
    open_table(table, BUCKETS)
    _write_parts(table, bundle, ids, embeddings.astype(np.float16).astype(np.float32))


def _write_parts(table: str, bundle: Bundle, ids: list[str], embeddings: np.ndarray) -> None:
    numbers = np.array([bucket_of(track, BUCKETS) for track in ids])
    for bucket in range(BUCKETS):
        own = np.flatnonzero(numbers == bucket)
        for begin in range(0, len(own), CHUNK):
            chunk = own[begin : begin + CHUNK]
            rows = [
                {
                    "track_id": ids[row],
                    "source_version": "1",
                    "source_bytes": 1,
                    "source_sha256": sha256_hex(ids[row].encode()),
                    "decoded_fraction": 1.0,
                    "duration_s": 30.0,
                    "sample_rate": 44_100,
                    "channels": 2,
                    "embedding": embeddings[row],
                }
                for row in chunk
            ]
            write_part(table, bucket, pa.Table.from_pylist(rows, PART), bundle.embedding_id)


def tag_fused(prepared: Prepared, table: str, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Tags with these sources, if any, and returns what the run recorded about them."""
    policy = Path(prepared.path("fusion.yaml"))
    policy.write_text(
        yaml.safe_dump({"sources": {name: dict(rule) for name, rule in sources.items()}}, sort_keys=False)
    )
    command = ["tag", "--catalog", prepared.path("all.parquet"), "--model", prepared.path("bundle"), "--table", table]
    given = [part for name in sources for part in ("--source", f"{name}={prepared.path(name)}.parquet")]
    gates = ["drift_prevalence", "drift_prevalence_unchanged", "drift_scores", "drift_scores_unchanged"]
    limits = [part for gate in gates for part in ("--gate", f"{gate}=1000000")]
    fusion = ["--fusion", str(policy), *given] if sources else []
    catalog_tagger([*command, *fusion, *limits], ROOT)
    found: dict[str, Any] = open_snapshot(table).manifest.run.fusion
    return found


def rate(prepared: Prepared, table: str) -> dict[str, dict[str, dict[str, float]]]:
    """Pairs -> model -> macro averages: all known pairs of the rated tracks, and those that the editors do not name."""
    bundle, snapshot = load_bundle(prepared.path("bundle")), open_snapshot(table)
    labels = list(catalog_labels(prepared.path("rated.parquet"), bundle.taxonomy, None, "rated"))
    found = examine_table(bundle, snapshot, labels, "test")
    mask = found.examined.mask.copy()
    for row, track in enumerate(found.track_ids):
        for column, tag in enumerate(bundle.taxonomy.tag_ids):
            if (track, tag) in prepared.named:
                mask[row, column] = 0
    views = {"all": found.examined, "not named": dataclasses.replace(found.examined, mask=mask)}
    return {name: _macro(view, bundle) for name, view in views.items()}


def _macro(view: Any, bundle: Bundle) -> dict[str, dict[str, float]]:
    done = evaluate(view, bundle.layout, bundle.taxonomy.tag_ids, Resampling(resamples=0))
    return {
        row["model"]: {name: row["metrics"][name]["value"] for name in ("roc_auc", "pr_auc", "ece")}
        for row in done.averages
        if (row["slice"], row["category"], row["average"]) == ("all", "all", "macro")
    }


def lines(prepared: Prepared) -> Iterator[str]:
    """The figures as a table of Markdown."""
    table = prepared.path("table")
    write_scores(prepared, table)
    yield "| scores | all pairs: ROC-AUC | PR-AUC | ECE | pairs not named: ROC-AUC | PR-AUC | ECE |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for number, (what, sources) in enumerate(VARIANTS.items()):
        recorded = tag_fused(prepared, table, sources)
        found = rate(prepared, table)
        if not number:
            yield _line("the model alone", found, "tagger")
            yield _line("the editors alone", found, "source editors")
        yield _line(f"fused: {what}", found, "fused")
        if len(sources) > 1:
            yield _line("the same without the crowd", found, "without crowd")
        print(json.dumps({"sources": recorded["sources"], "found": found}), file=sys.stderr)


def _line(name: str, found: Mapping[str, Mapping[str, Mapping[str, float]]], model: str) -> str:
    cells = (f"{view[model][metric]:.3f}" for view in found.values() for metric in ("roc_auc", "pr_auc", "ece"))
    return f"| {name} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meta", type=Path, required=True, help="archive of real metadata")
    parser.add_argument("--tracks", type=int, help="number of tracks (default: all)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fusion-") as folder:
        prepared = prepare(args.meta, Path(folder), args.tracks)
        print(f"{prepared.tracks:,} tracks, of which {min(RATED, prepared.tracks):,} are rated\n")
        for line in lines(prepared):
            print(line, flush=True)


if __name__ == "__main__":
    main()
