"""Tags in the audio files themselves, with a list of what was there before, from which it can be restored."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipelines.exporting.audio_copies import FAILED_FILES, UNSUPPORTED, WRITTEN, FileTally, Places
from pipelines.exporting.field_names import fields_of
from pipelines.exporting.tagged_tracks import TaggedTrack
from pipelines.terminal.errors import UsageError
from transforms import storage
from transforms.embedded_tags.formats import field_splices
from transforms.embedded_tags.splices import NotWritable, Splice, reversed_splices, spliced
from transforms.formats.documents import parse_json

RESTORED, UNCHANGED, CHANGED_SINCE = "restored", "as before", "changed by others since"
SAME_FILE = "file of another track too"
_GROUP_TRACKS, _GROUP_BYTES = 64, 64 << 20
_VERSION = 1


class _Change(NamedTuple):
    """A file that is to be changed: its new bytes, and the record of the old ones."""

    url: str
    data: bytes
    record: dict[str, Any]


def write_in_place(
    tracks: Iterable[TaggedTrack], places: Places, undo: str, names: Mapping[str, str], origin: Mapping[str, Any]
) -> FileTally:
    """Changes the files. Before a file changes, the list has what is replaced in it.

    Args:
      tracks: the tracks.
      places: where their files are.
      undo: new folder of the list.
      names: category -> field.
      origin: the table and snapshot, for the list.

    Raises:
      UsageError: the list exists already.
      StorageError: the list cannot be written; no file of which it has no record was changed.
    """
    try:
        document = {"version": _VERSION, **origin}
        storage.create(storage.join(undo, "list.json"), json.dumps(document, indent=2).encode())
    except storage.AlreadyExists as error:
        raise UsageError(f"--in-place {undo}: this list exists already: give a new folder") from error
    tally = FileTally()
    for number, group in enumerate(_grouped(_changes(tracks, places, names, tally), tally), start=1):
        lines = "".join(json.dumps(change.record) + "\n" for change in group)
        storage.create(storage.join(undo, f"{number:08d}.jsonl"), lines.encode())
        for change in group:
            _write(change.url, change.data, WRITTEN, tally)
    return tally


def _changes(
    tracks: Iterable[TaggedTrack], places: Places, names: Mapping[str, str], tally: FileTally
) -> Iterator[_Change]:
    for track in tracks:
        url = places.roots.url(track.uri)
        url = url if "://" in url else os.path.realpath(url)  # a link stays a link
        try:
            before = places.read(url)
            splices = field_splices(before, fields_of(track, names))
        except NotWritable as error:
            tally.add(UNSUPPORTED, f"{url}: {error}")
            continue
        except storage.StorageError as error:
            tally.add(FAILED_FILES, str(error))
            continue
        after = spliced(before, splices)
        if after == before:
            tally.add(UNCHANGED, "")
            continue
        undone = [[start, end, _text(data)] for start, end, data in reversed_splices(before, splices)]
        record = {"url": url, "before": _sha256(before), "after": _sha256(after), "splices": undone}
        yield _Change(url, after, record)


def _grouped(changes: Iterable[_Change], tally: FileTally) -> Iterator[list[_Change]]:
    group: list[_Change] = []
    for change in changes:
        # Its record would not see the bytes that the first one leaves.
        if any(change.url == other.url for other in group):
            tally.add(SAME_FILE, change.url)
            continue
        group.append(change)
        if len(group) >= _GROUP_TRACKS or sum(len(change.data) for change in group) >= _GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _write(url: str, data: bytes, outcome: str, tally: FileTally) -> None:
    try:
        storage.write_bytes(url, data)
        tally.add(outcome, "")
    except storage.StorageError as error:
        tally.add(FAILED_FILES, str(error))


def restore(undo: str, places: Places) -> FileTally:
    """Gives the files of a list their earlier bytes. A file that others have changed since is left alone.

    A list may come from someone else: it changes only audio files into audio files, and only beneath the roots.

    Args:
      undo: folder of the list.
      places: where the files are.

    Raises:
      UsageError: this is no list.
      StorageError: the list cannot be read.
    """
    try:
        storage.read_bytes(storage.join(undo, "list.json"))
    except storage.NotFound as error:
        raise UsageError(f"--restore {undo}: no list is here: give the folder of --in-place") from error
    tally = FileTally()
    # The last record first: a file may have several.
    for file in sorted(storage.list_folder(undo), key=lambda file: file.url, reverse=True):
        if file.url.endswith(".jsonl"):
            for number, line in reversed(list(enumerate(storage.read_bytes(file.url).split(b"\n"), start=1))):
                if line:
                    _restore_line(line, f"{file.url}, line {number}", places, tally)
    return tally


def _restore_line(line: bytes, place: str, places: Places, tally: FileTally) -> None:
    try:
        undone = _undone(parse_json(line))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        tally.add(FAILED_FILES, f"{place}: no record of a changed file ({type(error).__name__}): the list is damaged")
        return
    _restore_one(undone, places, tally)


class _Undone(NamedTuple):
    """A record of the list: the file, SHA-256 of its bytes before and after the change, and what was replaced."""

    url: str
    before: str
    after: str
    splices: list[Splice]


def _undone(record: Any) -> _Undone:
    """The record of a line.

    Raises:
      ValueError, TypeError, LookupError, AttributeError: it is none.
    """
    splices = []
    for start, end, text in record["splices"]:
        if type(start) is not int or type(end) is not int or not 0 <= start <= end:
            raise ValueError("a place that no file has")
        splices.append(Splice(start, end, base64.b64decode(text, validate=True)))
    url, before, after = (record[name] for name in ("url", "before", "after"))
    if not all(isinstance(text, str) for text in (url, before, after)):
        raise TypeError("a value that is no text")
    return _Undone(url, before, after, splices)


def _restore_one(record: _Undone, places: Places, tally: FileTally) -> None:
    url = record.url
    try:
        data = places.read(url)
    except storage.StorageError as error:
        tally.add(FAILED_FILES, str(error))
        return
    if _sha256(data) == record.before:
        tally.add(UNCHANGED, "")
        return
    if _sha256(data) != record.after:
        tally.add(CHANGED_SINCE, url)
        return
    try:
        before = spliced(data, record.splices)
    except ValueError:  # they overlap
        before = b""
    if _sha256(before) != record.before:
        tally.add(FAILED_FILES, f"{url}: the list does not have its earlier bytes")
        return
    try:
        for one in (data, before):
            field_splices(one, {})
    except NotWritable as error:
        tally.add(FAILED_FILES, f"{url}: no export has changed this file: {error}")
        return
    _write(url, before, RESTORED, tally)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
