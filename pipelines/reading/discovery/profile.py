"""A listening history, described by the tags of its tracks.

catalog-tagger profile table history.csv
"""

import dataclasses

from pipelines.inputs.flags import Arguments
from pipelines.reading.discovery.requests import AnswerRow, opened, refusals
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from pipelines.terminal.printing import table_text
from transforms import storage
from transforms.discovery.listening import Descriptor, ProfileValue, listening_profile, read_history
from transforms.formats.quantities import quantity

_HISTORY_BYTES = 256 << 20
_SHOWN = ("kind", "tag", "value", "low", "high", "share", "catalog_share")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Describes the history."""
    snapshot = opened(args)
    try:
        data = storage.read_bytes(args.history, max_bytes=_HISTORY_BYTES)
    except (storage.NotFound, storage.TooLarge) as error:
        raise UsageError(str(error)) from error
    with refusals():
        history = read_history(args.history, data)
        found = listening_profile(snapshot, history, args.moods, args.styles)
    rows = [_row("mood", one) for one in found.moods[: args.limit]]
    rows += [_row("style", one) for one in found.styles[: args.limit] if one.share > 0]
    axes = {"valence": found.valence, "arousal": found.arousal}
    rows = [*(_axis_row(name, one) for name, one in axes.items() if one is not None), *rows]
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "history": args.history,
        "tracks": found.tracks,
        "plays": found.plays,
        "unknown": list(found.unknown),
        "unit": "deviations of the catalog's tracks from its mean; 95 % intervals by bootstrap over artists",
        **{name: None if one is None else dataclasses.asdict(one) for name, one in axes.items()},
        "moods": [row for row in rows if row["kind"] == "mood"],
        "styles": [row for row in rows if row["kind"] == "style"],
        "sentences": list(found.sentences),
    }
    lines = [*found.sentences, table_text(_SHOWN, [list(row.values()) for row in rows])]
    lines.append(
        f"{quantity(found.tracks, 'track')}, {found.plays:g} {'play' if found.plays == 1 else 'plays'}; "
        f"ids that the snapshot does not have: {len(found.unknown)}"
    )
    return Answer(text="\n".join(lines), document=document, rows=rows, all=True)


def _row(kind: str, one: Descriptor) -> AnswerRow:
    shares = {"share": round(one.share, 4), "catalog_share": round(one.catalog_share, 4)}
    return {"kind": kind, "tag": one.tag, **dataclasses.asdict(one.estimate), **shares}


def _axis_row(name: str, one: ProfileValue) -> AnswerRow:
    return {"kind": "axis", "tag": name, **dataclasses.asdict(one), "share": None, "catalog_share": None}
