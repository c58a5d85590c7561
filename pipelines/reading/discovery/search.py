"""The tracks of a snapshot that fit weighted tags, words and conditions best.

catalog-tagger search table "calm piano for a rainy evening" --tag genre/metal=-1
"""

import dataclasses
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.reading.discovery.requests import (
    filter_rows,
    opened,
    refusals,
    request_of,
    shown_columns,
    titles_of,
    word_lines,
    word_rows,
)
from pipelines.reading.discovery.texts import vector_of_text
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms.discovery.search.engine import SearchAnswer, search_tracks
from transforms.discovery.search.scores import FORMULA
from transforms.discovery.search.sounds import TEXT_FORMULA
from transforms.formats.quantities import quantity

_SHOWN = ("rank", "track_id", "title", "artist", "score", "why")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Searches the snapshot."""
    text = None if args.sounds_like is None else vector_of_text(args.sounds_like, args.text_model)
    if text is None and args.text_model is not None:
        raise UsageError("--text-model: it reads the text of --sounds-like, which is not given")
    snapshot = opened(args)
    with refusals():
        request = request_of(args, args.limit)
        asked = request if text is None else dataclasses.replace(request, sounds_like=text.vector)
        found = search_tracks(snapshot, asked)
    titles = titles_of(snapshot, [hit.track_id for hit in found.hits])
    tracks = [
        {
            "rank": rank,
            "track_id": hit.track_id,
            **titles[hit.track_id],
            "score": round(hit.score, 4),
            "tags": [_contribution(dataclasses.asdict(one)) for one in hit.contributions],
        }
        for rank, hit in enumerate(found.hits, 1)
    ]
    rows = [shown_columns({**track, "why": hit.why()}, _SHOWN) for track, hit in zip(tracks, found.hits, strict=True)]
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "score": FORMULA if text is None else f"{FORMULA}; {TEXT_FORMULA}",
        "searched": found.tracks,
        "words": word_rows(found.matches),
        "unmatched": list(found.unmatched),
        "sounds_like": None if text is None else {**text.document, "not_compared": found.not_compared},
        "filters": filter_rows(found.filters),
        "emptied_by": found.emptied_by,
        "tracks": tracks,
    }
    return Answer(
        text="\n".join([*([] if text is None else text.lines), *_lines(found, rows)]),
        document=document,
        rows=[dict(zip(_SHOWN, row, strict=True)) for row in rows],
        all=True,
    )


def _contribution(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "value": round(one["value"], 4)}


def _lines(found: SearchAnswer, rows: list[list[Any]]) -> list[str]:
    lines = word_lines(found.matches, found.unmatched)
    if found.not_compared:
        others = quantity(found.not_compared, "track has", "tracks have")
        lines.append(f"{others} an embedding of other trunks and cannot be compared with the text: left out")
    lines += [f"{one.label}: {one.left} of {quantity(found.tracks, 'track')} left" for one in found.filters]
    if found.emptied_by is not None:
        return [*lines, f"nothing is found: {found.emptied_by}"]
    if found.hits and not found.hits[0].contributions:
        lines.append("conditions alone are given: the tracks are in the order of their ids")
    return [*lines, table_text(_SHOWN, rows)]
