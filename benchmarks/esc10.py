"""ESC-10 over its five official folds, through `prepare` and `train` as a user runs them.

python -m benchmarks.esc10 --data ../shared/data/dev [--folds 1,2,3,4,5] [--epochs 30] [--trunk statistics]

`--data` holds `manifest.csv` with the columns track_id, path, tags, group_id and fold. A fold is the test split; an
eighth of the source recordings of the other four is validation: training sees fewer clips than published figures' did.
"""

import argparse
import csv
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.cli import main as catalog_tagger

Row = Mapping[str, str]


def read_rows(data: Path) -> list[Row]:
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["path"].startswith("esc10/")]


def split_of(row: Row, fold: int) -> str:
    """`test` for the fold, else `validation` for one source recording in eight, else `train`."""
    if int(row["fold"]) == fold:
        return "test"
    return "validation" if hashlib.sha256(row["group_id"].encode()).digest()[0] % 8 == 0 else "train"


def write_catalog(rows: Sequence[Row], fold: int, folder: Path) -> None:
    with (folder / "catalog.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["track_id", "uri", "artist_id", "tags", "side"])
        writer.writerows([r["track_id"], r["path"], r["group_id"], r["tags"], split_of(r, fold)] for r in rows)
    tags = sorted({row["tags"].replace("---", "/") for row in rows})
    taxonomy = {"categories": [{"name": "sound", "kind": "multiclass", "tags": tags}]}
    (folder / "taxonomy.yaml").write_text(json.dumps(taxonomy), encoding="utf-8")


def run_fold(data: Path, rows: Sequence[Row], fold: int, flags: Sequence[str]) -> dict[str, float]:
    """Accuracy of the tagger and of logistic regression on mel moments on one fold."""
    with tempfile.TemporaryDirectory(prefix="esc10-") as name:
        folder = Path(name)
        write_catalog(rows, fold, folder)
        catalog = ["--catalog", f"{folder}/catalog.csv", "--catalog-root", str(data), "--split-column", "side"]
        steps = [
            ["prepare", *catalog, "--taxonomy", f"{folder}/taxonomy.yaml", "--output", f"{folder}/dataset"],
            ["train", "--dataset", f"{folder}/dataset", "--output", f"{folder}/bundle", *flags],
        ]
        for step in steps:
            if code := catalog_tagger(step):
                raise SystemExit(f"{step[0]} ended with {code}")
        metrics = json.loads((folder / "bundle" / "metrics.json").read_bytes())
    return {model: by["test"]["sound"]["accuracy"] for model, by in metrics["categories"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", default="1,2,3,4,5")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--trunk", default="compact", help="what `train --trunk` takes: a name, or statistics")
    args = parser.parse_args()
    flags = ["--epochs", str(args.epochs), "--trunk", args.trunk]
    rows = read_rows(args.data)
    folds = {int(fold): run_fold(args.data, rows, int(fold), flags) for fold in args.folds.split(",")}
    for model in next(iter(folds.values())):
        found = [folds[fold][model] for fold in folds]
        print(f"{model:<22}{sum(found) / len(found):.3f}  folds {' '.join(f'{value:.3f}' for value in found)}")


if __name__ == "__main__":
    main()
