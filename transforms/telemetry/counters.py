"""Every counter and distribution of a job, declared once: stage, name, unit and meaning."""

import dataclasses
from typing import Literal

Kind = Literal["counter", "distribution"]

CORE_TIME = "core-microseconds"
"""Unit of processor time: one core that is busy for one microsecond. Manifests give sums in core-seconds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """A quantity that a stage counts or measures.

    Attributes:
      stage: part of the job; the counter's namespace in the engine.
      name: unique within the stage.
      kind: a `counter` has a sum; a `distribution` also has a count, a minimum and a maximum.
      unit: unit of the values, which are integers.
      sentence: meaning of a value.
    """

    stage: str
    name: str
    kind: Kind
    unit: str
    sentence: str


DECLARED: list[Measure] = []
"""All declarations, in the order of the stages."""


def _declare(stage: str, name: str, kind: Kind, unit: str, sentence: str) -> Measure:
    measure = Measure(stage=stage, name=name, kind=kind, unit=unit, sentence=sentence)
    DECLARED.append(measure)
    return measure


def _core_time(stage: str, sentence: str) -> Measure:
    return _declare(stage, "core_us", "counter", CORE_TIME, sentence)


SPLIT_ROWS = _declare("split", "rows", "counter", "rows", "Catalog rows that `prepare` planned.")
SPLIT_CHUNKS = _declare("split", "chunks", "counter", "chunks", "Chunks that the labelled rows were divided into.")
SPLIT_TIED = _declare(
    "split",
    "tied_tracks",
    "counter",
    "tracks",
    "Tracks left out because the same bytes are on more than one side of the split.",
)

PLAN_CAUSES = {
    cause: _declare("plan", f"tracks_{cause}", "counter", "tracks", sentence)
    for cause, sentence in {
        "new": "Tracks that the last snapshot does not have.",
        "deferred": "Tracks that earlier runs did not reach within their budgets.",
        "source": "Tracks whose audio file changed since the last snapshot.",
        "features": "Tracks whose outcome in the last snapshot is from other features.",
        "due": "Rejected tracks that are tried again.",
        "remembered": "Rejected tracks whose reject is kept.",
        "trunk": "Tracks whose embedding in the last snapshot is from another trunk.",
        "parameters": "Tracks whose embedding is kept and that lack the parameters that the run asks for.",
        "taxonomy": "Tracks whose embedding is kept and whose tags are of another taxonomy.",
        "heads": "Tracks whose embedding is kept and whose tags are from other heads, calibration or thresholds.",
        "fusion": "Tracks whose embedding is kept and of which the sources of `--source` say something else.",
        "unchanged": "Tracks of which nothing changed since the last snapshot.",
    }.items()
}
"""Why a run treats a track as it does -> counter. A track counts for the first cause that applies, in this order."""
PLAN_ACTIONS = {
    "extract": _declare("plan", "tracks_to_extract", "counter", "tracks", "Tracks to read, decode and embed."),
    "reuse": _declare(
        "plan", "tracks_to_reuse", "counter", "tracks", "Tracks whose outcome is in a part file of an earlier run."
    ),
    "carry": _declare(
        "plan", "tracks_to_carry", "counter", "tracks", "Tracks whose embedding is carried over from the last snapshot."
    ),
    "remember": _declare(
        "plan", "tracks_to_remember", "counter", "tracks", "Tracks whose reject is carried over from the last snapshot."
    ),
    "defer": _declare(
        "plan", "tracks_to_defer", "counter", "tracks", "Tracks that are left to later runs, because of the budget."
    ),
}
"""What a run does with a track -> counter."""
PLAN_KEPT_EMBEDDING = _declare(
    "plan",
    "tracks_to_measure",
    "counter",
    "tracks",
    "Tracks to read and decode that keep their embedding if their bytes are the same: only parameters are measured.",
)
PLAN_UNMEASURED = _declare(
    "plan",
    "tracks_without_parameters",
    "counter",
    "tracks",
    "Tracks of the last snapshot that keep their embedding and lack parameters of the run's version.",
)
PLAN_CORE = _core_time("plan", "Processor time to compare the rows of the catalog with earlier outcomes; `tag` only.")

READ_MS = _declare("extract", "read_ms", "distribution", "milliseconds", "Time to read one source from storage.")
SOURCE_BYTES = _declare(
    "extract", "source_bytes", "distribution", "bytes", "Size of one source; 0 if it could not be read."
)
READ_CORE = _core_time("read", "Processor time to read sources and hash their bytes.")
TRACKS_READ = _declare(
    "extract", "tracks_read", "counter", "tracks", "Tracks that were processed, whether accepted or rejected."
)
TRACKS_REJECTED = _declare("extract", "tracks_rejected", "counter", "tracks", "Processed tracks that were rejected.")
TRACKS_SAME = _declare(
    "extract",
    "tracks_same_bytes",
    "counter",
    "tracks",
    "Tracks whose source version changed and whose bytes did not: read, and not decoded.",
)
TRACKS_CONFINED = {
    name: _declare(
        "extract",
        f"tracks_confined_by_{name.replace(' ', '_')}",
        "counter",
        "tracks",
        f"Tracks decoded in a child process that this measure confined: {sentence}.",
    )
    for name, sentence in (
        ("seccomp", "an allow-list of system calls"),
        ("landlock", "no access to files, TCP and other processes"),
        ("unprivileged user", "a user that owns nothing"),
        ("not dumpable", "memory that other processes of the user cannot read"),
    )
}
"""Measure of the sandbox -> counter of the tracks that it confined."""
EXTRACT_MS = _declare(
    "extract",
    "extract_ms",
    "distribution",
    "milliseconds",
    "Time from sending one source to the sandbox until the answer, including the wait for a free child process.",
)
DECODE_MS = _declare(
    "extract", "decode_ms", "distribution", "milliseconds", "Time to decode, downmix and resample one track."
)
FEATURES_MS = _declare(
    "extract", "features_ms", "distribution", "milliseconds", "Time to compute the log-mel patches of one track."
)
CHILD_BYTES = _declare(
    "extract", "child_bytes", "distribution", "bytes", "Peak memory of the child process at the time of its answer."
)
PATCH_BYTES = _declare(
    "extract", "chunk_patch_bytes", "distribution", "bytes", "Size of the patches of one chunk; `tag` only."
)
EXTRACT_CORE = _core_time(
    "extract",
    "Processor time of the sandbox's child processes to decode and compute features, also of rejected tracks, and of "
    "the network of `--beats`.",
)
BEAT_TRACKS = _declare(
    "extract", "tracks_heard", "counter", "tracks", "Tracks that the network of `--beats` has heard."
)
BEAT_TEMPI = _declare(
    "extract",
    "tracks_with_heard_tempo",
    "counter",
    "tracks",
    "Tracks whose tempo is the network's. The others have that of the estimator.",
)
BEAT_METRES = _declare(
    "extract",
    "tracks_with_heard_metre",
    "counter",
    "tracks",
    "Tracks of which the network counts beats between downbeats.",
)

EMBED_TRACKS = _declare("embed", "tracks", "counter", "tracks", "Tracks that were embedded, counted once per bundle.")
EMBED_CORE = _core_time("embed", "Processor time of the trunks, including threads of their libraries.")

WRITE_FOUND = _declare(
    "write", "tracks_found_done", "counter", "tracks", "Tracks of chunks that an earlier `prepare` had finished."
)
WRITE_EXAMPLES = _declare("write", "examples", "counter", "examples", "Examples in the shards of the dataset's chunks.")
WRITE_REJECTED = _declare("write", "rejected", "counter", "tracks", "Rejected tracks of the dataset's chunks.")
WRITE_BYTES = _declare("write", "shard_bytes", "counter", "bytes", "Size of the shards of the dataset's chunks.")
WRITE_CORE = _core_time("write", "Processor time to encode and write shards.")

ASSEMBLED = {
    status: _declare("assemble", f"tracks_{status}", "counter", "tracks", sentence)
    for status, sentence in {
        "catalog": "Tracks of the catalog.",
        "tagged": "Tracks tagged from audio that was extracted since the last snapshot.",
        "carried": "Tracks whose embedding was carried over from the last snapshot.",
        "rejected": "Rejected tracks.",
        "deferred": "Tracks without an outcome, which are left to later runs because of the budget.",
        "unavailable": "Rejected tracks whose storage did not answer or whose decoding process the machine ended.",
        "fresh": "Tracks whose outcome is not in the last snapshot.",
    }.items()
}
TRACKS_WITHOUT = {
    f"{group}_tags": _declare(
        "assemble",
        f"tracks_without_{group}",
        "counter",
        "tracks",
        f"Tracks with tags whose catalog row has no `{group}_id`: they are in no row of `{group}_tags`.",
    )
    for group in ("artist", "album")
}
"""Table of tags of groups -> counter of the tracks without a group."""
GROUP_ROWS = {
    f"{group}_tags": _declare("assemble", f"{group}_tags_rows", "counter", "rows", f"Rows of `{group}_tags` written.")
    for group in ("artist", "album")
}
"""Table of tags of groups -> counter of its rows."""
ASSEMBLE_BYTES = _declare("assemble", "table_bytes", "counter", "bytes", "Size of the table files written.")
ASSEMBLE_CORE = _core_time(
    "assemble", "Processor time to score tracks and write the tables of the buckets, including threads of libraries."
)

NEIGHBOUR_WORK = {
    name: _declare("neighbours", name, "counter", name.partition("_")[0], sentence)
    for name, sentence in {
        "tracks_added": "Tracks that the earlier index does not have; all tracks if there is none.",
        "tracks_changed": "Tracks with another embedding, other scores or another duration than in the earlier index.",
        "tracks_removed": "Tracks that only the earlier index has.",
        "tracks_same": "Tracks that are as they are in the earlier index.",
        "cells_same": "Cells with tracks of which no candidate changed.",
        "cells_updated": "Cells with tracks of which candidates changed.",
        "tracks_compared": "Tracks that were compared with all candidates.",
        "tracks_merged": "Tracks that were compared with new candidates alone.",
        "tracks_damped": "Tracks that have other neighbours than in the earlier index; all tracks if there is none.",
    }.items()
}
"""What `neighbours` computes and what it keeps -> counter."""
