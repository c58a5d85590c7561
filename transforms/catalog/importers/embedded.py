"""The metadata in an audio file: title, artist, album, year and genres."""

import dataclasses
import struct
import unicodedata
from typing import BinaryIO

from transforms.catalog import values as track_values
from transforms.catalog.importers.genres import genre_names
from transforms.catalog.importers.id3_genres import id3_genres

_OPENING = {"\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c"} | dict.fromkeys(
    "\u2066\u2067\u2068", "\u2069"
)
"""Controls that change the direction of text -> the control that ends them."""
_LINE_BREAKS = "\t\n\x0b\x0c\r\x85\u2028\u2029"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbeddedTags:
    """The embedded metadata of a file. None if the file does not state a value.

    Attributes:
      faults: column and message of each value that is left out.
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()


class UnreadableTags(ValueError):
    """The metadata of a file cannot be read."""


def read_embedded(stream: BinaryIO, name: str) -> EmbeddedTags:
    """The embedded metadata of a file. Several artists of a track give the first, by whom a split groups tracks.

    Args:
      stream: the file.
      name: its name, for the formats that cannot be told by their first bytes.

    Raises:
      UnreadableTags: they are damaged, or no reader knows those of this format.
    """
    import tinytag

    try:
        try:
            found = tinytag.TinyTag.get(file_obj=stream, image=False, duration=False)
        except tinytag.UnsupportedFormatError:
            found = tinytag.TinyTag.get(name, file_obj=stream, image=False, duration=False)
        genres = id3_genres(stream) or [found.genre or "", *(found.other.get("genre") or ())]
    except (tinytag.TinyTagException, OSError, ValueError, LookupError, ArithmeticError, TypeError, struct.error) as e:
        raise UnreadableTags(f"{type(e).__name__}: {e}") from e
    names, unknown = genre_names(genres)
    faults = [("tags", message) for message in unknown]
    year, fault = _year(found.year)
    return EmbeddedTags(
        title=cleaned(found.title),
        artist=cleaned(found.artist),
        album=cleaned(found.album),
        year=year,
        genres=tuple(filter(None, map(cleaned, names))),
        faults=(*faults, *fault),
    )


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
