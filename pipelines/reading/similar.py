"""Lists the tracks that sound most like a track of a table, or like an audio file.

catalog-tagger similar table track-0001 --limit 10 --per-artist 1
"""

from typing import Any, NamedTuple

import pyarrow as pa

from pipelines.inputs.flags import Arguments
from pipelines.inputs.predicate import matching_tracks
from pipelines.inputs.table import chosen_snapshot
from pipelines.reading.audio_file import analysed
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed
from pipelines.terminal.printing import table_text
from transforms import storage
from transforms.catalog.delimited.encoding import is_utf8
from transforms.discovery.shared_tags import SharedTags
from transforms.discovery.similar import Answers, Finder, Wanted, open_finder
from transforms.discovery.similarity import Float32s
from transforms.formats.quantities import quantity
from transforms.table.neighbours import is_stale
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader

_COLUMNS = ("track_id", "title", "artist", "similarity", "shared_tags", "same_artist")


class _Query(NamedTuple):
    """What is asked for: its vector, scores by tag, artist and length; `track_id` is None for a file."""

    vector: Float32s
    scores: dict[str, float]
    track_id: str | None
    artist_id: str | None
    duration_s: float | None


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Finds the query and the tracks like it, and says why.

    Raises:
      CommandFailed: the query is neither a track with an embedding nor a file that can be analysed.
      UsageError: the condition is no condition over `tracks`.
    """
    snapshot = chosen_snapshot(args)
    embedding_id = _embedding_of(snapshot, args.query)
    finder = open_finder(snapshot, embedding_id, exact=args.exact, probes=args.probes)
    query = _of_track(finder, args.query) if embedding_id is not None else _of_file(finder, args)
    allowed = _allowed(snapshot, args.condition)
    wanted = Wanted(
        limit=args.limit,
        allowed=allowed,
        leave_out=() if query.track_id is None else (query.track_id,),
        per_artist=args.per_artist,
        with_duplicates=args.with_duplicates,
        duration_s=query.duration_s,
    )
    found = finder.find(query.vector, wanted)
    rows = _explained(snapshot, query, found)
    notes = list(_notes(args, finder, allowed, found))
    return Answer(
        text="\n".join([*([_table(rows)] if rows else []), *notes]),
        document={
            "table": args.table,
            "snapshot": snapshot.manifest.number,
            "query": args.query,
            "indexed": finder.indexed,
            "tracks": rows,
            "notes": notes,
        },
        rows=[{**row, "shared_tags": "|".join(row["shared_tags"])} for row in rows],
        all=True,
    )


def _embedding_of(snapshot: SnapshotReader, track_id: str) -> str | None:
    """The embedding of a track; None if the snapshot has no such track with an embedding."""
    if not is_utf8(track_id):
        return None
    rows = snapshot.scan("embeddings", ["embedding_id"], track_ids=[track_id], embedding_id=EVERY_EMBEDDING)
    return rows["embedding_id"][0].as_py() if rows.num_rows else None


def _of_track(finder: Finder, track_id: str) -> _Query:
    vector = finder.vector_of(track_id)
    if vector is None:
        raise CommandFailed(f"{track_id}: its embedding vanished while it was read: run the command again")
    row = finder.snapshot.scan("tracks", ["artist_id", "duration_s"], track_ids=[track_id]).to_pylist()[0]
    tags = finder.snapshot.scan("track_tags", ["tag", "score"], track_ids=[track_id])
    scores = dict(zip(tags["tag"].to_pylist(), tags["score"].to_pylist(), strict=True))
    return _Query(vector, scores, track_id, row["artist_id"], row["duration_s"])


def _of_file(finder: Finder, args: Arguments) -> _Query:
    if not storage.exists(args.query):
        raise CommandFailed(
            f"{args.query}: {_missing(finder.snapshot, args.query)}, and no file of this name exists: give the id of a "
            "tagged track, or an audio file"
        )
    heard = analysed(finder.snapshot, args.query, args.model)
    values = [[heard.scores.get(tag, 0.0) for tag in finder.space.tags]]
    vectors = finder.space.vectors(heard.embedding[None], pa.array(values[0], pa.float32()).to_numpy()[None])
    return _Query(vectors[0], heard.scores, None, None, heard.duration_s)


def _missing(snapshot: SnapshotReader, track_id: str) -> str:
    """Why a track has no embedding."""
    wanted = [track_id] if is_utf8(track_id) else []
    rows = snapshot.scan("ledger", ["status", "reason"], track_ids=wanted).to_pylist()
    if not rows:
        return f"snapshot {snapshot.manifest.number} has no track of this id"
    return f"the track is {rows[0]['status']}" + (f" ({rows[0]['reason']})" if rows[0]["reason"] else "")


def _allowed(snapshot: SnapshotReader, condition: str | None) -> pa.Array | None:
    if condition is None:
        return None
    batches = list(matching_tracks(snapshot, condition, "tracks", "--filter"))
    return pa.concat_arrays([pa.array([], pa.string()), *(batch.column(0).cast(pa.string()) for batch in batches)])


def _explained(snapshot: SnapshotReader, query: _Query, found: Answers) -> list[dict[str, Any]]:
    shared = SharedTags(snapshot, query.scores)
    tags = shared.of(found.track_ids)
    return [
        {
            "track_id": row["track_id"],
            "title": row["title"],
            "artist": row["artist"],
            "similarity": round(near, 4),
            "shared_tags": tags[row["track_id"]],
            "same_artist": query.artist_id is not None and row["artist_id"] == query.artist_id,
        }
        for row, near in zip(found.rows.to_pylist(), found.similarities, strict=True)
    ]


def _table(rows: list[dict[str, Any]]) -> str:
    cells = [[{**row, "shared_tags": ", ".join(row["shared_tags"])}[name] for name in _COLUMNS] for row in rows]
    return table_text(list(_COLUMNS), cells)


def _notes(args: Arguments, finder: Finder, allowed: pa.Array | None, found: Answers) -> list[str]:
    notes = [_searched(finder)]
    if allowed is not None:
        notes.append(f"--filter leaves {quantity(len(allowed), 'track')}")
    if found.duplicates:
        left_out = (
            f"{quantity(found.duplicates, 'near-duplicate')} {'was' if found.duplicates == 1 else 'were'} left out"
        )
        notes.append(f"{left_out}; --with-duplicates lists {'it' if found.duplicates == 1 else 'them'}")
    if found.same_artist:
        tracks = f"{quantity(found.same_artist, 'track')} {'was' if found.same_artist == 1 else 'were'}"
        notes.append(f"{tracks} left out because of --per-artist {args.per_artist}")
    if len(found.track_ids) < args.limit:
        notes.append(_too_few(args, allowed, found))
    return notes


def _searched(finder: Finder) -> str:
    """How tracks were found, and what an index of an earlier snapshot does not know."""
    if not finder.indexed:
        return "all tracks were compared: the search is exact"
    run = finder.snapshot.manifest.run
    if not is_stale(run):
        return "found through the search index"
    record = run.neighbours
    text = f"found through the search index, which was made from snapshot {record['snapshot']}"
    told = []
    if record["added"]:
        told.append(f"it lacks {quantity(record['added'], 'track')} that came later: --exact compares these too")
    if record["removed"]:
        told.append(f"{quantity(record['removed'], 'track')} that it has and the snapshot has not are left out")
    return "; ".join([text, *(told or ["it has the same tracks, whose rows have changed since"])])


def _too_few(args: Arguments, allowed: pa.Array | None, found: Answers) -> str:
    """Why fewer tracks than wanted were found."""
    count = quantity(len(found.track_ids), "track")
    if allowed is not None and not len(allowed):
        return f"no track: --filter {args.condition!r} leaves none"
    if allowed is not None and len(allowed) <= args.limit:
        return f"{count}: --filter leaves no more"
    if found.same_artist and found.duplicates:
        return f"{count}: near-duplicates and --per-artist leave no more"
    if found.same_artist or found.duplicates:
        return f"{count}: {'--per-artist leaves' if found.same_artist else 'near-duplicates leave'} no more"
    return f"{count}: the catalog has no more"
