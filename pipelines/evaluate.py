"""Evaluates a bundle on tracks that it was not trained on: metrics with confidence intervals, and a report.

catalog-tagger evaluate --model bundle --dataset dataset --output evaluation
catalog-tagger evaluate --model bundle --table table --catalog catalog.parquet --output evaluation
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, unknown_tags_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.option("--model", required=True, metavar="BUNDLE", help="Folder or gs:// prefix of the bundle.")
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Folder or gs:// prefix that `prepare` wrote. Tracks that the bundle was fitted on, and other tracks of their "
    "artists, are left out and counted.",
)
@click.option(
    "--table",
    metavar="TABLE",
    help="Rate the scores in the newest snapshot of this table instead of embedding the dataset's tracks.",
)
@click.option("--catalog", metavar="CATALOG", help="With --table: catalog with labels, instead of --dataset.")
@click.option(
    "--split-column",
    metavar="COLUMN",
    help="With --catalog: column with an official split, for artists that the bundle has not seen.",
)
@unknown_tags_flag
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Side of the split to evaluate on. Only test tracks were used neither for training nor for calibration and "
    "thresholds.",
)
@click.option(
    "--output",
    required=True,
    metavar="FOLDER",
    help="Folder for tags.parquet, evaluation.json and report.html; it must not contain an evaluation.",
)
@click.option(
    "--resamples",
    type=int,
    default=300,
    show_default=True,
    metavar="N",
    help="Bootstrap resamples of artists for the confidence intervals; 0 computes none.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the resamples.")
@click.option(
    "--durations",
    default="10,60,180,360",
    show_default=True,
    metavar="S,S,...",
    help="Track lengths in seconds at which results are sliced.",
)
@click.option(
    "--bless",
    is_flag=True,
    help="Record in the bundle that it passed every --floor and --against; `tag --require-blessed` takes no others. If "
    "it did not, the exit code is 3.",
)
@click.option(
    "--floor",
    multiple=True,
    metavar="[CATEGORY/]METRIC=VALUE",
    help="With --bless: least macro average of roc_auc, pr_auc, f1, precision or recall, over all tags or those of one "
    "category. Repeatable.",
)
@click.option(
    "--against",
    metavar="TABLE",
    help="With --bless: the newest snapshot of this table must have a lower PR-AUC on the same tracks and tags.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Scores the tracks, or reads their scores, rates them and writes the files."""
    from pipelines.jobs.evaluate import run

    return answer(run, flags)
