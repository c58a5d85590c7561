"""A folder of music, tagged without one label: published networks as taggers, tables, and what is in them.

python -m pipelines.demo --catalog ~/Music
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines.terminal.errors import CommandFailed, UsageError

PACKAGE = "musicnn==0.1.0"
WHEELS = Path(".tools/musicnn")
"""Where `make musicnn` puts the package."""

TAGGERS = ("musicnn-msd", "musicnn-mtt")
"""The first knows genres, moods and eras, the second instruments, voices and tempo."""

FREQUENT_TAGS = (
    "The most frequent tags",
    "SELECT tag, count(*) AS tracks, round(avg(score), 3) AS mean_score FROM track_tags WHERE is_positive "
    "GROUP BY tag ORDER BY tracks DESC, tag LIMIT 12",
)
"""Heading and SQL of a question that both demos ask."""

FOLDER_QUESTIONS = (
    (
        "What each track sounds like: its four highest tags",
        "SELECT track_id, string_agg(printf('%s %.2f', split_part(tag, '/', 2), score), ', ' ORDER BY score DESC, tag) "
        "AS highest FROM (SELECT * FROM track_tags QUALIFY row_number() OVER (PARTITION BY track_id ORDER BY "
        "score DESC, tag) <= 4) GROUP BY track_id ORDER BY track_id LIMIT 12",
    ),
    FREQUENT_TAGS,
    (
        "Where each tag is heard most",
        "SELECT tag, round(max(score), 3) AS score, arg_max(track_id, score) AS track_id FROM track_tags GROUP BY tag "
        "ORDER BY score DESC, tag LIMIT 12",
    ),
)
REJECTED = (
    "Rejected, and why",
    "SELECT reason, track_id, detail FROM ledger WHERE status = 'rejected' ORDER BY reason, track_id LIMIT 20",
)


def tell_folder(folder: str, package: str | None, work: Path, command: Callable[..., None]) -> None:
    """Imports the folder, makes the taggers where they are not there yet, tags, and asks.

    Args:
      folder: with audio files, in subfolders too.
      package: wheel or folder of the Python package musicnn; by default what `make musicnn` fetched, or a download.
      work: where everything is left.
      command: runs one command of catalog-tagger.

    Raises:
      CommandFailed: a step failed, or the package cannot be had.
    """
    catalog = str(work / "catalog.parquet")
    command("import", "folder", folder, "--output", catalog)
    models = work.parent / "models"
    if any(not (models / name / "bundle.json").exists() for name in TAGGERS):
        command(
            "import-model", "musicnn", "--package", str(find_package(package, work.parent)), "--output", str(models)
        )
    first, *others = TAGGERS
    also = [word for name in others for word in ("--also", str(models / name), str(work / name))]
    for name in TAGGERS:
        table = str(work / name)
        # The folder is what it is: how many of its files are no music is shown below, and no reason to stop.
        tag = ("tag", "--catalog", catalog, "--model", str(models / name), "--table", table, "--max-reject-ratio", "1")
        # All networks take the same features: what the first run extracts, the others find embedded.
        command(*tag, *(also if name == first else ()))
        for heading, sql in FOLDER_QUESTIONS:
            print(f"\n{heading} ({name})")
            command("query", table, sql)
    print(f"\n{REJECTED[0]}")
    command("query", str(work / TAGGERS[0]), REJECTED[1])
    print(
        "\nThese taggers were trained on other music and are not calibrated to yours: compare tracks by their scores.\n"
        "With labels of your own: catalog-tagger prepare --trunk and train --trunk "
        f"{models / TAGGERS[0]} put your tags on the same network in seconds."
    )


def find_package(given: str | None, work: Path) -> Path:
    """The package: what is given, what `make musicnn` fetched, or a download into the working folder.

    Raises:
      UsageError: what is given is not there.
      CommandFailed: it cannot be downloaded.
    """
    if given is not None:
        if not Path(given).exists():
            raise UsageError(f"MUSICNN={given}: no such wheel or folder")
        return Path(given)
    place = work / "musicnn"
    for found in (WHEELS, place):
        if list(found.glob("musicnn-*.whl")):
            return found
    print(f"\n$ pip download {PACKAGE} --no-deps", flush=True)
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(place), PACKAGE]
    if subprocess.run([sys.executable, "-m", "pip", *words], check=False).returncode:
        raise CommandFailed(
            f"the package {PACKAGE} (29 MB) could not be downloaded: fetch its wheel where there is a network, give "
            "it as make demo CATALOG=... MUSICNN=musicnn-0.1.0-py3-none-any.whl"
        )
    return place
