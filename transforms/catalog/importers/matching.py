"""Joins the rows of a table with the files of a folder. What is ambiguous is reported and never guessed."""

import dataclasses
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from transforms.catalog.importers.audio_search import AUDIO_SUFFIXES, PassedOver, audio_files
from transforms.catalog.metadata.embedded import EmbeddedTags, UnreadableTags, read_embedded
from transforms.catalog.metadata.further_values import is_isrc, isrc
from transforms.storage import SourceRoots
from transforms.taxonomy.tag_ids import slug

MatchBy = Literal["isrc", "path", "title+artist", "title+artist+duration"]
WAYS: tuple[MatchBy, ...] = get_args(MatchBy)

TOLERANCE_S = 2.0
"""Most seconds by which the stated lengths of one track differ."""
MOST_ENTRIES = 10_000
"""Most entries of a kind in a report. All are counted."""

_ISRC_IN_NAME = re.compile(r"(?<![A-Z0-9])[A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5}(?![A-Z0-9])")


class FoundFile(NamedTuple):
    """An audio file of the folder.

    Attributes:
      relative: its path below the folder.
      uri: its path as the catalog names it.
      tags: its embedded metadata.
    """

    relative: str
    uri: str
    tags: EmbeddedTags


def find_audio(root: Path, uri_of: Callable[[Path], str], way: MatchBy, passed_over: PassedOver) -> list[FoundFile]:
    """All audio files below a folder, in order of their paths, with metadata if it can be read.

    Args:
      root: the folder.
      uri_of: how the catalog names a file.
      way: what rows will be compared by. Lengths are only read if they are.
      passed_over: gets what is no audio.

    Raises:
      OSError: the folder cannot be listed.
    """
    found = []
    for path, stream in audio_files(root, SourceRoots(os.fspath(root)).check(), passed_over):
        try:
            tags = read_embedded(stream, path.name, duration=way == "title+artist+duration")
        except UnreadableTags:
            tags = EmbeddedTags()
        found.append(FoundFile(os.fspath(path.relative_to(root)), uri_of(path), tags))
    return found


class Unmatched(NamedTuple):
    """A row or a file that has no partner.

    Attributes:
      side: `row` or `file`.
      place: the row's number, or the file's path below the folder.
      reason: `no file`, `no row`, `no key`, or `ambiguous`.
      detail: the key that was looked for, or the candidates.
    """

    side: str
    place: str
    reason: str
    detail: str


@dataclasses.dataclass(kw_only=True)
class MatchReport:
    """What matched and what did not.

    Attributes:
      matched: number of rows with a file.
      counts: (side, reason) -> number of rows or files without a partner.
      entries: the first `MOST_ENTRIES` of each.
    """

    matched: int = 0
    counts: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    entries: list[Unmatched] = dataclasses.field(default_factory=list)

    def add(self, entry: Unmatched) -> None:
        """Counts a row or file."""
        self.counts[entry.side, entry.reason] += 1
        if self.counts[entry.side, entry.reason] <= MOST_ENTRIES:
            self.entries.append(entry)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowKey:
    """What a row says of its file.

    Attributes:
      track_id: the row's track; rows of one track may share a file.
      texts: what is compared: `isrc`, `path`, or `title` and `artist`.
      duration_s: length in seconds.
    """

    track_id: str
    texts: Mapping[str, str]
    duration_s: float | None = None

    def __str__(self) -> str:
        length = () if self.duration_s is None else (f"duration={self.duration_s:g}",)
        return ", ".join((*(f"{name}={text}" for name, text in self.texts.items()), *length))


class FileIndex:
    """The files of a folder by what rows are compared with."""

    def __init__(self, way: MatchBy, files: Iterable[FoundFile]) -> None:
        self._way = way
        self.files = list(files)
        self._by_key: dict[str, list[int]] = defaultdict(list)
        for number, file in enumerate(self.files):
            for key in self._file_keys(file):
                self._by_key[key].append(number)

    @property
    def is_exact(self) -> bool:
        """Whether the key names a file, so that several tracks may share it."""
        return self._way in ("isrc", "path")

    def _file_keys(self, file: FoundFile) -> set[str]:
        if self._way == "isrc":
            embedded = file.tags.further.get("isrc", "")
            named = _ISRC_IN_NAME.findall(Path(file.relative).stem.upper())
            return {embedded} if is_isrc(embedded) else {name.replace("-", "") for name in named}
        if self._way == "path":
            name = _parts(file.relative)[-1]
            return {name, _stem(name)}
        key = _title_key(file.tags.title or "", file.tags.artist or "")
        return {key} if key else set()

    def candidates(self, row: RowKey) -> list[int] | None:
        """Numbers of the files that fit a row; None if the row does not say what is compared."""
        if self._way == "isrc":
            code = isrc(row.texts["isrc"]) or ""
            return self._by_key.get(code, []) if is_isrc(code) else None
        if self._way == "path":
            return self._by_path(row.texts["path"])
        key = _title_key(row.texts["title"], row.texts["artist"])
        found = self._by_key.get(key, []) if key else None
        if found is None or self._way == "title+artist":
            return found
        return None if row.duration_s is None else [n for n in found if self._is_as_long(n, row.duration_s)]

    def _is_as_long(self, number: int, seconds: float) -> bool:
        length = self.files[number].tags.duration_s
        return length is not None and abs(length - seconds) <= TOLERANCE_S

    def _by_path(self, path: str) -> list[int] | None:
        """Files whose path ends with the row's path, or whose whole path below the folder ends the row's path."""
        if not path.strip():
            return None
        parts = _parts(path)
        bare = not parts[-1].endswith(AUDIO_SUFFIXES)
        fitting: dict[int, int] = {}
        for number in self._by_key.get(parts[-1], []):
            file = _parts(self.files[number].relative)
            if bare:
                file = [*file[:-1], _stem(file[-1])]
            shared = min(len(file), len(parts))
            if file[-shared:] == parts[-shared:]:
                fitting[number] = shared
        best = max(fitting.values(), default=0)
        exact = [n for n in fitting if _parts(self.files[n].relative) == parts]
        return exact or [number for number, shared in fitting.items() if shared == best]


def match_rows(index: FileIndex, rows: Iterable[tuple[int, RowKey]], report: MatchReport) -> dict[int, FoundFile]:
    """Finds the file of each row: row number -> file. Everything else is in the report.

    A file that several tracks name by its ISRC or path belongs to all of them. If several tracks only look like it by
    title and artist, it belongs to none.
    """
    claims: dict[int, list[tuple[int, RowKey]]] = defaultdict(list)
    for number, row in rows:
        found = index.candidates(row)
        if found is not None and len(found) == 1:
            claims[found[0]].append((number, row))
        elif found is None:
            report.add(Unmatched("row", str(number), "no key", str(row)))
        else:
            names = ", ".join(index.files[n].relative for n in found[:5])
            report.add(Unmatched("row", str(number), "ambiguous" if found else "no file", names or str(row)))
    matched: dict[int, FoundFile] = {}
    for place, claiming in claims.items():
        if index.is_exact or len({row.track_id for _, row in claiming}) == 1:
            matched |= {number: index.files[place] for number, _ in claiming}
            continue
        for number, row in claiming:
            report.add(
                Unmatched("row", str(number), "ambiguous", f"{row} fits {index.files[place].relative} like others")
            )
    used = {file.relative for file in matched.values()}
    for file in index.files:
        if file.relative not in used:
            report.add(Unmatched("file", file.relative, "no row", ""))
    report.matched = len(matched)
    return matched


def _parts(path: str) -> list[str]:
    """The parts of a path of any system, without differences of case and of composed characters."""
    plain = unicodedata.normalize("NFC", path).casefold().replace("\\", "/")
    return [part for part in plain.split("/") if part not in ("", ".")] or [""]


def _stem(name: str) -> str:
    """The name without a suffix of audio files."""
    stem, point, suffix = name.rpartition(".")
    return stem if point and f".{suffix}" in AUDIO_SUFFIXES else name


def _title_key(title: str, artist: str) -> str:
    """Title and artist without case and marks; empty if one of them is."""
    parts = (slug(title), slug(artist))
    return "/".join(parts) if all(parts) else ""
