"""A playlist from seeds, tags and words.

catalog-tagger playlist table --seed track-0001 --tag mood/calm --minutes 60 --output evening.m3u8
"""

from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.reading.discovery.requests import (
    AnswerRow,
    filter_rows,
    named_once,
    opened,
    refusals,
    request_of,
    shown_columns,
    word_lines,
    word_rows,
)
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms import storage
from transforms.discovery.playlists.files import WRITERS, listed_tracks
from transforms.discovery.playlists.making import Playlist, PlaylistTrack, make_playlist
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.search.engine import emptied_by
from transforms.discovery.search.request import named_value
from transforms.table.reader import SnapshotReader

_PLAYLIST_BYTES = 16 << 20
_DEFAULT_TRACKS = 20
_SHOWN = ("place", "track_id", "title", "artist", "duration_s", "tempo", "key", "energy", "why")
_PROPERTIES = ("tempo", "key", "energy")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Makes the playlist, and writes it if a file is given."""
    write = _writer(args)
    snapshot = opened(args)
    with refusals():
        found = make_playlist(snapshot, _request(args, snapshot))
    rows = [{"place": place, **_row(args, track)} for place, track in enumerate(found.tracks, 1)]
    if write is not None and rows:
        title = args.title or PurePosixPath(args.output).stem
        data = write(title, rows).encode("utf-8", "surrogateescape")
        (storage.write_bytes if args.force else storage.create)(args.output, data)
    shown = [name for name in _SHOWN if name not in _PROPERTIES or any(row[name] is not None for row in rows)]
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "searched": found.searched,
        "candidates": found.candidates,
        "words": word_rows(found.matches),
        "unmatched": list(found.unmatched),
        "filters": filter_rows(found.filters),
        "emptied_by": _emptied(found),
        "left_out": dict(found.left_out),
        "minutes": round(found.minutes, 2),
        "output": args.output if rows else None,
        "tracks": rows,
    }
    csv_rows = [{name: row[name] for name in _SHOWN} for row in rows]
    return Answer(text="\n".join(_lines(args, found, rows, shown)), document=document, rows=csv_rows, all=True)


def _writer(args: Arguments) -> Any:
    """The writer of `--output`, None without it.

    Raises:
      UsageError: the suffix is unknown, or the file exists and is not to be replaced.
    """
    if args.output is None:
        return None
    suffix = PurePosixPath(args.output).suffix.lower().removeprefix(".")
    if suffix not in WRITERS:
        names = ", .".join(WRITERS)
        raise UsageError(f"--output={args.output}: the suffix decides the format: end the name with .{names}")
    if not args.force and storage.exists(args.output):
        raise UsageError(f"--output={args.output} exists already: choose another name, or give --force to replace it")
    check_writes("--output", args.output)
    return WRITERS[suffix]


def _request(args: Arguments, snapshot: SnapshotReader) -> PlaylistRequest:
    roots = [args.catalog_root] if args.catalog_root else []

    def listed(url: str) -> list[str]:
        return listed_tracks(snapshot, url, storage.read_bytes(url, max_bytes=_PLAYLIST_BYTES), roots)

    tracks = args.tracks if args.tracks is not None or args.minutes is not None else _DEFAULT_TRACKS
    return PlaylistRequest(
        target=request_of(args, 1),
        seeds=tuple(dict.fromkeys(args.seeds)),
        start=tuple(listed(args.extend)) if args.extend else (),
        tracks=tracks,
        minutes=args.minutes,
        per_artist=args.per_artist,
        exclude=frozenset([*args.exclude, *(track for url in args.exclude_from for track in listed(url))]),
        flows=named_once("--flow", map(named_value, args.flows)),
        diversity=args.diversity,
    )


def _row(args: Arguments, track: PlaylistTrack) -> AnswerRow:
    facts = track.facts
    names = ("track_id", "title", "artist", "duration_s", *_PROPERTIES)
    return {
        **{name: round(facts[name], 4) if isinstance(facts[name], float) else facts[name] for name in names},
        "album": facts["album"] or facts["album_id"],
        "location": _location(args.catalog_root, facts["uri"]),
        "is_new": track.is_new,
        "relevance": None if track.relevance is None else round(track.relevance, 4),
        "similarity": None if track.similarity is None else round(track.similarity, 4),
        "why": _why(track),
    }


def _location(root: str | None, uri: str) -> str:
    if root is None or "://" in uri or uri.startswith("/"):
        return uri
    return storage.join(root if "://" in root else str(Path(root).absolute()), uri)


def _why(track: PlaylistTrack) -> str:
    if not track.is_new:
        return "in the playlist that is extended"
    told = [] if track.similarity is None else [f"sounds like the seeds {track.similarity:+.2f}"]
    told += [f"{one.tag} {one.score:.2f} {one.value:+.2f}" for one in track.contributions]
    return ", ".join(told) or "meets the conditions"


def _emptied(found: Playlist) -> str | None:
    return None if found.candidates else emptied_by(found.filters)


def _lines(args: Arguments, found: Playlist, rows: list[AnswerRow], shown: list[str]) -> list[str]:
    lines = word_lines(found.matches, found.unmatched)
    lines += [f"{one.label}: {one.left} of {found.searched} tracks left" for one in found.filters]
    if not any(track.is_new for track in found.tracks):
        full = args.tracks is not None and len(rows) >= args.tracks
        reason = f"the playlist has {len(rows)} tracks already" if full else _emptied(found) or _rules(found)
        lines.append(f"no track is added: {reason}")
    elif args.minutes is None and len(rows) < (args.tracks or _DEFAULT_TRACKS):
        lines.append(f"{len(rows)} of {args.tracks or _DEFAULT_TRACKS} tracks: {_rules(found)}")
    if rows:
        lines.append(table_text(shown, [shown_columns(row, shown) for row in rows]))
        lines.append(f"{found.minutes:.1f} minutes")
    if args.output is not None and rows:
        lines.append(f"{args.output}: {len(rows)} tracks")
    return lines


_RULES = {
    "length": "would exceed --minutes",
    "artist": "are of artists that have --per-artist tracks already",
    "version": "are other versions of chosen tracks",
    "no duration": "have no duration",
}


def _rules(found: Playlist) -> str:
    told = [f"{count} {_RULES[rule]}" for rule, count in sorted(found.left_out.items())]
    return f"of {found.candidates} candidates, {', '.join(told)}" if told else f"{found.candidates} candidates"
