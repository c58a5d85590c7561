"""Evaluates a bundle on tracks that it was not trained on: metrics with confidence intervals, and a report.

catalog-tagger evaluate --model bundle --dataset dataset --output evaluation
catalog-tagger evaluate --model bundle --table table --catalog catalog.parquet --output evaluation
"""

import dataclasses
import datetime
import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from models.bundles.blessing import Blessing, manifest_sha256, write_blessing
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.evaluation.examined import ExaminedTracks
from models.evaluation.files import evaluation_files, subject_of
from models.evaluation.floors import DECISIVE, Floor, compare_with_snapshot
from models.evaluation.fused_scores import harm_notes
from models.evaluation.predictions import check_taxonomy, predict
from models.evaluation.published_scores import examine_table, without_calibration
from models.evaluation.summary import Resampling, evaluate
from models.fitting.tagger import TAGGER
from models.scoring.formatting import with_interval
from pipelines.inputs.flags import Arguments, user_and_host
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.labelled_tracks import catalog_labels, redirected_lines
from pipelines.inputs.numbers import number_in
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, REFUSED, CommandFailed, UsageError, checked
from transforms import storage
from transforms.dataset.labels import dataset_labels
from transforms.dataset.manifest import read_manifest
from transforms.splits.track_labels import TrackLabels
from transforms.table.reader import open_snapshot
from transforms.telemetry.phases import phase

EVALUATION, REPORT = "evaluation.json", "report.html"


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Scores the split or reads its scores, computes the metrics and writes the files."""
    check_sources(args)
    check_writes("--output", args.output)
    resampling = checked(Resampling, resamples=args.resamples, seed=args.seed)
    edges = checked(parse_edges, args.durations)
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandFailed("the report's plots need matplotlib: pip install 'catalog-tagger[report]'")
    floors = [checked(Floor.parse, text) for text in args.floor]
    with phase("scoring the tracks" if args.table is None else "reading scores and labels"):
        given = _of_table(args) if args.table else _of_dataset(args)
    files, averages, notes = _evaluate(given, args, resampling, edges)
    notes = [*notes, *harm_notes(averages, TAGGER)]
    _write(args.output, files)
    report = storage.join(args.output, REPORT)
    refused = _bless(args, given, averages, floors) if args.bless else []
    blessed = {"blessed": not refused, "refused": refused} if args.bless else {}
    said = [f"not blessed: {text}" for text in refused] or ([f"{args.model} is blessed"] if args.bless else [])
    return Answer(
        text="\n".join([*average_lines(averages), *notes, f"report: {report}", *said]),
        document={"averages": averages, "notes": list(notes), "report": report, **blessed},
        rows=[_flat(row) for row in averages],
        code=REFUSED if refused else DONE,
    )


def _bless(
    args: Arguments, given: "_Found", averages: Sequence[Mapping[str, Any]], floors: Sequence[Floor]
) -> list[str]:
    """Blesses the bundle if it passes; returns one sentence for each thing that it does not pass."""
    values = {floor: checked(floor.value, averages) for floor in floors}
    refused = [
        f"{floor.name} is {'undefined' if value is None else f'{value:.4g}'}, its floor {floor.least:g}"
        for floor, value in values.items()
        if value is None or value < floor.least
    ]
    against: dict[str, Any] = {}
    if args.against is not None:
        snapshot = open_snapshot(args.against)
        compared = compare_with_snapshot(given.bundle, given.examined, given.track_ids, snapshot)
        against = {
            "table": storage.redact(args.against),
            "snapshot": snapshot.manifest.number,
            "tagger_id": snapshot.manifest.run.ids.tagger_id,
            **dataclasses.asdict(compared),
        }
        if not compared.wins:
            sides = (side[DECISIVE] for side in (compared.own, compared.theirs))
            own, theirs = ("undefined" if value is None else f"{value:.6g}" for value in sides)
            refused.append(
                f"{DECISIVE} is {own}, that of snapshot {snapshot.manifest.number} of {args.against} is {theirs} on "
                f"the same {compared.tracks} tracks and {compared.tags} tags"
            )
    if not refused:
        write_blessing(
            args.model,
            Blessing(
                bundle_sha256=manifest_sha256(args.model),
                tagger_id=given.bundle.tagger_id,
                labels={**given.source, "split": args.split},
                tracks=len(given.track_ids),
                floors={f.name: {"floor": f.least, "value": value or 0.0} for f, value in values.items()},
                against=against,
                by=user_and_host(),
                when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            ),
        )
    return refused


def _write(output: str, files: Mapping[str, bytes]) -> None:
    """Writes the files. The same evaluation may be there already, because a scheduler may start a command again.

    Raises:
      CommandFailed: the folder contains another evaluation.
    """
    document = storage.join(output, EVALUATION)
    if storage.exists(document) and storage.read_bytes(document) != files[EVALUATION]:
        raise CommandFailed(f"{output} already contains another evaluation: choose another folder")
    for name, data in files.items():
        storage.write_bytes(storage.join(output, name), data)


def _flat(average: Mapping[str, Any]) -> dict[str, Any]:
    """One average as a flat row; intervals get names such as `roc_auc_low`."""
    row = {name: value for name, value in average.items() if name != "metrics"}
    for metric, estimate in average["metrics"].items():
        row |= {metric if name == "value" else f"{metric}_{name}": value for name, value in estimate.items()}
    return row


def check_sources(args: Arguments) -> None:
    """Refuses flags that exclude or require each other.

    Raises:
      UsageError: labels are missing, or come from two places; or `--bless` lacks a condition.
    """
    conditions = [flag for flag, value in (("floor", args.floor), ("against", args.against)) if value]
    if args.bless and not conditions:
        raise UsageError("--bless needs --floor or --against: say what the bundle must reach")
    if conditions and not args.bless:
        raise UsageError(f"--{conditions[0]} needs --bless")
    if args.bless and args.split != "test":
        raise UsageError(
            f"--bless needs --split test: thresholds were chosen on {args.split} tracks, or weights fitted"
        )
    if args.table is None:
        if others := [flag for flag in ("catalog", "split_column") if getattr(args, flag) is not None]:
            raise UsageError(f"--{others[0].replace('_', '-')} needs --table")
        if args.dataset is None:
            raise UsageError("missing --dataset: folder or gs:// prefix that prepare wrote")
    elif (args.dataset is None) == (args.catalog is None):
        raise UsageError("--table takes labels from --catalog or from --dataset: give one of them")
    elif args.catalog is None and args.split_column is not None:
        raise UsageError("--split-column needs --catalog")


def parse_edges(text: str) -> tuple[float, ...]:
    """Parses ascending lengths in seconds, such as `10,60,180`.

    Raises:
      ValueError: the text has another form, or the lengths are not positive and ascending.
    """
    try:
        edges = tuple(number_in(part, 0, above=True) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"--durations {text!r}: give lengths in seconds, e.g. 10,60,180") from error
    if list(edges) != sorted(set(edges)):
        raise ValueError(f"--durations {text!r}: give ascending lengths over 0")
    return edges


def _evaluate(
    given: "_Found", args: Arguments, resampling: Resampling, edges: Sequence[float]
) -> tuple[dict[str, bytes], list[dict[str, Any]], Sequence[str]]:
    """Returns the files by name, the averages and the notes. The last file marks that the evaluation is complete."""
    tag_ids = given.bundle.taxonomy.tag_ids
    with phase("computing metrics and intervals"):
        evaluation = evaluate(given.examined, given.bundle.layout, tag_ids, resampling, edges)
    if given.cut:
        evaluation = without_calibration(evaluation)
    subject = subject_of(given.bundle, given.source, args.split, resampling, given.notes)
    with phase("writing the report"):
        files = evaluation_files(subject, given.examined, evaluation, tag_ids)
    return files, evaluation.averages, subject.notes


class _Found(NamedTuple):
    """The input of an evaluation.

    Attributes:
      bundle: the bundle to evaluate.
      examined: scores and labels of the tracks.
      track_ids: their ids.
      source: origin of scores and labels.
      notes: remarks for readers of the metrics.
      cut: whether the table lacks low scores, so that calibration cannot be measured.
    """

    bundle: Bundle
    examined: ExaminedTracks
    track_ids: tuple[str, ...]
    source: Mapping[str, str]
    notes: Sequence[str] = ()
    cut: bool = False


def _of_dataset(args: Arguments) -> _Found:
    """Embeds and scores a split of a dataset."""
    manifest = read_manifest(args.dataset)
    predicted = predict(args.model, args.dataset, manifest, args.split)
    source = {"catalog": manifest.catalog_digest}
    notes = [*predicted.notes(), *redirected_lines(manifest.redirected_tags)]
    return _Found(predicted.bundle, predicted.examined, predicted.track_ids, source, notes)


def _of_table(args: Arguments) -> _Found:
    """Reads the scores of a table's newest snapshot, and the labels of its tracks."""
    bundle, snapshot = load_bundle(args.model), open_snapshot(args.table)
    redirected: Counter[str] = Counter()
    if args.dataset is not None:
        manifest = read_manifest(args.dataset)
        check_taxonomy(bundle, manifest)
        redirected.update(manifest.redirected_tags)
        labels: Iterable[TrackLabels] = dataset_labels(args.dataset, manifest)
    else:
        given = args.catalog, bundle.taxonomy, args.split_column, "evaluated", args.unknown_tags
        labels = catalog_labels(*given, redirected)
    published = examine_table(bundle, snapshot, labels, args.split)
    source = {
        "labels": storage.redact(args.dataset or args.catalog),
        "table": storage.redact(args.table),
        "snapshot": f"{snapshot.manifest.number}, content {snapshot.manifest.run.content_hash}",
    }
    notes = [*published.notes(), *redirected_lines(redirected)]
    return _Found(bundle, published.examined, published.track_ids, source, notes, bool(published.cut))


def average_lines(averages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields macro averages over all tags: one line per model, each value with its confidence interval."""
    yield f"{'model':<22}{'ROC-AUC':>22}{'PR-AUC':>22}{'calibration error':>22}{'tags rated':>12}"
    for row in averages:
        if (row["slice"], row["category"], row["average"]) == ("all", "all", "macro"):
            metrics = (row["metrics"][name] for name in ("roc_auc", "pr_auc", "ece"))
            cells = "".join(f"{with_interval(metric['value'], metric):>22}" for metric in metrics)
            yield f"{row['model']:<22}{cells}{row['tags']:>12}"
