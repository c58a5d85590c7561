"""Measures what a track costs: decodes, embeds and tags a sample, and writes nothing."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from pipelines.planning.catalog import CatalogPlan
from pipelines.waves.tagging import TagStages
from transforms.embed_chunks import EmbedSettings, try_chunk
from transforms.extraction.source import CHUNK_TRACKS, Chunk, Source
from transforms.formats.arrow import group_numbers
from transforms.formats.parquet import parquet_bytes
from transforms.schemas.tables import PART
from transforms.tagging.assembly import assemble_bucket
from transforms.tagging.costs import UnitCosts
from transforms.tagging.outcomes.of_parent import completed
from transforms.tagging.part_files import write_part
from transforms.telemetry.counters import EMBED_CORE, EMBED_TRACKS, EXTRACT_CORE, READ_CORE, SOURCE_BYTES, TRACKS_READ
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.work import WorkTotals

KeepParts = Callable[[pa.Table], None]
"""Takes the rows of part files of a sample."""


def kept_parts(stages: TagStages) -> KeepParts:
    """Writes the outcomes of a sample as part files of the run, so that the run does not extract its tracks again.

    If there are further bundles, nothing is written, because their tables need embeddings of the same tracks.
    """
    target = stages.embed.target

    def keep(parts: pa.Table) -> None:
        numbers = group_numbers(parts["track_id"].to_pylist(), stages.buckets)
        for bucket in np.unique(numbers).tolist() if not stages.embed.further else ():
            write_part(target.root, bucket, parts.filter(pa.array(numbers == bucket)), target.embedding_id)

    return keep


def measured_costs(stages: TagStages, plan: CatalogPlan, keep: KeepParts = lambda parts: None) -> UnitCosts:
    """Costs of one track, from the sample of a plan. Without a sample, only the decision was measured."""
    seconds = {"plan": plan.core_seconds / plan.forecast.catalog}
    if plan.rows is None:
        return UnitCosts(core_seconds=seconds)
    parts, work = _extracted(stages.embed, plan.sample)
    keep(parts)
    read, embedded = work.total(TRACKS_READ), work.total(EMBED_TRACKS)
    seconds |= {
        "read": work.total(READ_CORE) / read / 1e6,
        "extract": work.total(EXTRACT_CORE) / read / 1e6,
    }
    if embedded:
        seconds["embed"] = work.total(EMBED_CORE) / embedded / 1e6
    kept = parts.num_rows - parts["embedding"].null_count
    seconds["assemble"], table_bytes = _assembled(stages, plan.rows, parts)
    return UnitCosts(
        core_seconds=seconds,
        source_bytes=work.total(SOURCE_BYTES) / read,
        table_bytes=table_bytes / kept if kept else None,
        part_bytes=_added_bytes(parts, "") / parts.num_rows,
        sampled=len(plan.sample),
    )


def _extracted(settings: EmbedSettings, sample: Sequence[Source]) -> tuple[pa.Table, WorkTotals]:
    """Rows of part files of the sample, sorted by track_id, and the work."""
    embedders = [target.load_embedder() for target in (settings.target, *settings.further)]
    for embedder in embedders:  # the first call takes longer
        embedder.embed([np.zeros((1, *settings.spec.patch_shape), np.float16)])
    total, parts, tracks = WorkTotals(), [], iter(sample)
    while some := tuple(itertools.islice(tracks, CHUNK_TRACKS)):
        rows, work = try_chunk(Chunk(bucket=0, tracks=some), settings, embedders)
        total.add(work)
        parts.append(rows)
    return pa.concat_tables(parts).sort_by("track_id"), total


def _assembled(stages: TagStages, rows: pa.Table, parts: pa.Table) -> tuple[float, int]:
    """Core-seconds of the assembly of a track, and bytes that the tracks add to the tables."""
    tagger, publication = stages.assemble.load_tagger(), stages.assemble.publication
    measured = stages.assemble.known.has_parameters
    outcomes = completed(parts.select(PART.names).append_column("carried", pa.array([False] * parts.num_rows)))

    def assemble(count: int) -> dict[str, pa.Table]:
        own = rows.slice(0, count), outcomes.slice(0, count)
        return assemble_bucket(*own, {}, tagger, "run-sample", publication, parameters=measured)

    tables, whole = _timed(lambda: assemble(rows.num_rows))
    _, base = _timed(lambda: assemble(0))
    added = sum(_added_bytes(table, name) for name, table in tables.items())
    return max(whole - base, 0.0) / rows.num_rows, added


def _timed(work: Callable[[], dict[str, pa.Table]]) -> tuple[dict[str, pa.Table], float]:
    """The tables, and the core-seconds to make them and their files."""
    with CoreTime() as core:
        tables = work()
        for name, table in tables.items():
            parquet_bytes(table, name=name)
    return tables, core.microseconds / 1e6


def _added_bytes(table: pa.Table, name: str) -> int:
    """Size of a Parquet file of these rows, less that of one without rows."""
    return len(parquet_bytes(table, name=name)) - len(parquet_bytes(table.slice(0, 0), name=name))
