"""Makes the fixtures in `tests/compatibility/v0_1` with a checkout of commit 3ab2151, the last before release 0.1.0.

git worktree add old 3ab2151
python tests/compatibility/make_fixtures.py old tests/compatibility/v0_1

The checkout's own commands write everything, so the files are what users of that version have. `v0_1` then holds:

- `catalog.parquet` and `taxonomy.yaml`: 27 rows; `source_version` is set, so a run never looks at unchanged audio.
- `dataset/`: a prepared dataset with small patches.
- `trained/`: a bundle whose heads were trained on that dataset. `fake/`: a bundle with a fixed random projection.
- `table/`: two snapshots by `trained`, and in `work/` part files of a third run, which was killed before its commit.
- `further/`: a table without a snapshot, with part files that `tag --also` left for `fake`.
- `expected.json`: what that version said: snapshots, answers to queries, metrics, the content of later runs.

No audio is kept: a later version that decodes a track finds no file.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COMMIT = "3ab2151"
"""The version whose files the fixtures are: its names of commands, flags and modules are used below."""

SPEC = {
    "sample_rate": 16_000,
    "n_fft": 512,
    "hop_length": 256,
    "n_mels": 16,
    "fmin": 0.0,
    "fmax": 8_000.0,
    "compression": "db",
    "patch_frames": 24,
    "patches_per_track": 2,
    "min_duration_s": 0.2,
}
"""Feature spec of small patches."""

FAKE_BUNDLE = """
import json, sys
from models.bundles.fake import write_fake_bundle
from transforms.records.taxonomy import load_taxonomy
from transforms.signal.spec import FeatureSpec
url, taxonomy, spec = sys.argv[1:]
write_fake_bundle(url, load_taxonomy(taxonomy), FeatureSpec.from_json(json.load(open(spec))))
"""

QUERIES = {
    "ledger": "SELECT track_id, status, reason, stage, duplicate_of, source_version FROM ledger ORDER BY track_id",
    "tracks": "SELECT track_id, title, bpm, top_tags FROM tracks ORDER BY track_id",
    "tags": "SELECT tag, count(*) AS tracks, round(sum(score), 3) AS total FROM track_tags GROUP BY tag ORDER BY tag",
    "embeddings": "SELECT track_id, embedding_id, len(embedding) AS dim FROM embeddings ORDER BY track_id",
    "taxonomy": "SELECT tag, category, kind, threshold FROM taxonomy ORDER BY tag",
    "changes": "SELECT track_id FROM ledger ANTI JOIN previous_ledger USING (track_id) ORDER BY track_id",
}
"""Questions whose answers by that version are kept."""

NEW_TRACKS = 3
"""Rows that each later run adds."""


class Checkout:
    """Runs code of a checkout, whatever is installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def python(self, *words: str) -> str:
        """Standard output of Python with these arguments."""
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        done = subprocess.run(
            [sys.executable, *words], cwd=self._folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def command(self, *words: str | Path) -> str:
        """Standard output of one command of catalog-tagger."""
        return self.python("-m", "pipelines.cli", *map(str, words))

    def tag(self, world: Path, catalog: Path, table: Path, *flags: str | Path, model: str = "trained") -> None:
        """Tags a catalog with a bundle of the world."""
        self.command(
            *("tag", "--catalog", catalog, "--catalog-root", world, "--model", world / model, "--table", table),
            *("--buckets", "2", "--max-reject-ratio", "0.5", *flags),
        )

    def head(self) -> str:
        """The commit that is checked out."""
        command = ["git", "-C", str(self._folder), "rev-parse", "HEAD"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Makes the fixtures in a temporary folder and copies what is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help=f"folder with commit {COMMIT} checked out")
    parser.add_argument("output", type=Path, help="new folder of the fixtures")
    args = parser.parse_args()
    checkout = Checkout(args.checkout)
    if not checkout.head().startswith(COMMIT):
        parser.error(f"{args.checkout} holds commit {checkout.head()}, not {COMMIT}")
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        catalogs = make_catalogs(checkout, world)
        make_models(checkout, world)
        make_tables(checkout, world, catalogs)
        shutil.rmtree(world / "audio")
        keep(world, args.output)


def make_catalogs(checkout: Checkout, world: Path) -> list[Path]:
    """Audio, the whole catalog, and the catalogs of the three runs: the second changes one track and drops one."""
    checkout.command("synthesize", "--output", world, "--tracks", "24", "--duration", "1")
    rows = pq.read_table(world / "catalog.parquet").sort_by("track_id")
    # The last songs are the new ones; the first run holds the copy and the broken files too.
    songs = [track for track in rows["track_id"].to_pylist() if track.startswith("track-0")]
    changed, dropped, late = songs[1], songs[2], songs[-NEW_TRACKS * 2 :]
    versions = [
        _with_versions(_without(rows, late), None),
        _with_versions(_without(rows, [dropped, *late[NEW_TRACKS:]]), changed),
        _with_versions(_without(rows, [dropped]), changed),
    ]
    paths = [world / f"catalog-{number}.parquet" for number in (1, 2, 3)]
    for path, version in zip(paths, versions, strict=True):
        pq.write_table(version, path, compression="zstd")
    shutil.copy(paths[2], world / "catalog.parquet")
    return paths


def _without(rows: pa.Table, tracks: list[str]) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=pa.array(tracks))))


def _with_versions(rows: pa.Table, changed: str | None) -> pa.Table:
    versions = ["2" if track == changed else "1" for track in rows["track_id"].to_pylist()]
    return rows.append_column("source_version", pa.array(versions, pa.string()))


def make_models(checkout: Checkout, world: Path) -> None:
    """The dataset and both bundles."""
    spec = world / "spec.json"
    spec.write_text(json.dumps(SPEC), encoding="utf-8")
    checkout.command(
        *("prepare", "--catalog", world / "catalog.parquet", "--taxonomy", world / "taxonomy.yaml"),
        *("--output", world / "dataset", "--feature-spec", spec, "--split-ratios", "0.6,0.2,0.2"),
        *("--max-reject-ratio", "0.5"),
    )
    checkout.command("train", "--dataset", world / "dataset", "--output", world / "trained", "--trunk", "statistics")
    checkout.python("-c", FAKE_BUNDLE, str(world / "fake"), str(world / "taxonomy.yaml"), str(spec))


def make_tables(checkout: Checkout, world: Path, catalogs: list[Path]) -> None:
    """Two snapshots, the part files of a third run, the part files of another bundle, and what was said of them."""
    table, finished = world / "table", world / "finished"
    for catalog in catalogs[:2]:
        checkout.tag(world, catalog, table)
    expected: dict[str, Any] = {"commit": COMMIT, "snapshots": _described(checkout, table)}
    expected["answers"] = {name: _answer(checkout, table, sql) for name, sql in QUERIES.items()}
    expected["queries"] = QUERIES
    shutil.copytree(table, finished)
    # The third run ends in a copy; a killed one would have left the part files alone.
    checkout.tag(world, catalogs[2], finished)
    expected["third"] = _described(checkout, finished)[-1]
    shutil.copytree(finished / "work", table / "work", dirs_exist_ok=True)
    shutil.rmtree(finished)
    checkout.tag(world, catalogs[2], finished, "--also", world / "fake", world / "further")
    shutil.copytree(world / "further", world / "tagged-further")
    checkout.tag(world, catalogs[2], world / "tagged-further", model="fake")
    expected["further"] = _described(checkout, world / "tagged-further")[-1]
    expected["evaluation"] = _evaluated(checkout, world)
    (world / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _described(checkout: Checkout, table: Path) -> list[dict[str, Any]]:
    return json.loads(checkout.command("describe", table, "--format", "json"))["snapshots"]


def _answer(checkout: Checkout, table: Path, sql: str) -> list[dict[str, Any]]:
    return json.loads(checkout.command("query", table, sql, "--format", "json"))


def _evaluated(checkout: Checkout, world: Path) -> dict[str, dict[str, float]]:
    """Averages over all tags of the dataset's test split, by model and metric."""
    output = world / "evaluation"
    checkout.command(
        *("evaluate", "--model", world / "trained", "--dataset", world / "dataset", "--output", output),
        *("--resamples", "0"),
    )
    averages = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))["averages"]
    macro = [a for a in averages if (a["average"], a["category"], a["slice"]) == ("macro", "all", "all")]
    return {a["model"]: {name: a["metrics"][name]["value"] for name in ("roc_auc", "pr_auc")} for a in macro}


def keep(world: Path, output: Path) -> None:
    """Copies the fixtures."""
    output.mkdir(parents=True)
    for name in ("catalog.parquet", "taxonomy.yaml", "expected.json"):
        shutil.copy(world / name, output / name)
    for name in ("dataset", "trained", "fake", "table", "further"):
        shutil.copytree(world / name, output / name)


if __name__ == "__main__":
    main()
