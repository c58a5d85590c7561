"""RecordDataset: the job's last step lists rejects and conflicts and writes `dataset.json`, or says why it does not."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms import storage
from transforms.catalog.problems import Problem
from transforms.dataset.manifest import CONFLICTS_FILE, REJECTS, DatasetManifest, ShardEntry
from transforms.dataset.plan import ChunkReport, SplitPlan
from transforms.dataset.shards import ShardSettings
from transforms.dataset.stats import DatasetStats, split_columns
from transforms.formats.hashing import json_bytes
from transforms.formats.parquet import parquet_bytes
from transforms.publishing.gates import Gate
from transforms.record_run import MOST_PROBLEMS
from transforms.schemas.dataset import DATASET_CONFLICTS, DATASET_REJECTS
from transforms.splits.by_artist import SPLITS

_SHARD_NAME = re.compile(rf"({'|'.join(SPLITS)})-[0-9a-f]{{24}}\.tfrecord")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordDatasetSettings:
    """What the last step needs.

    Attributes:
      launch: path of this launch's receipt, relative to the dataset.
    """

    shards: ShardSettings
    plan: SplitPlan
    gate: Gate
    launch: str


class RecordDataset(beam.PTransform):
    """(reports, groups, left_out, problems, digest) in; `dataset.json` and a receipt are written, nothing out."""

    def __init__(self, settings: RecordDatasetSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, inputs: tuple[beam.PCollection, ...]) -> beam.PCollection:
        """Sums are combined on the workers; the last step sees one sum and one entry a shard."""
        reports, groups, left_out, problems, digest = inputs
        stats = (
            (reports | "TakeStats" >> beam.Map(lambda report: report.stats), left_out)
            | "JoinStats" >> beam.Flatten()
            | "SumStats" >> beam.CombineGlobally(_SumStats())
        )
        few = problems | "FewProblems" >> beam.combiners.Sample.FixedSizeGlobally(MOST_PROBLEMS)
        return digest | "RecordDataset" >> beam.Map(
            _record,
            stats=beam.pvalue.AsSingleton(stats),
            groups=beam.pvalue.AsDict(groups),
            shards=beam.pvalue.AsList(reports | "ListShards" >> beam.FlatMap(_shards)),
            rejects=beam.pvalue.AsList(reports | "ListRejects" >> beam.FlatMap(_rejects)),
            conflicts=beam.pvalue.AsList(reports | "ListConflicts" >> beam.FlatMap(_conflicts)),
            problems=beam.pvalue.AsList(few),
            problem_count=beam.pvalue.AsSingleton(problems | "CountProblems" >> beam.combiners.Count.Globally()),
            settings=self._settings,
        )


class _SumStats(beam.CombineFn):
    def create_accumulator(self) -> DatasetStats:
        return DatasetStats()

    def add_input(self, total: DatasetStats, part: DatasetStats) -> DatasetStats:
        total.add(part)
        return total

    def merge_accumulators(self, totals: Iterable[DatasetStats]) -> DatasetStats:
        return DatasetStats.total(totals)

    def extract_output(self, total: DatasetStats) -> DatasetStats:
        return total


def _shards(report: ChunkReport) -> Iterator[ShardEntry]:
    if report.shard is not None:
        yield report.shard


def _rejects(report: ChunkReport) -> Iterator[dict[str, Any]]:
    for outcome in report.outcomes:
        if outcome.reason is not None:
            row = dataclasses.asdict(outcome)
            yield {**{name: row[name] for name in DATASET_REJECTS.names if name in row}, "split": report.split}


def _conflicts(report: ChunkReport) -> Iterator[dict[str, Any]]:
    for outcome in report.outcomes:
        if outcome.reason is None:
            for category in outcome.conflicts:
                yield {"track_id": outcome.track_id, "split": report.split, "category": category}


def _record(
    digest: str,
    stats: DatasetStats,
    groups: dict[bool, int],
    shards: list[ShardEntry],
    rejects: list[dict[str, Any]],
    conflicts: list[dict[str, Any]],
    problems: list[list[Problem]],
    problem_count: int,
    settings: RecordDatasetSettings,
) -> None:
    receipt: dict[str, Any] = {"problems": [], "problem_count": problem_count, "refused": None, "finished": False}
    if problem_count:
        found = sorted((p for some in problems for p in some), key=lambda p: (p.file, p.row or 0))
        receipt["problems"] = [str(problem) for problem in found]
    else:
        write_rows(storage.join(settings.shards.dataset, REJECTS), rejects, DATASET_REJECTS)
        write_rows(storage.join(settings.shards.dataset, CONFLICTS_FILE), conflicts, DATASET_CONFLICTS)
        receipt["refused"] = refusal(stats, settings.gate)
        if receipt["refused"] is None:
            commit(manifest_of(digest, stats, groups, shards, settings), settings.shards.dataset)
            receipt["finished"] = True
    storage.write_bytes(storage.join(settings.shards.dataset, settings.launch), json_bytes(receipt))


def write_rows(url: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Writes a Parquet file, by track_id: also of a run that is refused, so that somebody can look."""
    ordered = sorted(rows, key=lambda row: (str(row["track_id"]), str(row.get("category"))))
    storage.write_bytes(url, parquet_bytes(pa.Table.from_pylist(ordered, schema=schema), ids={}))


def refusal(stats: DatasetStats, gate: Gate) -> str | None:
    """Why this dataset is not to be finished, or None. Shares are of the labelled tracks that were read."""
    counts, tried = stats.outcomes, stats.outcomes["examples"] + stats.outcomes["rejected"] + stats.none["tied"]
    if not tried:
        return f"none of the {counts['catalog']} tracks carries a tag that the taxonomy knows"
    for name, count, most in (
        ("unavailable", stats.rejects["unavailable"], gate.max_unavailable_ratio),
        ("rejected", counts["rejected"], gate.max_reject_ratio),
    ):
        if count > most * tried:
            reasons = ", ".join(f"{reason} {n}" for reason, n in stats.rejects.most_common())
            return f"{count} of {tried} tracks {name}, over the limit of {most:g} ({reasons})"
    return None if counts["examples"] else "no track gave an example"


def manifest_of(
    digest: str,
    stats: DatasetStats,
    groups: Mapping[bool, int],
    shards: Iterable[ShardEntry],
    settings: RecordDatasetSettings,
) -> DatasetManifest:
    """The manifest: the same for the same work, whoever did it in whatever order."""
    taxonomy, plan = settings.shards.taxonomy, settings.plan
    mean, std = stats.mel_moments()
    return DatasetManifest(
        feature_spec=settings.shards.spec,
        taxonomy=taxonomy,
        split_ratios=plan.ratios,
        split_column=plan.column,
        chunk_tracks=plan.chunk_tracks,
        catalog_digest=digest,
        shards=tuple(sorted(shards, key=lambda shard: shard.path)),
        mel_mean=mean,
        mel_std=std,
        splits={split: stats.splits[split] for split in SPLITS},
        tag_positive=split_columns(stats.positive, len(taxonomy.tags)),
        tag_known=split_columns(stats.known, len(taxonomy.tags)),
        counts={name: stats.outcomes[name] for name in ("catalog", "examples", "rejected", "none")},
        rejects=dict(stats.rejects),
        none=dict(stats.none),
        conflicts=dict(stats.conflicts),
        unknown_tags=dict(stats.unknown),
        groups={"all": sum(groups.values()), "shared": groups.get(True, 0)},
    )


def commit(manifest: DatasetManifest, dataset: str) -> None:
    """Checks that nothing was lost, creates `dataset.json`, and removes shards that it does not list.

    Raises:
      RuntimeError: the counts do not balance.
    """
    counts = manifest.counts
    if counts["catalog"] != counts["examples"] + counts["rejected"] + counts["none"]:
        raise RuntimeError(f"counts do not balance: {counts}")
    if counts["examples"] != sum(shard.examples for shard in manifest.shards):
        raise RuntimeError(f"{counts['examples']} examples, but the shards hold others: {manifest.shards}")
    manifest.write(dataset)
    sweep(manifest, dataset)


def sweep(manifest: DatasetManifest, dataset: str) -> None:
    """Removes TFRecord files that a finished dataset does not list: shards from before tied tracks were taken out."""
    listed = {shard.path for shard in manifest.shards}
    for file in storage.list_folder(dataset):
        name = file.url.rpartition("/")[2]
        if _SHARD_NAME.fullmatch(name) and name not in listed:
            storage.delete(file.url)
