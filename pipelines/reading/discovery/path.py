"""A walk from one track to another.

catalog-tagger path table track-0001 track-0042
"""

from pipelines.inputs.flags import Arguments
from pipelines.reading.discovery.requests import opened, refusals, shown_columns
from pipelines.terminal.answer import Answer
from pipelines.terminal.printing import table_text
from transforms.discovery.walk import WalkStep, find_walk
from transforms.formats.quantities import quantity

_SHOWN = ("step", "track_id", "title", "artist", "from_last", "to_a", "to_b", "why")


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Finds the walk."""
    snapshot = opened(args)
    with refusals():
        walk = find_walk(snapshot, args.first, args.last, args.between)
    found = walk.steps
    steps = [
        {
            "step": number,
            "track_id": one.track_id,
            "title": one.facts["title"],
            "artist": one.facts["artist"],
            "from_last": one.from_last,
            "to_a": one.to_first,
            "to_b": one.to_last,
            "changes": [{"tag": c.tag, "before": c.before, "after": c.after} for c in one.changes],
        }
        for number, one in enumerate(found)
    ]
    rows = [{name: {**step, "why": _why(one)}[name] for name in _SHOWN} for step, one in zip(steps, found, strict=True)]
    direct = found[-1].to_first
    text = table_text(_SHOWN, [shown_columns(row, _SHOWN) for row in rows])
    lines = [text, f"{args.first} and {args.last} have a similarity of {direct:.2f}"]
    if walk.is_of_neighbours:
        lines.append("consecutive tracks are among each other's neighbours")
    if len(found) - 2 < args.between:
        why = "more would not make the steps smaller" if walk.is_of_neighbours else "no other track is near the way"
        lines.append(f"{len(found) - 2} of {quantity(args.between, 'track')} between: {why}")
    document = {
        "table": args.table,
        "snapshot": snapshot.manifest.number,
        "similarity": direct,
        "is_of_neighbours": walk.is_of_neighbours,
        "steps": steps,
    }
    return Answer(text="\n".join(lines), document=document, rows=rows, all=True)


def _why(step: WalkStep) -> str:
    return ", ".join(f"{one.tag} {one.before:.2f} to {one.after:.2f}" for one in step.changes)
