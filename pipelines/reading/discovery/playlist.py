"""A playlist from seeds, tags and words.

catalog-tagger playlist table --seed track-0001 --tag mood/calm --minutes 60 --output evening.m3u8
"""

from pathlib import PurePosixPath
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.reading.discovery.places import AudioPlaces
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
from transforms.discovery.playlists.making import (
    ARTIST,
    FIT,
    LENGTH,
    NO_DURATION,
    VERSION,
    Playlist,
    PlaylistTrack,
    make_playlist,
)
from transforms.discovery.playlists.request import PlaylistRequest
from transforms.discovery.search.request import named_value
from transforms.formats.quantities import quantity, subject
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
    places = AudioPlaces.of(snapshot, args.catalog_root)
    rows = [{"place": place, **_row(places, track)} for place, track in enumerate(found.tracks, 1)]
    notes = list(places.notes([track.facts["uri"] for track in found.tracks])) if args.output and rows else []
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
        "emptied_by": found.emptied_by,
        "left_out": dict(found.left_out),
        "ran_out": found.ran_out,
        "minutes": round(found.minutes, 2),
        "output": args.output if rows else None,
        "notes": notes,
        "tracks": rows,
    }
    csv_rows = [{name: row[name] for name in _SHOWN} for row in rows]
    text = "\n".join([*_lines(args, found, rows, shown), *notes])
    return Answer(text=text, document=document, rows=csv_rows, all=True)


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
        flows=named_once("--flow", (named_value(text, "PROPERTY=SHAPE") for text in args.flows)),
        diversity=args.diversity,
    )


def _row(places: AudioPlaces, track: PlaylistTrack) -> AnswerRow:
    facts = track.facts
    names = ("track_id", "title", "artist", "duration_s", *_PROPERTIES)
    return {
        **{name: round(facts[name], 4) if isinstance(facts[name], float) else facts[name] for name in names},
        "album": facts["album"] or facts["album_id"],
        "location": places.place(facts["uri"]),
        "is_new": track.is_new,
        "relevance": None if track.relevance is None else round(track.relevance, 4),
        "similarity": None if track.similarity is None else round(track.similarity, 4),
        "why": _why(track),
    }


def _why(track: PlaylistTrack) -> str:
    if not track.is_new:
        return "in the playlist that is extended"
    told = [] if track.similarity is None else [f"sounds like the seeds {track.similarity:+.2f}"]
    told += [f"{one.tag} {one.score:.2f} {one.value:+.2f}" for one in track.contributions]
    return ", ".join(told) or "meets the conditions"


def _lines(args: Arguments, found: Playlist, rows: list[AnswerRow], shown: list[str]) -> list[str]:
    lines = word_lines(found.matches, found.unmatched)
    lines += [f"{one.label}: {one.left} of {quantity(found.searched, 'track')} left" for one in found.filters]
    if not any(track.is_new for track in found.tracks):
        full = args.tracks is not None and len(rows) >= args.tracks
        reason = (
            f"the playlist has {quantity(len(rows), 'track')} already" if full else found.emptied_by or _rules(found)
        )
        lines.append(f"no track is added: {reason}")
    elif found.ran_out:
        lines.append(f"shorter than asked, {_length(args, found)}: no more tracks fit: {_rules(found)}")
    if rows:
        lines.append(table_text(shown, [shown_columns(row, shown) for row in rows]))
        lines.append(f"{found.minutes:.1f} minutes")
    if args.output is not None and rows:
        lines.append(f"{args.output}: {quantity(len(rows), 'track')}")
    return lines


def _length(args: Arguments, found: Playlist) -> str:
    """How long the playlist is, of what was asked for."""
    if args.minutes is not None:
        return f"{found.minutes:.1f} of {args.minutes:g} minutes"
    return f"{len(found.tracks)} of {quantity(args.tracks or _DEFAULT_TRACKS, 'track')}"


_RULES = {
    LENGTH: ("would exceed --minutes",) * 2,
    ARTIST: (
        "is of an artist that has --per-artist tracks already",
        "are of artists that have --per-artist tracks already",
    ),
    VERSION: ("is another version of a chosen track", "are other versions of chosen tracks"),
    NO_DURATION: ("has no duration", "have no duration"),
}
"""Why candidates were left out: of one, and of several."""


def _rules(found: Playlist) -> str:
    unfit = found.left_out.get(FIT, 0)
    out = {rule: found.left_out[rule] for rule in _RULES if rule in found.left_out}
    told = [f"{count} {_RULES[rule][count != 1]}" for rule, count in out.items()]
    candidates = quantity(found.candidates, "candidate")
    told = [f"of {candidates}, {', '.join(told)}" if told else candidates]
    if unfit:
        told.append(
            f"{subject(unfit, 'other track', 'is', 'are')} unlike what is asked for, with a relevance of 0 or less"
        )
    return "; ".join(told)
