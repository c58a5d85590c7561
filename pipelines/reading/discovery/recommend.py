"""Artists, albums or tracks for an artist, an album or a track.

catalog-tagger recommend table --artist artist-007 --of tracks
"""

from typing import get_args

from pipelines.inputs.flags import Arguments
from pipelines.reading.discovery.requests import opened, refusals, shown_columns
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms.discovery.recommendations import Recommendation, RecommendedKind, recommend

_SHOWN = ("rank", "id", "title", "artist", "tracks", "similarity", "why")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Recommends."""
    kind, key = _given(args)
    of: RecommendedKind = next((one for one in get_args(RecommendedKind) if f"{one}s" == args.of), kind)
    snapshot = opened(args)
    with refusals():
        found = recommend(snapshot, kind, key, of, args.limit, args.per_artist)
    rows = [
        {
            "rank": rank,
            "id": one.key,
            "title": one.facts.get("title") if of == "track" else one.facts.get("album"),
            "artist": one.facts.get("artist"),
            "tracks": one.tracks,
            "similarity": round(one.similarity, 4),
            "why": _why(one, kind),
        }
        for rank, one in enumerate(found, 1)
    ]
    shown = [name for name in _SHOWN if any(row[name] is not None for row in rows)]
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "given": {"kind": kind, "id": key},
        "of": f"{of}s",
        f"{of}s": [{**row, "shared": dict(one.shared)} for row, one in zip(rows, found, strict=True)],
    }
    text = table_text(shown, [shown_columns(row, shown) for row in rows]) if rows else f"no other {of} is comparable"
    return Answer(text=text, document=document, rows=rows, all=True)


def _given(args: Arguments) -> tuple[RecommendedKind, str]:
    given: list[tuple[RecommendedKind, str]] = [
        (kind, getattr(args, kind)) for kind in get_args(RecommendedKind) if getattr(args, kind)
    ]
    if len(given) != 1:
        raise UsageError("give exactly one of --artist, --album and --track")
    return given[0]


def _why(one: Recommendation, kind: RecommendedKind) -> str:
    if not one.shared:
        return f"sounds like {'it' if kind == 'track' else f'the tracks of the {kind}'} {one.similarity:+.2f}"
    return ", ".join(f"{tag} {value:+.2f}" for tag, value in one.shared)
