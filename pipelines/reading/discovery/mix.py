"""A mix of styles by percentages.

catalog-tagger mix table --style genre/folk=70 --style genre/funk=30
"""

from collections import Counter

from pipelines.inputs.flags import Arguments
from pipelines.inputs.numbers import number_in
from pipelines.reading.discovery.requests import (
    filter_rows,
    named_once,
    opened,
    refusals,
    request_of,
    shown_columns,
    titles_of,
)
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms.discovery.search.request import named_value
from transforms.discovery.style_mix import Mix, MixRequest, mix_styles
from transforms.formats.quantities import quantity

_SHOWN = ("place", "track_id", "title", "artist", "style", "value", "why")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Mixes the styles."""
    snapshot = opened(args)
    with refusals():
        found = mix_styles(snapshot, _request(args))
    titles = titles_of(snapshot, [track.track_id for track in found.tracks])
    tracks = [
        {
            "place": place,
            "track_id": one.track_id,
            **titles[one.track_id],
            "style": one.style,
            "score": round(one.score, 4),
            "value": round(one.value, 4),
            "to_mix": one.to_mix,
            "to_added": one.to_added,
            "to_subtracted": one.to_subtracted,
        }
        for place, one in enumerate(found.tracks, 1)
    ]
    rows = [{name: {**track, "why": _why(track)}[name] for name in _SHOWN} for track in tracks]
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "searched": found.searched,
        "shares": dict(found.shares),
        "lacking": list(found.lacking),
        "filters": filter_rows(found.filters),
        "emptied_by": found.emptied_by,
        "tracks": tracks,
    }
    lines = [f"{one.label}: {one.left} of {quantity(found.searched, 'track')} left" for one in found.filters]
    lines += _shares(found)
    lines += [table_text(_SHOWN, [shown_columns(row, _SHOWN) for row in rows])] if rows else []
    lines += [f"nothing is found: {found.emptied_by or 'no track has these styles'}"] if not rows else []
    return Answer(text="\n".join(lines), document=document, rows=rows, all=True)


def _request(args: Arguments) -> MixRequest:
    pairs = named_once("--style", (named_value(text, "TAG=PERCENT") for text in args.styles))
    try:
        styles = {tag: number_in(text.removesuffix("%"), 0, 100) for tag, text in pairs.items()}
    except ValueError as error:
        raise UsageError(f"--style: {error}") from error
    args.tags = ()
    return MixRequest(
        styles=styles,
        added=tuple(dict.fromkeys(args.added)),
        subtracted=tuple(dict.fromkeys(args.subtracted)),
        conditions=request_of(args, 1),
        limit=args.limit,
    )


def _why(track: dict[str, object]) -> str:
    told = [f"{track['style']} {track['score']:.2f}", f"like the mix {track['to_mix']:+.2f}"]
    told += [
        f"{words} {track[name]:+.2f}"
        for name, words in (("to_added", "like the added"), ("to_subtracted", "like the subtracted"))
        if track[name] is not None
    ]
    return ", ".join(told)


def _shares(found: Mix) -> list[str]:
    counts = Counter(track.style for track in found.tracks)
    lines = [
        f"{style}: {100 * share:.3g} % asked, {counts[style]} of {quantity(len(found.tracks), 'track')}"
        for style, share in found.shares.items()
    ]
    return lines + [f"{style} has no more tracks that have it rather than the other styles" for style in found.lacking]
