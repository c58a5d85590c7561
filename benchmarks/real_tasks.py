"""Tasks of the real recordings: which clips, which tags, which folds.

`data` holds `manifest.csv`: track_id, path, tags (`category---value`, joined by bars), group_id, fold.
"""

import csv
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from models.fitting.folds import deal_folds
from models.scoring.heads import Group, Layout

FOLDS = 5
LEAST_POSITIVE = 6
"""Clips that must carry a tag."""

FAMILY = {
    **dict.fromkeys(("bass_drum", "drum", "hi_hat", "snare", "electric_percussion", "percussion", "tabla"), "drums"),
    **dict.fromkeys(("ride_cymbal", "bendir", "mridangam", "drum_kit"), "drums"),
    **dict.fromkeys(("cello", "violin"), "strings"),
    "bass": "bass",
    "guitar": "guitar",
}
"""Single sounds and the family that they belong to; others carry none of the families."""

GENRES = ("ambient", "background_music", "electronic", "game_soundtrack", "lofi")
"""Genres of `music`, weakly labelled: too weak to rate a tagger by, good enough to try choices on."""

UNTOLD = {"sound---loop", "sound---ambient", "sound---glitch", "sound---misc", "sound---vinyl"}
"""Tags that do not say what is heard: such clips stay out."""

Row = Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """Clips with labels: ids, groups, T tags, targets [n, T], whether one applies to each, official folds or None."""

    name: str
    ids: list[str]
    groups: list[str]
    tags: list[str]
    targets: np.ndarray
    multiclass: bool
    folds: np.ndarray | None = None

    @property
    def layout(self) -> Layout:
        columns = tuple(range(self.targets.shape[1]))
        kind = "multiclass" if self.multiclass else "multilabel"
        return Layout(groups=(Group(name=self.name, kind=kind, columns=columns),), edges=(), size=len(columns))

    def dealt(self) -> np.ndarray:
        return self.folds if self.folds is not None else deal_folds(self.groups, self.targets > 0, FOLDS)


def read_rows(data: Path) -> list[Row]:
    """Clips of the manifest."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_tasks(data: Path, there: set[str]) -> dict[str, Task]:
    rows = [row for row in read_rows(data) if row["track_id"] in there]
    esc10 = [row for row in rows if row["path"].startswith("esc10/")]
    played = [row for row in rows if row["path"].split("/")[0] in ("rendered", "sounds", "samples")]
    played = [row for row in played if not UNTOLD & set(row["tags"].split("|"))]
    music = [row for row in rows if row["path"].startswith("music/") and len(_genres(row)) == 1]
    digits = [row for row in rows if row["path"].startswith("speech8k/")]
    tasks = [
        _task("esc10", esc10, lambda row: {row["tags"]}, multiclass=True, official=True),
        _task("families", played, _families, multiclass=False),
        _task("instruments", played, _instruments, multiclass=False),
        _task("genres", music, _genres, multiclass=True),
        _task("digits", digits, lambda row: _values(row, "digit"), multiclass=True),
    ]
    return {task.name: task for task in tasks}


def _task(
    name: str, rows: list[Row], tags_of: Callable[[Row], set[str]], *, multiclass: bool, official: bool = False
) -> Task:
    tags = sorted({tag for row in rows for tag in tags_of(row)})
    targets = np.array([[tag in tags_of(row) for tag in tags] for row in rows], np.float32).reshape(
        len(rows), len(tags)
    )
    kept = targets.sum(axis=0) >= LEAST_POSITIVE
    folds = np.array([int(row["fold"]) for row in rows]) if official else None
    return Task(
        name=name,
        ids=[row["track_id"] for row in rows],
        groups=[row["group_id"] for row in rows],
        tags=[tag.split("---")[-1] for tag, enough in zip(tags, kept.tolist(), strict=True) if enough],
        targets=targets[:, kept],
        multiclass=multiclass,
        folds=folds,
    )


def _values(row: Row, *categories: str) -> set[str]:
    pairs = (tag.split("---") for tag in row["tags"].split("|") if tag)
    return {value for category, value in pairs if category in categories}


def _genres(row: Row) -> set[str]:
    return _values(row, "genre") & set(GENRES)


def _families(row: Row) -> set[str]:
    single = {FAMILY[value] for value in _values(row, "sound", "instrument") if value in FAMILY}
    return _values(row, "family") | (single if not row["path"].startswith("rendered/") else set())


def _instruments(row: Row) -> set[str]:
    kit = {"drum_kit" for value in _values(row, "sound") if FAMILY.get(value) == "drums"}
    return _values(row, "instrument") | kit
