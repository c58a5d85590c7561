"""ESC-10 over its five official folds, through `prepare` and `train` as a user runs them; families and instruments too.

python -m benchmarks.esc10 --data ../shared/data/dev [--folds 1,2] [--task families] [-- flags of `train`]
python -m benchmarks.esc10 --data ../shared/data/dev -- --trunk musicnn/musicnn-mtt --trunk musicnn/musicnn-msd

`--data` holds `manifest.csv` with the columns track_id, path, tags, group_id and fold. A fold is the test split; an
eighth of the source recordings (artists) of the others is validation: training sees fewer clips than published figures'
did. Families and instruments are those of `benchmarks.real_data`, in its folds.
"""

import argparse
import csv
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_tasks import Task, read_rows, read_tasks
from pipelines.cli import main as catalog_tagger

MEASURES = {True: ("accuracy",), False: ("roc_auc", "pr_auc")}
"""By whether one tag applies to each clip."""


def split_of(group: str, fold: int, tested: int) -> str:
    """`test` for the fold, else `validation` for one source recording or artist in eight, else `train`."""
    if fold == tested:
        return "test"
    return "validation" if hashlib.sha256(group.encode()).digest()[0] % 8 == 0 else "train"


def write_catalog(task: Task, paths: Mapping[str, str], tested: int, folder: Path) -> None:
    """`catalog.csv` and `taxonomy.yaml` of one fold."""
    names = [f"{task.name}/{tag}" for tag in task.tags]
    with (folder / "catalog.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["track_id", "uri", "artist_id", "tags", "side"])
        for track, group, row, fold in zip(task.ids, task.groups, task.targets, task.dealt().tolist(), strict=True):
            tags = [f"{names[column]}:{value:g}" for column, value in enumerate(row) if value or not task.multiclass]
            writer.writerow([track, paths[track], group, "|".join(tags), split_of(group, fold, tested)])
    kind = "multiclass" if task.multiclass else "multilabel"
    taxonomy = {"categories": [{"name": task.name, "kind": kind, "tags": names}]}
    (folder / "taxonomy.yaml").write_text(json.dumps(taxonomy), encoding="utf-8")


def run_fold(data: Path, task: Task, paths: Mapping[str, str], tested: int, flags: Sequence[str]) -> dict[str, Any]:
    """`metrics.json` of a tagger that was tested on one fold."""
    with tempfile.TemporaryDirectory(prefix=f"{task.name}-") as name:
        folder = Path(name)
        write_catalog(task, paths, tested, folder)
        catalog = ["--catalog", f"{folder}/catalog.csv", "--catalog-root", str(data), "--split-column", "side"]
        steps = [
            ["prepare", *catalog, "--taxonomy", f"{folder}/taxonomy.yaml", "--output", f"{folder}/dataset"],
            ["train", "--dataset", f"{folder}/dataset", "--output", f"{folder}/bundle", *flags],
        ]
        if bundles := [flag for flag in flags if (Path(flag) / "bundle.json").exists()]:
            steps[0] += ["--trunk", bundles[0]]
        for step in steps:
            if code := catalog_tagger(step):
                raise SystemExit(f"{step[0]} ended with {code}")
        found: dict[str, Any] = json.loads((folder / "bundle" / "metrics.json").read_bytes())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", default="esc10", choices=("esc10", "families", "instruments"))
    parser.add_argument("--folds", help="default: all of them")
    parser.add_argument("flags", nargs="*", help="of `train`, after --")
    args = parser.parse_args()
    paths = {row["track_id"]: row["path"] for row in read_rows(args.data)}
    task = read_tasks(args.data, set(paths))[args.task]
    tested = [int(fold) for fold in args.folds.split(",")] if args.folds else sorted(set(task.dealt().tolist()))
    folds = [run_fold(args.data, task, paths, fold, args.flags) for fold in tested]
    print(f"{task.name}: train {' '.join(args.flags)}")
    print(f"heads use: {' '.join(fold['heads'][0]['values'] for fold in folds)}")
    if published := [fold["fine_tuning"]["published"] for fold in folds if "fine_tuning" in fold]:
        print(f"published: {' '.join(published)}")
    for measure in MEASURES[task.multiclass]:
        for model in folds[0]["categories"]:
            found = [fold["categories"][model]["test"][task.name][measure] for fold in folds]
            print(f"{measure:<10}{model:<22}{np.mean(found):.3f}  folds {' '.join(f'{value:.3f}' for value in found)}")


if __name__ == "__main__":
    main()
