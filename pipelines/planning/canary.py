"""`tag --sample`: draws the sample, and compares its tags with those of the last snapshot."""

import contextlib
import dataclasses
import math
import os
import secrets
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.terminal.errors import UsageError
from pipelines.waves.catalog_rows import valid_rows
from pipelines.waves.tagging import TagStages
from transforms import storage
from transforms.audio.errors import SourceUnavailable
from transforms.catalog.problems import FirstProblems
from transforms.comparison.buckets import Pair, compare
from transforms.comparison.report import document
from transforms.comparison.tag_changes import TagChanges, tag_changes_table
from transforms.comparison.track_changes import TrackCounts
from transforms.formats.arrow import group_numbers
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.storage.scratch import open_scratch
from transforms.table.reader import SnapshotReader
from transforms.table.sampling import NO_TRACK, TrackSample, sample_hashes
from transforms.telemetry.phases import passing, phase

_HASHES = 1 << 63


@dataclasses.dataclass(frozen=True)
class SampleSize:
    """Size of a sample: a share of the tracks, or their number.

    Attributes:
      share: above 0, up to 1; None if the number is given.
      tracks: at least 1; None if the share is given.
    """

    share: float | None
    tracks: int | None

    @classmethod
    def parse(cls, text: str) -> "SampleSize":
        """Reads `0.1%`, `0.001` or `500`.

        Raises:
          ValueError: it is neither a share above 0 and up to 1, nor a number of tracks.
        """
        with contextlib.suppress(ValueError):
            if text.endswith("%"):
                share = float(text[:-1]) / 100
            elif text.isdecimal() and int(text) >= 1:
                return cls(None, int(text))
            else:
                share = float(text)
            if 0 < share <= 1:
                return cls(share, None)
        raise ValueError(
            f"--sample={text}: give a share above 0, such as 0.1% or 0.001, or a number of tracks, such as 500"
        )


def draw_sample(stages: TagStages, size: SampleSize) -> TrackSample:
    """The sample of a catalog: in each bucket, its share of the tracks, those with the smallest hashes.

    Raises:
      UsageError: the catalog has fewer tracks than the sample, or none.
    """
    bounds = np.full(stages.buckets, NO_TRACK, np.int64)
    with open_scratch() as scratch, phase("drawing the sample"):
        hashes = GroupedRows(scratch, "hashes")
        with GroupWriter(hashes) as writer:
            for rows in valid_rows(stages.shards, FirstProblems()):
                ids = rows["track_id"].to_pylist()
                writer.add(pa.table({"hash": sample_hashes(ids)}), group_numbers(ids, stages.buckets))
        counts = np.zeros(stages.buckets, np.int64)
        for bucket in hashes.numbers():
            counts[bucket] = hashes.group(bucket).num_rows
        shares = _shares(counts, size)
        for bucket in hashes.numbers():
            if shares[bucket]:
                own = np.sort(hashes.group(bucket)["hash"].to_numpy())
                bounds[bucket] = own[shares[bucket] - 1]
        total = int(counts.sum())
        bounds[counts == 0] = int(min(shares.sum() / total, 1) * (_HASHES - 1024)) - 1  # only the snapshot has tracks
        sample = TrackSample(bounds=tuple(bounds.tolist()), tracks=int(shares.sum()))
        parent = stages.assemble.known.snapshot
        return sample if parent is None else dataclasses.replace(sample, before=_before(parent, sample))


def _shares(counts: npt.NDArray[np.int64], size: SampleSize) -> npt.NDArray[np.int64]:
    """Number of tracks of the sample in each bucket. A share is rounded up, so that each bucket gives at least one."""
    total = int(counts.sum())
    if size.share is not None and total:
        return np.array([math.ceil(size.share * count - 1e-9) for count in counts.tolist()], np.int64)
    wanted = size.tracks or 0
    if not total or wanted > total:
        raise UsageError(f"--sample={wanted}: the catalog has {total} tracks: give a smaller number, or a share")
    whole, rest = np.divmod(counts * wanted, total)
    order = np.argsort(-rest, kind="stable")[: wanted - int(whole.sum())]
    whole[order] += 1
    return whole


def _before(parent: SnapshotReader, sample: TrackSample) -> dict[str, int]:
    """Counts of the snapshot over its tracks in the sample."""
    counts: Counter[str] = Counter(dict.fromkeys(("catalog", "tagged", "carried", "rejected", "unavailable"), 0))
    for bucket in range(parent.buckets):
        ledger = parent.scan("ledger", ["track_id", "status", "reason"], bucket=bucket)
        own = ledger.filter(pa.array(sample.mask(bucket, ledger["track_id"].to_pylist()), pa.bool_()))
        counts.update(own["status"].to_pylist())
        counts.update(catalog=own.num_rows, unavailable=own["reason"].to_pylist().count(SourceUnavailable.reason))
    return dict(counts)


def output_of(table: str) -> str:
    """A new folder for what a run over a sample writes, but for part files."""
    return storage.join(table, f"work/sample-{secrets.token_hex(8)}")


def remove_output(output: str) -> None:
    """Removes what a run over a sample has written."""
    folders: set[str] = set()
    for file in list(storage.list_files(output)):
        storage.delete(file.url)
        folder = file.url.rpartition("/")[0]
        while len(folder) >= len(output):
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in sorted(folders, key=len, reverse=True):
        storage.delete_empty_folder(folder)


def compared_sample(before: SnapshotReader, after: SnapshotReader) -> dict[str, Any]:
    """The difference of the sample between the last snapshot and the run, in the form of `diff`."""
    pair = Pair(before, after)
    tracks, changes = TrackCounts(), TagChanges.none(len(pair.tags().ids))
    buckets = compare(pair, os.cpu_count() or 1)
    for difference in passing(buckets, "comparing", unit="buckets", total=after.buckets):
        tracks, changes = tracks + difference.tracks, changes + difference.tags
    return document(pair, tracks, tag_changes_table(pair.tags(), changes))
