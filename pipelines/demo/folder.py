"""Tags a folder of music without any labels: imports published networks as taggers, and queries their tables.

python -m pipelines.demo --catalog ~/Music
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipelines.terminal.errors import CommandFailed, UsageError

PACKAGE = "musicnn==0.1.0"
WHEELS = Path(".tools/musicnn")
"""Folder in which `make musicnn` stores the package."""

TAGGERS = ("musicnn-msd", "musicnn-mtt")
"""The first has tags for genres, moods and eras; the second for instruments, voices and tempo."""

FREQUENT_TAGS = (
    "The most frequent tags",
    "SELECT tag, count(*) AS tracks, round(avg(score), 3) AS mean_score FROM track_tags WHERE is_positive "
    "GROUP BY tag ORDER BY tracks DESC, tag LIMIT 12",
)
"""Heading and SQL of a query."""

FOLDER_QUESTIONS = (
    (
        "Each track's four tags with the highest scores",
        "SELECT track_id, string_agg(printf('%s %.2f', split_part(tag, '/', 2), score), ', ' ORDER BY score DESC, tag) "
        "AS highest FROM (SELECT * FROM track_tags QUALIFY row_number() OVER (PARTITION BY track_id ORDER BY "
        "score DESC, tag) <= 4) GROUP BY track_id ORDER BY track_id LIMIT 12",
    ),
    FREQUENT_TAGS,
    (
        "The track with the highest score of each tag",
        "SELECT tag, round(max(score), 3) AS score, arg_max(track_id, score) AS track_id FROM track_tags GROUP BY tag "
        "ORDER BY score DESC, tag LIMIT 12",
    ),
)
REJECTED = (
    "Rejected, and why",
    "SELECT reason, track_id, detail FROM ledger WHERE status = 'rejected' ORDER BY reason, track_id LIMIT 20",
)


def tell_folder(folder: str, package: str | None, work: Path, command: Callable[..., None]) -> None:
    """Imports the folder, imports the taggers if they are missing, tags, and queries the tables.

    Args:
      folder: folder with audio files; subfolders are included.
      package: wheel or folder of the Python package musicnn; by default the one that `make musicnn` fetched, or a
        download.
      work: folder for all results.
      command: runs one command of catalog-tagger.

    Raises:
      CommandFailed: a step failed, or the package cannot be downloaded.
    """
    catalog = str(work / "catalog.parquet")
    # Accept any fraction of lost files, and of rejects below: files that are not music must not stop the demo.
    command("import", "folder", folder, "--max-lost-ratio", "1", "--output", catalog)
    models = work.parent / "models"
    if any(not (models / name / "bundle.json").exists() for name in TAGGERS):
        command(
            "import-model", "musicnn", "--package", str(find_package(package, work.parent)), "--output", str(models)
        )
    first, *others = TAGGERS
    also = [word for name in others for word in ("--also", str(models / name), str(work / name))]
    for name in TAGGERS:
        table = str(work / name)
        tag = ("tag", "--catalog", catalog, "--model", str(models / name), "--table", table, "--max-reject-ratio", "1")
        # All networks take the same features: the first run also embeds for the others, whose runs decode nothing.
        command(*tag, *(also if name == first else ()))
        for heading, sql in FOLDER_QUESTIONS:
            print(f"\n{heading} ({name})")
            command("query", table, sql)
    print(f"\n{REJECTED[0]}")
    command("query", str(work / TAGGERS[0]), REJECTED[1])
    print(
        "\nThese taggers were trained on other music and are not calibrated to yours: compare tracks by their scores.\n"
        "With your own labels, you can train heads for your tags on the same network in seconds: run catalog-tagger "
        f"prepare --trunk and train --trunk {models / TAGGERS[0]}."
    )


def find_package(given: str | None, work: Path) -> Path:
    """Returns the given package, or the one that `make musicnn` fetched, or downloads it to the working folder.

    Raises:
      UsageError: the given package does not exist.
      CommandFailed: the package cannot be downloaded.
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
            f"the package {PACKAGE} (29 MB) could not be downloaded: download its wheel on a machine with a network, "
            "and give it as make demo CATALOG=... MUSICNN=musicnn-0.1.0-py3-none-any.whl"
        )
    return place
