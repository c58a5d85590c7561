"""The metadata in an audio file: title, artist, album, year, genres, and what else libraries write there."""

import dataclasses
import struct
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from transforms.catalog import values as track_values
from transforms.catalog.metadata import further_values
from transforms.catalog.metadata.genres import genre_names
from transforms.catalog.metadata.id3_genres import id3_genres, id3_recording_id
from transforms.catalog.metadata.mp4_genres import mp4_genres

_OPENING = {"\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c"} | dict.fromkeys(
    "\u2066\u2067\u2068", "\u2069"
)
"""Controls that change the direction of text -> the control that ends them."""
_FURTHER: dict[str, tuple[str, Callable[[str], Any]]] = {
    "isrc": ("isrc", further_values.isrc),
    "bpm": ("bpm", further_values.tempo),
    "initialkey": ("musical_key", str),
    "replaygaintrackgain": ("stated_loudness_lufs", further_values.loudness_of_gain),
    "rtrackgain": ("stated_loudness_lufs", further_values.loudness_of_r128_gain),
    "publisher": ("label", str),
    "label": ("label", str),
    "catalognumber": ("catalog_number", str),
    "barcode": ("barcode", str),
    "language": ("language", str),
    "mood": ("mood", str),
}
"""Name of a field, with only its letters -> its column, and how its text is read."""
_MUSICBRAINZ = {
    "musicbrainztrackid": "musicbrainz_recording_id",  # Picard's name from before MusicBrainz had recordings
    "musicbrainzreleasetrackid": "musicbrainz_track_id",
    "musicbrainzalbumid": "musicbrainz_release_id",
    "musicbrainzartistid": "musicbrainz_artist_id",
    "musicbrainzalbumartistid": "musicbrainz_album_artist_id",
    "musicbrainzreleasegroupid": "musicbrainz_release_group_id",
}
_LINE_BREAKS = "\t\n\x0b\x0c\r\x85\u2028\u2029"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedTags:
    """The embedded metadata of a file. None if the file does not state a value.

    Attributes:
      further: column -> value of what else is known, such as `isrc`, `bpm` and `release_date`.
      musicbrainz: column -> MusicBrainz id.
      duration_s: length that the headers state, in seconds; only if it was asked for.
      faults: column and message of each value that is left out.
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()
    further: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    musicbrainz: Mapping[str, str] = dataclasses.field(default_factory=dict)
    duration_s: float | None = None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the file names neither a title, an artist, an album nor a genre."""
        return not (self.title or self.artist or self.album or self.genres)


class UnreadableTags(ValueError):
    """The metadata of a file cannot be read."""


def read_embedded(stream: BinaryIO, name: str, *, duration: bool = False) -> EmbeddedTags:
    """The embedded metadata of a file. Several artists of a track give the first, by whom a split groups tracks.

    Args:
      stream: the file.
      name: its name, for the formats that cannot be told by their first bytes.
      duration: whether the length of the audio is read, too.

    Raises:
      UnreadableTags: they are damaged, or no reader knows those of this format.
    """
    import tinytag

    try:
        try:
            found = tinytag.TinyTag.get(file_obj=stream, image=False, duration=duration)
        except tinytag.UnsupportedFormatError:
            found = tinytag.TinyTag.get(name, file_obj=stream, image=False, duration=duration)
        genres = id3_genres(stream) or mp4_genres(stream) or [found.genre or "", *(found.other.get("genre") or ())]
        other = {**found.other, "recording": [id3_recording_id(stream) or ""]}
    except (tinytag.TinyTagException, OSError, ValueError, LookupError, ArithmeticError, TypeError, struct.error) as e:
        raise UnreadableTags(f"{type(e).__name__}: {e}") from e
    names, unknown = genre_names(genres)
    year, fault = _year(found.year)
    further, wrong = _further(found, other)
    return EmbeddedTags(
        title=cleaned(found.title),
        artist=cleaned(found.artist),
        album=cleaned(found.album),
        year=year,
        genres=tuple(filter(None, map(cleaned, names))),
        further=further,
        musicbrainz=_musicbrainz(other),
        duration_s=found.duration,
        faults=(*(("tags", message) for message in unknown), *fault, *wrong),
    )


def _further(found: Any, other: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What else is known of a track, and the faults in it."""
    values: dict[str, Any] = {
        "album_artist": cleaned(found.albumartist),
        "composer": cleaned(found.composer),
        "track_number": found.track or None,
        "disc_number": found.disc or None,
        "release_date": further_values.whole_date(found.year),
    }
    faults = []
    for name, texts in other.items():
        column, read = _FURTHER.get(_letters(name), ("", str))
        text = cleaned(next(iter(texts), None)) if column and isinstance(texts, list) else None
        try:
            if text is not None:
                values.setdefault(column, read(text))
        except ValueError as e:
            faults.append((column, str(e)))
    return {column: value for column, value in values.items() if value is not None}, faults


def _musicbrainz(other: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The ids that MusicBrainz Picard writes. Several artists of a track give the first."""
    found = {}
    for name, texts in other.items():
        column = "musicbrainz_recording_id" if name == "recording" else _MUSICBRAINZ.get(_letters(name))
        text = cleaned(next(iter(texts), None)) if column and isinstance(texts, list) else None
        if column and text:
            found[column] = text.split("/")[0].split(";")[0].strip().lower()
    return found


def _letters(name: str) -> str:
    """The name of a field as all formats spell it: `MusicBrainz Album Id` and `MUSICBRAINZ_ALBUMID` are one."""
    return "".join(c for c in name.casefold() if c.isalpha())


def _year(text: str | None) -> tuple[int | None, list[tuple[str, str]]]:
    try:
        return track_values.year((text or "").strip("\0 ")), []
    except ValueError as e:
        return None, [("year", str(e))]


def cleaned(text: str | None) -> str | None:
    """Text as it is, but for what is not text: control characters, padding and unclosed changes of direction.

    Joiners, marks, private characters and characters of later Unicode versions stay.
    """
    found = "".join(" " if c in _LINE_BREAKS else c for c in text or "")
    found = "".join(c for c in found if unicodedata.category(c) not in ("Cc", "Cs")).strip().strip("\ufeff")
    found = _closed(found)
    visible = any(unicodedata.category(c) not in ("Cf", "Zs") for c in found)
    return found.strip() if visible else None


def _closed(text: str) -> str:
    """The text without controls of direction, if one of them is not closed: it would turn the text that follows."""
    waiting: list[str] = []
    closing = set(_OPENING.values())
    for c in text:
        if c in _OPENING:
            waiting.append(_OPENING[c])
        elif c in closing and (not waiting or waiting.pop() != c):
            break
    else:
        if not waiting:
            return text
    return "".join(c for c in text if c not in _OPENING and c not in closing)
