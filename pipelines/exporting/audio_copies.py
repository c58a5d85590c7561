"""Copies of the audio files with the tags as fields of their metadata."""

import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from pipelines.exporting.field_names import fields_of
from pipelines.exporting.tagged_tracks import TaggedTrack
from transforms import storage
from transforms.audio.limits import Limits
from transforms.embedded_tags.formats import field_splices
from transforms.embedded_tags.splices import NotWritable, spliced
from transforms.storage import RootsCheck, SourceRoots

LISTED = 10
_THREADS = 8
_AT_ONCE = 64


class Places(NamedTuple):
    """Where the sources are, and which may be read."""

    roots: SourceRoots
    check: RootsCheck

    def read(self, url: str) -> bytes:
        """The bytes of a source.

        Raises:
          StorageError: it is outside of the roots, missing, too large or unreadable.
        """
        return storage.read_bytes(url, max_bytes=Limits().max_bytes, roots=self.check)


class FileTally:
    """What became of the files: how many of each outcome, and the first of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = defaultdict(list)

    def add(self, outcome: str, example: str) -> None:
        """Counts one file."""
        self.counts[outcome] += 1
        if example and len(self.examples[outcome]) < LISTED:
            self.examples[outcome].append(example)

    def lines(self) -> list[str]:
        """The counts as text; the first files of each outcome but success, and how many are not named."""
        found = [f"{outcome}: {count}" for outcome, count in sorted(self.counts.items())]
        for outcome, examples in sorted(self.examples.items()):
            found += [f"  {outcome}: {example}" for example in examples]
            if (hidden := self.counts[outcome] - len(examples)) > 0:
                found.append(f"  {outcome}: and {hidden} more")
        return found


WRITTEN, EXISTS, UNSUPPORTED, FAILED_FILES = "written", "exists already", "not writable", "failed"


def write_copies(
    tracks: Iterable[TaggedTrack], places: Places, folder: str, names: Mapping[str, str], *, replace: bool
) -> FileTally:
    """Writes a copy of every track's file beneath `folder`, at its path beneath the root of the catalog.

    A copy appears when it is complete. The audio bytes are those of the source.

    Args:
      tracks: the tracks.
      places: where their files are.
      folder: local folder or gs:// prefix of the copies.
      names: category -> field.
      replace: whether copies that exist are replaced; otherwise they are left alone and counted.
    """
    tally = FileTally()

    def one(track: TaggedTrack) -> tuple[str, str]:
        url = places.roots.url(track.uri)
        try:
            target = storage.join(folder, path_of_copy(url, places.roots))
            if not replace and storage.exists(target):
                return EXISTS, ""
            if "://" not in url + target and os.path.realpath(url) == os.path.realpath(target):
                raise NotWritable("the copy would replace the file itself: choose another folder")
            data = places.read(url)
            changed = spliced(data, field_splices(data, fields_of(track, names)))
            (storage.write_bytes if replace else storage.create)(target, changed)
        except storage.AlreadyExists:
            return EXISTS, ""
        except NotWritable as error:
            return UNSUPPORTED, f"{url}: {error}"
        except storage.StorageError as error:
            return FAILED_FILES, str(error)
        return WRITTEN, ""

    with ThreadPoolExecutor(_THREADS) as pool:
        for group in groups(tracks, _AT_ONCE):
            for outcome, example in pool.map(one, group):
                tally.add(outcome, example)
    return tally


def path_of_copy(url: str, roots: SourceRoots) -> str:
    """The path of a source beneath the root that it is in.

    Raises:
      NotWritable: it is beneath none of them.
    """
    for root in (roots.catalog_root, *roots.allowed):
        prefix = root.removesuffix("/") + "/"
        path = posixpath.normpath(url.removeprefix(prefix)) if url.startswith(prefix) else ".."
        if path != ".." and not path.startswith(("../", "/")):
            return path
    raise NotWritable("it is beneath neither --catalog-root nor --allow-root: a copy would have no path")


def groups(tracks: Iterable[TaggedTrack], size: int) -> Iterable[list[TaggedTrack]]:
    """Yields the tracks in lists of at most `size`."""
    group: list[TaggedTrack] = []
    for track in tracks:
        group.append(track)
        if len(group) == size:
            yield group
            group = []
    yield group
