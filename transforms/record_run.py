"""RecordRun: the job's last step writes the run manifest, or the catalog's problems, and a receipt of this launch."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms import storage
from transforms.catalog.problems import Problem
from transforms.embed_chunks import PartEntry
from transforms.formats.hashing import json_bytes
from transforms.publishing import receipts
from transforms.publishing.commit import read_run
from transforms.publishing.receipts import Receipt
from transforms.table.layout import run_path
from transforms.table.snapshots import Run
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.bucket_files import BucketReport, write_table_file
from transforms.tagging.outcomes import PriorOutcomes
from transforms.tagging.tagger import Tagger

MOST_PROBLEMS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordRunSettings:
    """What the last step needs.

    Attributes:
      launch: path of this launch's receipt, relative to the table root.
    """

    known: PriorOutcomes
    load_tagger: Callable[[], Tagger]
    publication: PublishedRows
    launch: str


class RecordRun(beam.PTransform):
    """(reports, parts, problems, run_id) in; the run's manifest and this launch's receipt are written, nothing out."""

    def __init__(self, settings: RecordRunSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, inputs: tuple[beam.PCollection, ...]) -> beam.PCollection:
        """One element, with everything that is small enough to be listed as side inputs."""
        reports, parts, problems, run_id = inputs
        return run_id | "RecordRun" >> beam.Map(
            _record,
            reports=beam.pvalue.AsList(reports),
            parts=beam.pvalue.AsList(parts),
            problems=beam.pvalue.AsList(
                problems | "FewProblems" >> beam.combiners.Sample.FixedSizeGlobally(MOST_PROBLEMS)
            ),
            problem_count=beam.pvalue.AsSingleton(problems | "CountProblems" >> beam.combiners.Count.Globally()),
            settings=self._settings,
        )


def _record(
    run_id: str,
    reports: list[BucketReport],
    parts: list[PartEntry],
    problems: list[list[Problem]],
    problem_count: int,
    settings: RecordRunSettings,
) -> None:
    if problem_count:
        found = sorted((p for some in problems for p in some), key=lambda p: (p.file, p.row or 0))
        receipt = Receipt(run_id=None, problem_count=problem_count, problems=tuple(map(str, found)))
    else:
        run = _run(run_id, reports, parts, settings)
        receipt = Receipt(run_id=_write_run(settings.known.root, run).run_id, counts=run.counts)
    receipts.write(settings.known.root, settings.launch, receipt)


def _run(run_id: str, reports: list[BucketReport], parts: list[PartEntry], settings: RecordRunSettings) -> Run:
    rows = settings.load_tagger().taxonomy_rows().sort_by("tag")
    taxonomy = write_table_file(settings.known, -1, "taxonomy", rows, run_id)
    files = sorted((f for report in reports for f in report.files), key=lambda f: (f.table, f.bucket))
    return Run(
        run_id=run_id,
        parent=settings.known.parent,
        ids=settings.known.ids,
        counts=_counts(reports, parts),
        reasons=dict(sum((Counter(report.reasons) for report in reports), Counter())),
        options=settings.publication.to_json(),
        files=(*files, taxonomy),
    )


def _counts(reports: Iterable[BucketReport], parts: Iterable[PartEntry]) -> dict[str, int]:
    """Counts of the run; `decoded` and `reused` tell this launch's work from what it found done."""
    total = sum((Counter(report.counts) for report in reports), Counter())
    parts = list(parts)
    counts = {name: total[name] for name in ("catalog", "tagged", "carried", "rejected", "unavailable", "fresh")}
    fresh = counts.pop("fresh")
    extracted = sum(entry.tracks for entry in parts)
    return {**counts, "decoded": sum(entry.decoded for entry in parts), "reused": fresh - extracted}


def _write_run(table: str, run: Run) -> Run:
    """The run as it stands under its id: an earlier launch may have finished the same run."""
    with contextlib.suppress(storage.AlreadyExists):
        storage.create(storage.join(table, run_path(run.run_id)), json_bytes(run.to_json()))
    return read_run(table, run.run_id)
