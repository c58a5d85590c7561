"""RecordDataset: the last step of `prepare` lists rejects and conflicts, and writes `dataset.json` and a receipt.

If a gate fails or the catalog has problems, it writes the receipt alone, with the reason.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms import storage
from transforms.audio.errors import SourceUnavailable
from transforms.catalog.problems import ProblemSample
from transforms.dataset.manifest import CONFLICTS_FILE, REJECTS, TIED, DatasetManifest, ShardEntry, list_digest
from transforms.dataset.page import write_dataset_page
from transforms.dataset.plan import ChunkReport, SplitPlan
from transforms.dataset.shards import ShardSettings
from transforms.dataset.stats import DatasetStats, split_columns
from transforms.formats.parquet import parquet_bytes
from transforms.publishing import receipts
from transforms.publishing.committed import wrong_bytes
from transforms.publishing.facts import RunFacts
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import gates_json, judge, refusal
from transforms.publishing.receipts import Receipt
from transforms.sample_problems import SampleProblems
from transforms.schemas.dataset import DATASET_CONFLICTS, DATASET_REJECTS
from transforms.splits.by_artist import SPLITS
from transforms.telemetry.work import WorkTotals

_SHARD_NAME = re.compile(rf"({'|'.join(SPLITS)})-[0-9a-f]{{24}}\.tfrecord")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordDatasetSettings:
    """Settings of the last step.

    Attributes:
      counted: number of rows of the catalog that the launcher counted.
      limits: limits of the gates.
      launch: path of this launch's receipt, relative to the dataset.
    """

    shards: ShardSettings
    plan: SplitPlan
    counted: int
    limits: GateLimits
    launch: str


class RecordDataset(beam.PTransform[tuple[beam.PCollection[Any], ...], beam.PCollection[None]]):
    """Takes (reports, groups, left_out, problems, work, digest); writes `dataset.json` and a receipt, returns nothing.

    `work` is one `WorkTotals`.
    """

    def __init__(self, settings: RecordDatasetSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, inputs: tuple[beam.PCollection[Any], ...]) -> beam.PCollection[None]:
        """Combines sums on the workers; the last step gets one sum and one entry per shard."""
        reports, groups, left_out, problems, work, digest = inputs
        stats = (
            (reports | "TakeStats" >> beam.Map(lambda report: report.stats), left_out)
            | "JoinStats" >> beam.Flatten()
            | "SumStats" >> beam.CombineGlobally(_SumStats())
        )
        recorded: beam.PCollection[None] = digest | "RecordDataset" >> beam.Map(
            lambda digest, settings, **sides: record_dataset(digest, DatasetResults(**sides), settings),
            stats=beam.pvalue.AsSingleton(stats),
            groups=beam.pvalue.AsDict(groups),
            shards=beam.pvalue.AsList(reports | "ListShards" >> beam.FlatMap(_shards)),
            rejects=beam.pvalue.AsList(reports | "ListRejects" >> beam.FlatMap(rejects_of)),
            conflicts=beam.pvalue.AsList(reports | "ListConflicts" >> beam.FlatMap(conflicts_of)),
            problems=beam.pvalue.AsSingleton(problems | "SampleProblems" >> SampleProblems()),
            work=beam.pvalue.AsSingleton(work),
            settings=self._settings,
        )
        return recorded


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


def rejects_of(report: ChunkReport) -> Iterator[dict[str, Any]]:
    """Yields the rows of the rejects of a chunk."""
    for outcome in report.outcomes:
        if outcome.reason is not None:
            row = dataclasses.asdict(outcome)
            yield {**{name: row[name] for name in DATASET_REJECTS.names if name in row}, "split": report.split}


def conflicts_of(report: ChunkReport) -> Iterator[dict[str, Any]]:
    """Yields the rows of the contradictory annotations of a chunk."""
    for outcome in report.outcomes:
        if outcome.reason is None:
            for category in outcome.conflicts:
                yield {"track_id": outcome.track_id, "split": report.split, "category": category}


class DatasetResults(NamedTuple):
    """Results of a run; `groups`: whether artists are on more than one side -> number of artists."""

    stats: DatasetStats
    groups: dict[bool, int]
    shards: list[ShardEntry]
    rejects: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    problems: ProblemSample
    work: WorkTotals


def record_dataset(digest: str, sides: DatasetResults, settings: RecordDatasetSettings) -> None:
    """Finishes the dataset unless a gate fails, and writes the receipt; if the catalog has problems, only the receipt.

    Args:
      digest: digest of the catalog's rows.
    """
    if sides.problems.count:
        receipt = Receipt(run_id=None, problem_count=sides.problems.count, problems=sides.problems.lines)
    else:
        receipt = _finish(digest, sides, settings)
    receipts.write(settings.shards.dataset, settings.launch, receipt)


def _finish(digest: str, sides: DatasetResults, settings: RecordDatasetSettings) -> Receipt:
    """Lists rejects and conflicts, and writes `dataset.json` unless a gate fails."""
    dataset = settings.shards.dataset
    lists = {
        REJECTS: write_rows(storage.join(dataset, REJECTS), sides.rejects, DATASET_REJECTS),
        CONFLICTS_FILE: write_rows(storage.join(dataset, CONFLICTS_FILE), sides.conflicts, DATASET_CONFLICTS),
    }
    manifest = manifest_of(digest, sides.stats, sides.groups, sides.shards, settings)
    manifest = dataclasses.replace(manifest, lists=lists)
    results = judge(dataset_facts(dataset, manifest, settings.counted), settings.limits)
    failure = refusal(results)
    if failure is None:
        commit(dataclasses.replace(manifest, gates=gates_json(results)), dataset)
    return Receipt(run_id=None, counts=manifest.counts, refused=failure, measured=sides.work.to_json())


def write_rows(url: str, rows: list[dict[str, Any]], schema: pa.Schema) -> str:
    """Writes rows sorted by track_id as a Parquet file, and returns its digest.

    It is written even if a gate fails, so that a user can inspect the rows.
    """
    ordered = sorted(rows, key=lambda row: (str(row["track_id"]), str(row.get("category"))))
    table = pa.Table.from_pylist(ordered, schema=schema)
    storage.write_bytes(url, parquet_bytes(table, ids={}))
    return list_digest(table)


def dataset_facts(dataset: str, manifest: DatasetManifest, counted: int) -> RunFacts:
    """The facts that the gates check, for an unfinished dataset. Ratios refer to the labelled tracks that were read."""
    counts, rejects = manifest.counts, manifest.rejects
    tried = counts["examples"] + counts["rejected"] + manifest.none.get(TIED, 0)
    return RunFacts(
        catalog=counts["catalog"],
        counted=counted,
        outcomes={name: counts[name] for name in ("examples", "rejected", "none")},
        expected={"examples": counts["examples"]},
        written={"examples": sum(shard.examples for shard in manifest.shards)},
        wrong_files=_wrong_shards(dataset, manifest),
        tried=tried,
        rejected=counts["rejected"],
        unavailable=rejects.get(SourceUnavailable.reason, 0),
        reasons=rejects,
        rejects=storage.join(dataset, REJECTS),
        labelled=tried,
        examples=counts["examples"],
    )


def _wrong_shards(dataset: str, manifest: DatasetManifest) -> tuple[str, ...]:
    stored = {file.url.rpartition("/")[2]: file for file in storage.list_folder(dataset)}
    pairs = [(stored.get(shard.path), shard) for shard in manifest.shards]
    wrong = [
        f"{shard.path}: {found and found.size} bytes in storage, {shard.bytes} in the dataset"
        for found, shard in pairs
        if found is None or found.size != shard.bytes
    ]
    return tuple(wrong) or wrong_bytes((found, shard) for found, shard in pairs if found)


def manifest_of(
    digest: str,
    stats: DatasetStats,
    groups: Mapping[bool, int],
    shards: Iterable[ShardEntry],
    settings: RecordDatasetSettings,
) -> DatasetManifest:
    """The manifest. Equal work gives an equal manifest, independent of the order and of the workers."""
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
        unknown_tags=stats.unknown_tags(),
        redirected_tags=dict(sorted(stats.redirected.items())),
        groups={"all": sum(groups.values()), "shared": groups.get(True, 0)},
    )


def commit(manifest: DatasetManifest, dataset: str) -> None:
    """Writes the page, creates `dataset.json`, and removes shards that it does not list."""
    write_dataset_page(dataset, manifest)
    manifest.write(dataset)
    sweep(manifest, dataset)


def sweep(manifest: DatasetManifest, dataset: str) -> None:
    """Removes TFRecord files that a finished dataset does not list: shards that still contain tied tracks."""
    listed = {shard.path for shard in manifest.shards}
    for file in storage.list_folder(dataset):
        name = file.url.rpartition("/")[2]
        if _SHARD_NAME.fullmatch(name) and name not in listed:
            storage.delete(file.url)
