"""Compares two snapshots of a table: tracks, tags, scores.

catalog-tagger diff table 41 42 --output changes
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.terminal.answer import Answer
from transforms import storage
from transforms.comparison.buckets import Pair, compare
from transforms.comparison.most_changed import MostChanged
from transforms.comparison.report import document, to_text
from transforms.comparison.tag_changes import TagChanges, tag_changes_table
from transforms.comparison.track_changes import TrackCounts
from transforms.formats.hashing import json_bytes
from transforms.formats.parquet import parquet_bytes
from transforms.schemas.reports import DIFF_TRACKS
from transforms.table.reader import open_snapshot
from transforms.telemetry.phases import passing


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Compares the snapshots and writes the comparison if a folder is given."""
    check_writes("--output", args.output)
    pair = Pair(open_snapshot(args.table, args.before), open_snapshot(args.table, args.after))
    most = MostChanged()
    with _track_rows(args.output) as keep:
        tracks, changes = _compared(pair, keep, most)
    tags = tag_changes_table(pair.tags(), changes)
    found = {**document(pair, tracks, tags), "changed_tracks": most.to_json()}
    text = to_text(found)
    if args.output is not None:
        files = {"tags.parquet": parquet_bytes(tags), "diff.json": json_bytes(found), "diff.md": text.encode()}
        for name, data in files.items():
            storage.write_bytes(storage.join(args.output, name), data)
    return Answer(text=text.rstrip("\n"), document=found, rows=found["tags"], all=args.output is None)


def _compared(pair: Pair, keep: Callable[[pa.Table], None], most: MostChanged) -> tuple[TrackCounts, TagChanges]:
    """The sums over all buckets, whose rows are given to `keep` and to `most`."""
    tracks, changes = TrackCounts(), TagChanges.none(len(pair.tags().ids))
    buckets = compare(pair, os.cpu_count() or 1)
    for difference in passing(buckets, "comparing", unit="buckets", total=pair.after.buckets):
        keep(difference.rows)
        most.add(difference.rows)
        tracks, changes = tracks + difference.tracks, changes + difference.tags
    return tracks, changes


@contextlib.contextmanager
def _track_rows(output: str | None) -> Iterator[Callable[[pa.Table], Any]]:
    """A function that appends rows to `tracks.parquet`, which replaces an older one at the end."""
    if output is None:
        yield lambda rows: None
        return
    url = storage.join(output, "tracks.parquet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.parquet"
        with pq.ParquetWriter(path, DIFF_TRACKS, compression="zstd", write_page_checksum=True) as writer:
            yield writer.write_table
        storage.delete(url)
        storage.upload(path, url)
