"""The demo: makes a catalog, a dataset, a bundle and a table on one machine, and queries the table.

python -m pipelines.demo
python -m pipelines.demo --catalog my/catalog.parquet --taxonomy my/taxonomy.yaml
python -m pipelines.demo --catalog my/music
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.terminal.errors import DONE, CommandFailed, UsageError
from pipelines.terminal.visible import for_people

DEMO_FOLDER = Path("demo")

QUESTIONS = (
    (
        "The positive tags with the highest scores of some tracks",
        "SELECT track_id, title, list_transform(top_tags[:4], lambda t: t.tag || ' ' || round(t.score, 2)) AS tags "
        "FROM tracks ORDER BY track_id LIMIT 5",
    ),
    (
        "No file is lost: every track that was not tagged has a reason",
        "SELECT reason, count(*) AS tracks, min(uri) AS example, arg_min(detail, uri) AS detail FROM ledger "
        "WHERE reason IS NOT NULL GROUP BY reason ORDER BY tracks DESC, reason",
    ),
)
"""Heading and SQL of the demo's queries, which work for any catalog."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--catalog", help="your own labelled catalog: Parquet, CSV or JSON Lines; or a folder of music")
    parser.add_argument("--taxonomy", help="the taxonomy of its tags: YAML")
    parser.add_argument("--package", help="for a folder: wheel or folder of the Python package musicnn")
    args = parser.parse_args(argv)
    started = time.monotonic()
    try:
        work = _tell_folder(args) if args.catalog and Path(args.catalog).is_dir() else _tell(args)
    except CommandFailed as error:
        print(for_people(f"demo: {error}"), file=sys.stderr)
        return error.code
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. Everything is in {work}/; `make clean` removes it.\n"
        "docs/quickstart.md explains each step; `make demo CATALOG=a folder` tags your own music without labels."
    )
    return DONE


def _tell(args: argparse.Namespace) -> Path:
    if args.package:
        raise UsageError(f"MUSICNN={args.package} is for a folder of music: make demo CATALOG=my/music")
    sources = own_sources(args.catalog, args.taxonomy) if args.catalog or args.taxonomy else invented_sources()
    tell(*sources)
    return sources[2]


def _tell_folder(args: argparse.Namespace) -> Path:
    from pipelines.demo.folder import tell_folder

    if args.taxonomy:
        raise UsageError(
            f"TAXONOMY={args.taxonomy} is for a labelled catalog; CATALOG={args.catalog} is a folder, which is tagged "
            "with ready-made taggers: leave TAXONOMY out"
        )
    work = own_folder(args.catalog)
    tell_folder(args.catalog, args.package, work, command)
    return work


def own_sources(catalog: str | None, taxonomy: str | None) -> tuple[str, str, Path]:
    """Catalog, taxonomy and working folder for the user's own music.

    Raises:
      UsageError: one of the two is missing, or is not there.
    """
    from transforms import storage

    if not catalog or not taxonomy:
        raise UsageError(
            "training needs a labelled catalog and the taxonomy of its tags: make demo CATALOG=my.parquet "
            "TAXONOMY=my.yaml (docs/reference/catalog.md; `catalog-tagger import folder` makes both from audio files)"
        )
    if not storage.exists(taxonomy):
        raise UsageError(f"TAXONOMY={taxonomy}: no such file")
    return catalog, taxonomy, own_folder(catalog, taxonomy)


def own_folder(catalog: str, *further: str) -> Path:
    """A separate working folder for each of the user's catalogs."""
    from transforms.formats.hashing import digest

    place = Path(catalog).absolute()
    return DEMO_FOLDER / f"{place.stem}-{digest(str(place), *further)[:8]}"


def invented_sources() -> tuple[str, str, Path]:
    """Catalog, taxonomy and working folder of the synthetic catalog, which is made unless it exists."""
    # The taxonomy is written last: if it exists, the catalog is complete. A rewrite would change the files' times.
    if not (DEMO_FOLDER / "taxonomy.yaml").exists():
        heading("Make 120 songs whose tags are known, a copy of one, and broken files of all kinds")
        command("synthesize", "--output", str(DEMO_FOLDER))
    return str(DEMO_FOLDER / "catalog.parquet"), str(DEMO_FOLDER / "taxonomy.yaml"), DEMO_FOLDER


def tell(catalog: str, taxonomy: str, work: Path) -> None:
    """Prepares, trains, tags twice and queries the table."""
    dataset, bundle, table = (str(work / name) for name in ("dataset", "bundle", "table"))
    # The default of 10 % of these few artists would be too few for validation and test.
    ratios = ("--split-ratios", "0.7,0.15,0.15")
    heading("Decode the labelled tracks and split them by artist")
    command("prepare", "--catalog", catalog, "--taxonomy", taxonomy, "--output", dataset, *ratios)
    heading("Train a network, fit heads, and compare them with two baselines on artists that training has not seen")
    if (Path(bundle) / "bundle.json").exists():
        print(f"{bundle} already exists: training is not repeated")
    else:
        command("train", "--dataset", dataset, "--output", bundle)
    print_metrics(json.loads((Path(bundle) / "metrics.json").read_text(encoding="utf-8")))
    heading("Tag the whole catalog, and publish the tables as a snapshot")
    command("tag", "--catalog", catalog, "--model", bundle, "--table", table)
    heading("Tag it again: nothing has changed, so nothing is decoded")
    command("tag", "--catalog", catalog, "--model", bundle, "--table", table)
    check_second_run(table)
    for question, sql in QUESTIONS:
        heading(question)
        command("query", table, sql)
    heading("Check every hash and count of the published snapshot")
    command("verify", table)
    discover(table, work)


def discover(table: str, work: Path) -> None:
    """Finds music in the table: by tag, by sound, and as a playlist."""
    tag, track = best_known(table)
    heading(f"Find tracks by weighted tags, here {tag}")
    command("search", table, "--tag", f"{tag}=1", "--limit", "3")
    heading("Find tracks that sound like one of them")
    command("similar", table, track, "--limit", "3")
    heading("Make a playlist of what sounds like it")
    command("playlist", table, "--seed", track, "--tracks", "5", "--output", str(work / "playlist.m3u8"), "--force")
    print(f"\nTo see all of this in a browser: catalog-tagger serve {as_typed(table)}")


def best_known(table: str) -> tuple[str, str]:
    """The tag that most tracks have, and the track with its best score.

    Raises:
      CommandFailed: no track has a tag.
    """
    import pyarrow.compute as pc

    from transforms.table.reader import open_snapshot

    rows = open_snapshot(table).scan("track_tags", ["track_id", "tag", "score", "is_positive"])
    positive = rows.filter(rows["is_positive"])
    if not positive.num_rows:
        raise CommandFailed(f"no track of {table} has a tag: look at `catalog-tagger describe {table}`")
    counts = positive.group_by("tag").aggregate([("track_id", "count")])
    tag = counts.sort_by([("track_id_count", "descending"), ("tag", "ascending")])["tag"][0].as_py()
    best = positive.filter(pc.equal(positive["tag"], tag)).sort_by([("score", "descending"), ("track_id", "ascending")])
    return tag, best["track_id"][0].as_py()


def heading(text: str) -> None:
    """Prints what the next command does."""
    print(f"\n== {text}", flush=True)


def command(*words: str) -> None:
    """Runs one command of catalog-tagger in a separate process, as a user would.

    Raises:
      CommandFailed: the exit code is not 0.
    """
    print(f"$ catalog-tagger {' '.join(map(as_typed, words))}", flush=True)
    quiet = () if sys.stderr.isatty() else ("--quiet",)  # the output of the demo is read as a whole
    code = subprocess.run([sys.executable, "-m", "pipelines.cli", *quiet, *words], check=False).returncode
    if code:
        advice = f"if {DEMO_FOLDER}/ is from an older version, remove it with `make clean`"
        raise CommandFailed(f"`catalog-tagger {words[0]}` ended with exit code {code}; {advice}", code)


def as_typed(word: str) -> str:
    """A word as a user would type it: double quotes keep SQL readable, because its quotes need no escapes."""
    plain = not set(word) & set('"$`\\!')
    return f'"{word}"' if plain and shlex.quote(word) != word else shlex.quote(word)


def check_second_run(root: str) -> None:
    """Prints whether the newest run decoded nothing and published the same content.

    Raises:
      CommandFailed: it decoded tracks, or its content differs.
    """
    from transforms.table.reader import open_history

    first, second = [snapshot.manifest for snapshot in open_history(root)][-2:]
    decoded, same = second.run.counts["decoded"], first.run.content_hash == second.run.content_hash
    print(
        f"The second run decoded {decoded} tracks and published {'the same' if same else 'another'} content: "
        f"snapshots {first.number} and {second.number}"
    )
    if decoded or not same:
        raise CommandFailed(
            "the second run decoded tracks or changed the content, although the catalog is unchanged: this is a bug"
        )


def metric_rows(metrics: dict[str, Any], kind: str, split: str = "test") -> tuple[list[str], list[list[Any]]]:
    """Column names and rows of a comparison by one metric: a row per category and for all tags, a column per model."""
    models = sorted(metrics["categories"], key=lambda model: model != "tagger")
    categories = {model: metrics["categories"][model][split] for model in models}
    rows = [[name, *(_rounded(categories[model][name][kind]) for model in models)] for name in categories[models[0]]]
    rows.append(["all tags", *(_rounded(metrics["macro"][model][split][kind]) for model in models)])
    return ["category", *models], rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def print_metrics(metrics: dict[str, Any]) -> None:
    """Prints the comparison on the test split as a table, and how often the tagger is better."""
    from pipelines.terminal.printing import value_lines

    names, rows = metric_rows(metrics, "pr_auc")
    print("PR-AUC on the test split by category:")
    print("\n".join(value_lines(names, rows, 100)))
    compared = [row for row in rows[:-1] if None not in row]
    ahead = sum(row[1] >= max(row[2:], default=0) for row in compared)
    print(
        f"The tagger is at least as good as all baselines in {ahead} of {len(compared)} categories. prevalence gives "
        "every track the same\nscore; logistic_mel_moments is logistic regression on mean and standard deviation of "
        f"each mel band.\n{metrics['tracks']['test']} test tracks are too few to compare similar values."
    )


if __name__ == "__main__":
    sys.exit(main())
