"""The audio files below a folder, recognised by their bytes. Everything that is passed over is counted by its kind."""

import dataclasses
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from transforms import storage
from transforms.audio.containers.kinds import KINDS, AudioKind
from transforms.audio.containers.metadata_tags import id3_size
from transforms.audio.containers.mpeg import SEARCH_BYTES
from transforms.audio.containers.sniff import sniff
from transforms.audio.errors import TrackError, UnknownFormat
from transforms.audio.limits import Limits
from transforms.storage import RootsCheck

AUDIO_SUFFIXES = tuple(sorted({f".{suffix}" for kind in KINDS for suffix in kind.suffixes}))
"""Suffixes of names of audio files, with the point, in lower case."""

_MOST_EXAMPLES = 1000
_MOST_BYTES = Limits().max_bytes


@dataclasses.dataclass(kw_only=True)
class PassedOver:
    """What is below a folder and is not in its catalog.

    Attributes:
      counts: kind -> number.
      examples: kind -> the first paths.
      lost: number of those that may be tracks: files that are named like audio, and what cannot be opened.
    """

    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    lost: int = 0

    def add(self, path: str, kind: str, *, lost: bool = False) -> None:
        """Counts a file or folder."""
        self.counts[kind] += 1
        self.lost += lost
        shown = self.examples.setdefault(kind, [])
        if len(shown) < _MOST_EXAMPLES:
            shown.append(path.encode(errors="backslashreplace").decode())


def audio_files(root: Path, check: RootsCheck, passed_over: PassedOver) -> Iterator[tuple[Path, BinaryIO]]:
    """Yields the audio files below a folder, in order of their paths, each open until the next one.

    Links to folders are not followed, nor links to files outside of the roots. Names with a single dot at the start are
    hidden.
    """
    for folder, folders, names in os.walk(root, onerror=lambda e: _closed_folder(e, root, passed_over)):
        folders[:] = [name for name in sorted(folders) if _is_entered(Path(folder, name), passed_over)]
        for name in sorted(names):
            path = Path(folder, name)
            if not _is_candidate(path, check, passed_over):
                continue
            try:
                with storage.open_input(os.fspath(path)) as stream:
                    if _is_audio(path, stream, passed_over):
                        yield path, stream
            except storage.StorageError as e:
                passed_over.add(f"{path}: {e}", "unreadable file", lost=True)


def _closed_folder(error: OSError, root: Path, passed_over: PassedOver) -> None:
    if error.filename == os.fspath(root):
        raise error
    passed_over.add(f"{error.filename}: {error.strerror}", "closed folder", lost=True)


def _is_entered(path: Path, passed_over: PassedOver) -> bool:
    if _is_link(path):
        passed_over.add(os.fspath(path), "link to a folder")
    elif _is_hidden(path):
        passed_over.add(os.fspath(path), "hidden folder")
    else:
        return True
    return False


def _is_link(path: Path) -> bool:
    """Whether this is a link. What cannot be looked at, because its path is too long for the system, is none."""
    return os.path.islink(path)  # noqa: PTH114 - pathlib raises


def _is_hidden(path: Path) -> bool:
    """Whether the name begins with a single point. `...And Justice for All` is an album."""
    return path.name.startswith(".") and not path.name.startswith("..")


def _is_candidate(path: Path, check: RootsCheck, passed_over: PassedOver) -> bool:
    """Whether a file is to be opened. A file that is not regular may block whoever opens it."""
    name = os.fspath(path)
    if _is_hidden(path):
        passed_over.add(name, "hidden file")
    elif not _is_utf8(name):
        passed_over.add(name, "name that is not UTF-8", lost=True)
    elif (refused := check.refusal(name)) is not None:
        passed_over.add(f"{name}: leads to {refused.place}", "link out of the folder", lost=_is_named_audio(path))
    else:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                return True
            passed_over.add(name, "pipe, socket or device")
        except OSError as e:
            kind = "broken link" if _is_link(path) else "unreadable file"
            passed_over.add(f"{name}: {e.strerror}", kind, lost=_is_named_audio(path))
    return False


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_named_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES


def _is_audio(path: Path, stream: BinaryIO, passed_over: PassedOver) -> bool:
    named = _is_named_audio(path)
    try:
        _recognised(stream, thorough=named)
    except TrackError as e:
        kind = _kind_of(e, stream)
        passed_over.add(os.fspath(path), f"{kind}, named like audio" if named else kind, lost=named)
        return False
    stream.seek(0)
    return True


def _recognised(stream: BinaryIO, *, thorough: bool) -> AudioKind:
    """Recognises the container by the first bytes; if that fails and `thorough`, by the whole file, as `tag` does."""
    try:
        return sniff(_head(stream))
    except UnknownFormat:
        if not thorough:
            raise
        stream.seek(0)
        return sniff(stream.read(_MOST_BYTES))


def _head(stream: BinaryIO) -> bytes:
    """The bytes in which a format is recognised: behind tags, as many as are searched for a stream of frames."""
    size = 2 * SEARCH_BYTES
    head = stream.read(size)
    while head[id3_size(head) :][:3] == b"ID3" and len(head) == size < _MOST_BYTES:
        head += stream.read(3 * size)
        size *= 4
    return head + stream.read(max(id3_size(head) + SEARCH_BYTES - len(head), 0))


def _kind_of(error: TrackError, stream: BinaryIO) -> str:
    if isinstance(error, UnknownFormat):
        return "empty file" if stream.seek(0, os.SEEK_END) == 0 else "not audio"
    return re.split(r" whose | \(|:", error.detail.removeprefix("it is "), maxsplit=1)[0]
