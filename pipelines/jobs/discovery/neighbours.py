"""Finds the most similar tracks of every track, and makes the search index of a table.

catalog-tagger neighbours table
"""

import dataclasses
import json
import math
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from threadpoolctl import threadpool_limits

from pipelines.checks.engine import require_engine
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.jobs.discovery.refits import fit_record, kept_start
from pipelines.launch.beam import (
    check_beam_places,
    dry_run_answer,
    is_dry_run,
    is_local,
    new_pipeline,
    parse_beam_args,
    run_pipeline,
)
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import RACE_LOST, REFUSED, CommandFailed
from transforms import storage
from transforms.audio.errors import DUE_AGAIN
from transforms.discovery.index.job import NEIGHBOURS_VERSION, NeighbourJob, base_of
from transforms.discovery.index.model import fit_model
from transforms.discovery.similarity import SimilaritySpec
from transforms.discovery.vectors import declared_spec
from transforms.find_neighbours import FindNeighbours, NeighbourSettings
from transforms.formats.hashing import short_id
from transforms.formats.quantities import quantity, subject
from transforms.formats.sealing import open_sealed
from transforms.maintenance.leases import Busy, held
from transforms.publishing.audit import RaceLost, Refused, audit
from transforms.publishing.commit import commit_run, write_run
from transforms.publishing.gates import GateLimits
from transforms.table.neighbours import NEIGHBOURS_TABLE, is_stale, tracks_of
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import DataFile, Run, Snapshot
from transforms.table.versions import read_table_metadata
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.telemetry.phases import phase

_PASSED = GateLimits(max_reject_ratio=1, max_unavailable_ratio=1, max_removed_ratio=1, others={"unknown": math.inf})
"""Limits for rows that are published already: only files and counts are checked again."""


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Runs the job over the newest snapshot and publishes its result; does nothing if that is published already.

    Raises:
      CommandFailed: another job writes to the table, or a file of the snapshot is damaged.
    """
    beam_options = parse_beam_args(beam_args, "neighbours")
    check_writes("TABLE", args.table, "table")
    check_beam_places(beam_options, table=args.table)
    if is_dry_run(beam_options):
        return dry_run_answer(beam_options)
    require_engine(beam_options)
    read_table_metadata(args.table, writing=True)
    try:
        with held(args.table, "neighbours"):
            return _run(args, beam_options)
    except Refused as refused:
        raise CommandFailed(f"nothing was published: {refused}", REFUSED) from refused
    except (RaceLost, Busy) as lost:
        raise CommandFailed(f"nothing was published: {lost}; run `neighbours` again", RACE_LOST) from lost


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourRun:
    """One run of the command.

    Attributes:
      specs: what similarity means, for each embedding of the snapshot.
      options: the settings as `Run.neighbours` records them.
      work: what the job does.
    """

    specs: tuple[SimilaritySpec, ...]
    options: dict[str, Any]
    work: NeighbourSettings


def _run(args: Arguments, beam_options: PipelineOptions) -> Answer:
    snapshot = open_snapshot(args.table)
    made, before = make_settings(args, snapshot), snapshot.manifest.run
    if _is_done(args, before, made):
        return _answer(args.table, snapshot.manifest, published=False)
    if not storage.exists(made.work.result_url):
        models_of(snapshot, made)
        with threadpool_limits(1 if is_local(beam_options) else None, "blas"), phase("finding neighbours"):
            root = new_pipeline(beam_options)
            _ = root | "FindNeighbours" >> FindNeighbours(made.work)
            run_pipeline(root)
    published = publish_neighbours(args.table, snapshot, made)
    with phase("removing intermediate files"):
        _remove_folder(args.table, made.work.jobs[0].work)
    return _answer(args.table, published, published=True)


def _is_done(args: Arguments, run: Run, made: NeighbourRun) -> bool:
    """Whether the snapshot has what the command would compute."""
    record = run.neighbours
    if not record or is_stale(run) or not record["index"] or record["settings"] != made.options:
        return False
    return not args.refit or not any(one["fitted"]["changed"] for one in record["sets"])


def make_settings(args: Arguments, snapshot: SnapshotReader) -> NeighbourRun:
    """The work of the run, named by the snapshot and the flags: a repeated command finds what is done.

    Raises:
      CommandFailed: no track of the snapshot has an embedding.
    """
    run, number = snapshot.manifest.run, snapshot.manifest.number
    specs = tuple(declared_spec(snapshot, one, args.tag_weight) for one in run.embedding_ids if tracks_of(run, one))
    if not specs:
        raise CommandFailed(f"{args.table}: no track of snapshot {number} has an embedding: nothing can be compared")
    options = {
        "version": NEIGHBOURS_VERSION,
        "neighbours": args.neighbours,
        "probes": args.probes,
        "similarity": [spec.to_json() for spec in specs],
    }
    starts = tuple(None if args.refit else kept_start(args.table, run, spec, options) for spec in specs)
    bases = [None if start is None else start.index for start in starts]
    run_id = short_id("run", "neighbours", str(number), run.content_hash, json.dumps([options, bases], sort_keys=True))
    jobs = tuple(
        NeighbourJob(
            root=args.table,
            snapshot=number,
            work=f"work/neighbours-{run_id.removeprefix('run-')}",
            index=f"index/run={run_id}",
            number=i,
            neighbours=args.neighbours,
            probes=args.probes,
            embedding_id=spec.embedding_id,
            base=base,
        )
        for i, (spec, base) in enumerate(zip(specs, bases, strict=True))
    )
    known = PriorOutcomes(root=args.table, parent=number, ids=run.ids, due_again=DUE_AGAIN, buckets=snapshot.buckets)
    fitted = tuple(
        fit_record(snapshot.manifest, spec.embedding_id) if start is None else start.fitted
        for spec, start in zip(specs, starts, strict=True)
    )
    work = NeighbourSettings(jobs=jobs, run_id=run_id, known=known, fitted=fitted)
    return NeighbourRun(specs=specs, options=options, work=work)


def models_of(snapshot: SnapshotReader, made: NeighbourRun) -> None:
    """Writes the models that are missing: those of the earlier index, or new ones."""
    for job, spec in zip(made.work.jobs, made.specs, strict=True):
        url, base = job.url(job.model_path), base_of(job)
        if storage.exists(url):
            continue
        if base is not None:
            storage.ensure(url, storage.read_bytes(job.url(base.model.path)))
            continue
        with phase("fitting cells"):
            tracks = tracks_of(snapshot.manifest.run, spec.embedding_id)
            storage.ensure(url, fit_model(snapshot, spec, tracks).to_bytes())


def publish_neighbours(root: str, snapshot: SnapshotReader, made: NeighbourRun) -> Snapshot:
    """Publishes a run with the files of the snapshot, and those of the finished job.

    Raises:
      Refused: a file is missing or damaged.
      RaceLost: another run was published meanwhile.
    """
    result, before = open_sealed(storage.read_bytes(made.work.result_url)).fields, snapshot.manifest
    record = {
        "snapshot": before.number,
        "content_hash": before.run.content_hash,
        "settings": made.options,
        "added": 0,
        "removed": 0,
        "analysed": 0,
        "files_kept": result["files_kept"],
        "sets": result["sets"],
        "index": result["index"],
    }
    kept = tuple(file for file in before.run.files if file.table != NEIGHBOURS_TABLE)
    run = dataclasses.replace(
        before.run,
        run_id=made.work.run_id,
        parent=before.number,
        counts={**before.run.counts, "decoded": 0, "reused": 0},
        files=(*kept, *(DataFile(**fields) for fields in result["files"])),
        changes={"added": 0, "removed": 0},
        evidence={},
        overrides=(),
        measured={},
        plan={},
        rolled_back_to=None,
        rollback_reason=None,
        neighbours=record,
    )
    audit(root, run, _PASSED)
    return commit_run(root, write_run(root, run))


def _remove_folder(root: str, folder: str) -> None:
    """Removes the intermediate files of a finished job."""
    for file in list(storage.list_files(storage.join(root, folder))):
        storage.delete(file.url, beneath=root)
    storage.delete_empty_folder(storage.join(root, folder))


def _answer(root: str, snapshot: Snapshot, *, published: bool) -> Answer:
    record = snapshot.run.neighbours
    first = (
        f"snapshot {snapshot.number} of {root} has the neighbours of "
        + quantity(sum(one["tracks"] for one in record["sets"]), "track")
        + ("" if published else " already; nothing was changed")
    )
    lines = [first]
    for one in record["sets"]:
        lines += [_set_text(one), *([_work_text(one)] if published else [])]
    lines.append(f"content hash {snapshot.run.content_hash}")
    return Answer(
        text="\n".join(lines),
        document={
            "table": root,
            "snapshot": snapshot.number,
            "published": published,
            "content_hash": snapshot.run.content_hash,
            "neighbours": record,
        },
    )


def _set_text(one: dict[str, Any]) -> str:
    """A line on the neighbours of one embedding."""
    damped, undamped = one["hubs"]["damped"], one["hubs"]["undamped"]
    return (
        f"{one['embedding_id']}: {quantity(one['tracks'], 'track')} in {quantity(one['cells'], 'cell')}. Some tracks "
        f"are in many lists of neighbours (hubs), others in none: {damped['never']:.2%} of the tracks are in none "
        f"({undamped['never']:.2%} if hubs were not ranked lower), and the skewness of the number of lists is "
        f"{damped['skewness']:.2f} ({undamped['skewness']:.2f}). Tracks with a near-duplicate: "
        f"{one['hubs']['duplicates']:,}"
    )


def _work_text(one: dict[str, Any]) -> str:
    """A line on what was computed for one embedding."""
    work, fitted = one["work"], one["fitted"]
    if not one["kept"]:
        return f"{one['embedding_id']}: everything was computed, with new cells"
    cells = work["cells_same"] + work["cells_updated"]
    return (
        f"{one['embedding_id']}: {subject(work['tracks_added'], 'track')} added, {work['tracks_changed']:,} changed "
        f"and {work['tracks_removed']:,} removed since the last index; candidates changed in "
        f"{work['cells_updated']:,} of {quantity(cells, 'cell')}; {subject(work['tracks_compared'], 'track')} compared "
        f"with all candidates, {work['tracks_merged']:,} with new ones alone; "
        f"{subject(work['tracks_damped'], 'track', 'has', 'have')} other neighbours than before; the cells are those "
        f"of snapshot {fitted['snapshot']}, and {fitted['changed'] / max(1, fitted['tracks']):.1%} of its tracks "
        "changed since"
    )
