"""Runs of `tag` without audio and without Beam: the plan, the assembly, the record and the commit of production.

Only extraction is simulated: it writes the part files of the planned chunks, with outcomes that a test chooses.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.bundles.tagger_bundle import load_bundle
from pipelines.planning.catalog import CatalogPlan, plan_catalog
from pipelines.waves.tagging import TagStages
from transforms.assemble_buckets import AssembleSettings
from transforms.audio.errors import DUE_AGAIN
from transforms.audio.limits import Limits
from transforms.catalog.problems import FirstProblems
from transforms.catalog.reader import list_shards, read_shard
from transforms.embed_chunks import EmbedSettings, EmbedTarget
from transforms.extraction.source import Source
from transforms.formats.hashing import bucket_of, digest
from transforms.fusion.joining import join_bucket
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import STATEMENTS, read_statements
from transforms.fusion.tally import RowTally, add_tallies
from transforms.levels.writing import Compaction
from transforms.list_digests import digested_columns
from transforms.name_run import outcome_digest, run_id_of
from transforms.plan_buckets import planning_work
from transforms.publishing import receipts
from transforms.publishing.commit import publish, read_run
from transforms.publishing.gates import GateLimits
from transforms.record_run import Expectations, RecordRunSettings, RunResults, record_run
from transforms.schemas.tables import PART
from transforms.storage import SourceRoots
from transforms.table.snapshots import Run, current_snapshot, snapshot_numbers
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows, assemble_bucket
from transforms.tagging.bucket_files import write_bucket
from transforms.tagging.costs import costs_of_history
from transforms.tagging.evidence import Evidence
from transforms.tagging.examination import BucketExaminer
from transforms.tagging.kept_rows import postponed_counts, with_kept_rows
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.part_files import write_part
from transforms.tagging.planning import plan_bucket
from transforms.tagging.tagger import ids_of
from transforms.telemetry.work import WorkTotals

BUCKETS = 2
CHUNK_TRACKS = 3
ALL_PASS = GateLimits(max_reject_ratio=1, max_unavailable_ratio=1, max_removed_ratio=1)

Outcome = Callable[[Source], str | None]
"""A track that is extracted -> the reason of its reject, or None."""

load = functools.cache(load_bundle)


class SimulatedTable:
    """A table and its catalog in a folder."""

    def __init__(self, folder: Path) -> None:
        self.root, self._catalog = str(folder / "table"), folder / "catalog.parquet"

    def stages(
        self,
        catalog: Mapping[str, str],
        model: str,
        *,
        retry_rejects: bool = False,
        publication: PublishedRows | None = None,
        fusion: Fusion | None = None,
        parameters_id: str = "",
        parameters_due: bool = False,
    ) -> TagStages:
        """Settings of a run over a catalog: track_id -> source version. Sources of `fusion` are about tracks."""
        ids, versions = list(catalog), list(catalog.values())
        columns = {"track_id": ids, "uri": [f"{i}.wav" for i in ids], "source_version": versions}
        pq.write_table(pa.table({name: pa.array(v, pa.string()) for name, v in columns.items()}), self._catalog)
        open_table(self.root, BUCKETS)
        bundle, numbers, publication = load(model), snapshot_numbers(self.root), publication or PublishedRows()
        known = PriorOutcomes(
            root=self.root,
            parent=numbers[-1] if numbers else None,
            ids=ids_of(bundle),
            due_again=DUE_AGAIN,
            retry_rejects=retry_rejects,
            buckets=BUCKETS,
            dim=bundle.embedding_dim,
            compaction=Compaction(share=0.5, least_bytes=0),
            parameters_id=parameters_id,
            parameters_due=parameters_due,
        )
        target = EmbedTarget(root=self.root, embedding_id=bundle.embedding_id, load_embedder=lambda: None)
        shards = list_shards(str(self._catalog), None)
        return TagStages(
            shards=shards,
            buckets=BUCKETS,
            chunk_tracks=CHUNK_TRACKS,
            embed=EmbedSettings(
                target=target, roots=SourceRoots(shards[0].root), spec=bundle.spec, limits=Limits(), children=1
            ),
            assemble=AssembleSettings(
                known=known,
                load_tagger=lambda: bundle,
                publication=publication,
                policy=None if fusion is None else fusion.policy,
            ),
            record=RecordRunSettings(
                known=known,
                load_tagger=lambda: bundle,
                publication=publication,
                counted=len(catalog),
                limits=ALL_PASS,
                launch=receipts.begin(self.root, known.parent),
                expectations=Expectations(units=costs_of_history(self.root, numbers, known.ids)),
                fusion=fusion,
            ),
            fusion=fusion,
        )

    def plan(self, stages: TagStages) -> CatalogPlan:
        """What `tag --plan` finds."""
        return plan_catalog(stages, threads=2)

    def run(self, stages: TagStages, outcome: Outcome, *, killed_after: int | None = None) -> Run | None:
        """Runs and publishes; None if it is killed after some chunks."""
        known, left = stages.assemble.known, killed_after
        work, extracted, measured, parts = WorkTotals(), 0, 0, {}
        buckets, tally = _joined(stages, self._rows(stages))
        for bucket, rows in buckets.items():
            plan = plan_bucket(known, bucket, rows, CHUNK_TRACKS)
            work.add(planning_work(plan.forecast, 1))
            parts[bucket] = []
            for chunk in plan.chunks:
                if left == 0:
                    return None
                left = None if left is None else left - 1
                rows = simulated_parts(known, chunk.tracks, outcome)
                parts[bucket].append(write_part(known.root, chunk.bucket, rows, known.ids.embedding_id))
                new = len([row for row in rows.to_pylist() if row["reason"] or row["embedding"]])
                extracted, measured = extracted + new, measured + rows.num_rows - new
        if killed_after is not None:
            return None
        return self._publish(stages, buckets, parts, work, (extracted, extracted, measured), tally)

    def _rows(self, stages: TagStages) -> dict[int, pa.Table]:
        batches = [batch for shard in stages.shards for batch, _ in read_shard(shard)]
        rows = pa.Table.from_batches(batches).sort_by("track_id")
        numbers = pa.array([bucket_of(track, BUCKETS) for track in rows["track_id"].to_pylist()])
        return {n: rows.filter(pa.compute.equal(numbers, n)) for n in sorted(set(numbers.to_pylist()))}

    def _publish(
        self,
        stages: TagStages,
        buckets: dict[int, pa.Table],
        parts: dict[int, list[str]],
        work: WorkTotals,
        tracks: tuple[int, int, int],
        tally: RowTally,
    ) -> Run:
        known, record = stages.assemble.known, stages.record
        found = {n: assembled(known, n, rows, digested_columns(known), latest=parts[n]) for n, rows in buckets.items()}
        digests = "".join(sorted(outcome_digest(rows, found[n]) for n, rows in buckets.items()))
        digests += "" if stages.fusion is None else stages.fusion.record_digest(tally)
        run_id = run_id_of(known, record.publication, digests)
        reports, evidence = [], Evidence()
        taxonomy = record.load_tagger().taxonomy_rows()
        examiner = BucketExaminer(known=known, publication=record.publication, taxonomy=taxonomy)
        for n, rows in buckets.items():
            outcomes = assembled(known, n, rows, latest=parts[n])
            policy = stages.assemble.policy
            tables = assemble_bucket(
                rows,
                outcomes,
                {},
                record.load_tagger(),
                run_id,
                record.publication,
                policy=policy,
                parameters=known.has_parameters,
            )
            tables = with_kept_rows(tables, known.snapshot, n, rows, outcomes)
            reports.append(write_bucket(known, n, tables, run_id, postponed_counts(outcomes)))
            evidence += examiner.examine(n, tables)
        results = RunResults(reports, tracks, FirstProblems().sample(), work, evidence, tally=tally)
        record_run(run_id, results, record)
        receipt = receipts.read(self.root, record.launch)
        receipts.forget(self.root, record.launch)
        assert receipt.run_id is not None and receipt.plan
        publish(self.root, read_run(self.root, receipt.run_id), ALL_PASS)
        snapshot = current_snapshot(self.root)
        assert snapshot is not None
        return snapshot.run


def _joined(stages: TagStages, buckets: dict[int, pa.Table]) -> tuple[dict[int, pa.Table], RowTally]:
    """The rows with what sources say about tracks, and what became of the rows of the sources."""
    fusion = stages.fusion
    if fusion is None:
        return buckets, RowTally()
    read = [part for shard in fusion.shards for part in read_statements(shard, fusion.policy, fusion.taxonomy)]
    said = pa.concat_tables([STATEMENTS.empty_table(), *(rows for rows, _ in read)])
    numbers = pa.array([bucket_of(key, BUCKETS) for key in said["key"].to_pylist()], pa.int64())
    joined = {
        n: join_bucket(rows, [said.filter(pa.compute.equal(numbers, n))], [], fusion.policy, fusion.taxonomy)
        for n, rows in buckets.items()
    }
    tally = add_tallies([*(counted for _, counted in read), *(found.tally for found in joined.values())])
    return {n: found.rows for n, found in joined.items() if found.rows is not None}, tally


def tempo_of(track_id: str, parameters_id: str) -> float:
    """An invented tempo."""
    return 60.0 + int(digest(track_id, parameters_id)[:2], 16) / 2


def simulated_parts(known: PriorOutcomes, tracks: Iterable[Source], outcome: Outcome) -> pa.Table:
    """Rows of part files. The tempo of a track follows from its id and from that of the parameters.

    Its confidence is 0.75.
    """
    rows = []
    for source in tracks:
        reason = outcome(source)
        tempo = tempo_of(source.track_id, known.parameters_id)
        measured = {"parameters_id": known.parameters_id, "tempo_bpm": tempo, "tempo_confidence": 0.75}
        if reason and source.keeps_outcome:
            continue
        sha256 = digest(source.track_id, source.source_version)
        if source.lacks_parameters and not reason and sha256 == source.known_sha256:
            key = {"track_id": source.track_id, "source_version": source.source_version}
            rows.append({**key, **measured, "stage": "read", "source_sha256": sha256})
            continue
        rng = np.random.default_rng(list(source.track_id.encode()))
        embedding = rng.normal(size=known.dim).astype(np.float16).astype(np.float32).tolist()
        rows.append(
            {
                "track_id": source.track_id,
                "source_version": source.source_version,
                "reason": reason,
                "stage": reason and "read",
                "source_bytes": None if reason == "not_found" else 1000 + len(source.track_id),
                "source_sha256": None if reason else digest(source.track_id, source.source_version),
                **({} if reason else {"duration_s": 8.0, "sample_rate": 44_100, "channels": 2}),
                "decoded_fraction": None if reason else 1.0,
                "embedding": None if reason else embedding,
                **(measured if known.parameters_id and not reason else {}),
            }
        )
    return pa.Table.from_pylist(rows, schema=PART)
