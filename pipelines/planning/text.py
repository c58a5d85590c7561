"""The answer of `tag --plan`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.terminal.answer import Answer
from pipelines.terminal.printing import table_text
from pipelines.terminal.progress import duration_text, size_text
from transforms.formats.quantities import quantity
from transforms.tagging.costs import STAGES, RunEstimate, UnitCosts
from transforms.tagging.forecast import Forecast

_CAUSES = {
    "new": "not in the last snapshot",
    "deferred": "not reached by earlier runs",
    "source": "the audio file changed",
    "features": "the features changed",
    "trunk": "the trunk changed",
    "parameters": "parameters are lacking",
    "taxonomy": "the taxonomy changed",
    "heads": "heads or thresholds changed",
    "fusion": "sources say something else",
    "due": "rejected, due again",
    "remembered": "rejected, remembered",
    "unchanged": "nothing changed",
}
_ACTIONS = {
    "extract": "read, decode and embed",
    "measure": "read and decode, keep the embedding",
    "reuse": "take from part files of earlier runs",
    "carry": "carry the embedding over",
    "remember": "keep the reject",
    "defer": "leave to later runs",
}


def plan_answer(
    facts: Mapping[str, Any],
    forecast: Forecast,
    before: int,
    estimate: RunEstimate,
    units: UnitCosts,
    *,
    workers: int | None,
    money: Mapping[str, Any] | None,
) -> Answer:
    """The answer.

    Args:
      facts: what was planned: `table`, `catalog`, `model`, `snapshot`, `also`, `changes`, `budget`, `compaction`.
      forecast: counts of all tracks.
      before: number of tracks of the last snapshot.
      estimate: cost of the run.
      units: costs of a track that the estimate was made with.
      workers: cores that work at the same time; None if not known.
      money: cost in money; None without prices.
    """
    hours = estimate.core_hours
    document = {
        **facts,
        "tracks": forecast.to_json(before),
        "read": {
            "files": forecast.actions["extract"],
            "bytes": estimate.read_bytes,
            "files_of_known_size": forecast.sized,
            "bytes_of_known_size": forecast.read_bytes,
            "files_missing": forecast.missing,
        },
        "cost": {
            "core_seconds": {
                stage: None if stage in estimate.unknown else estimate.core_seconds[stage] for stage in STAGES
            },
            "core_hours": hours,
            "workers": workers,
            "wall_seconds": None if hours is None or workers is None else hours * 3600 / workers,
            "storage_bytes": {"tables": estimate.table_bytes, "parts": estimate.part_bytes},
            "money": money,
        },
        "measured": {
            "snapshots": list(units.snapshots),
            "sampled_tracks": units.sampled,
            "core_seconds_per_track": dict(units.core_seconds),
        },
    }
    return Answer(text="\n".join(_lines(document, forecast)), document=document, all=True)


def _lines(document: Mapping[str, Any], forecast: Forecast) -> Iterator[str]:
    parent = document["snapshot"]
    follows = "which has no snapshot yet" if parent is None else f"after snapshot {parent}"
    yield f"plan for {document['table']}, {follows}; nothing was written"
    tracks = document["tracks"]
    rows = [["all", "in the catalog", tracks["catalog"]]]
    rows += [["cause", text, forecast.causes[cause]] for cause, text in _CAUSES.items()]
    actions = Counter(forecast.actions) + Counter(measure=forecast.kept_embedding, extract=-forecast.kept_embedding)
    rows += [["action", text, actions[action]] for action, text in _ACTIONS.items()]
    rows += [["removed", "not in the catalog any more", tracks["removed"]]]
    rows = [row for row in rows if row[0] == "all" or row[2]]
    yield table_text(["", "tracks", "number"], rows)
    if (lacking := tracks["without_parameters"]) and not forecast.causes["parameters"]:
        yield (
            f"{quantity(lacking, 'track')} without parameters of this version: what they have is kept; "
            "`--parameters default` decodes them, and does not embed them again"
        )
    yield from (f"also embedded for {also['table']}: {quantity(also['tracks'], 'track')}" for also in document["also"])
    yield from _costs(document)
    if (budget := document["budget"]) is not None:
        yield (
            f"budget of {budget['max_core_hours']:g} core-hours: {budget['chosen']} of {budget['tracks']} tracks that "
            f"need extraction in each run; {budget['nights']} runs"
        )
    changes = document["changes"]
    if changes is not None and changes["sentences"]:
        yield f"changes to the table: {'; '.join(changes['sentences'])}"
        if changes["must_be_accepted"]:
            again = f"{' and '.join(changes['left_out'])} again, or " if changes["left_out"] else ""
            yield f"a run needs {again}--accept-changes"


def _costs(document: Mapping[str, Any]) -> Iterator[str]:
    read, cost, measured = document["read"], document["cost"], document["measured"]
    missing = (
        f", {read['files_missing']} of them missing in the listing of their folder" if read["files_missing"] else ""
    )
    yield f"to read: {quantity(read['files'], 'file')}, {size_text(read['bytes'])}{missing}"
    stored = cost["storage_bytes"]
    yield f"to write: tables {size_text(stored['tables'])}, part files {size_text(stored['parts'])}"
    if (compaction := document["compaction"])["files"]:
        yield (
            f"compaction: {compaction['files']} files of buckets are written whole, "
            f"{size_text(compaction['write_bytes'])} in place of {size_text(compaction['read_bytes'])}"
        )
    if cost["core_hours"] is None:
        unknown = ", ".join(stage for stage, seconds in cost["core_seconds"].items() if seconds is None)
        yield f"processor time: no earlier run measured {unknown}: give --measure 50 to decode a sample"
    else:
        stages = ", ".join(f"{stage} {seconds / 3600:.3g}" for stage, seconds in cost["core_seconds"].items())
        yield f"processor time: {cost['core_hours']:.3g} core-hours ({stages}), measured by {_origin(measured)}"
    if cost["wall_seconds"] is not None:
        yield f"wall time: {duration_text(cost['wall_seconds'])} if {cost['workers']} cores are always busy"
    if (money := cost["money"]) is not None:
        parts = ", ".join(f"{name} {_price(money[name])}" for name in ("compute", "read", "storage_month"))
        yield f"money: {_price(money['total'])} {money['currency']} ({parts})"


def _origin(measured: Mapping[str, Any]) -> str:
    numbers = measured["snapshots"]
    listed = ", ".join(map(str, numbers))
    runs = f"the runs of snapshots {listed}" if len(numbers) > 1 else f"the run of snapshot {listed}" if numbers else ""
    sample = f"a sample of {quantity(measured['sampled_tracks'], 'track')}" if measured["sampled_tracks"] else ""
    return " and ".join(filter(None, (runs, sample))) or "this plan"


def _price(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
