"""Single values of a catalog row. Each function returns the canonical value, or raises `ValueError` with a reason."""

import datetime
import math
import re
from collections.abc import Collection
from typing import Any

from transforms.catalog.limits import ID_CHARS, MOST_TAGS, TEXT_CHARS, URI_CHARS
from transforms.taxonomy.tag_ids import TagWeights, shown, tag_id, tag_weight, weighted_tag


class Undecodable:
    """Marks a stored text that is not UTF-8."""


def text(value: object, most: int = TEXT_CHARS) -> str | None:
    """A text value of at most `most` characters. Whole numbers are converted to text; an empty text becomes None."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if len(value) > most:
            raise ValueError(f"{shown(value)} has {len(value)} characters, at most {most} are read: shorten it")
        if not value.isascii():
            _check_unicode(value)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _text_of_float(value)
    if isinstance(value, Undecodable):
        raise ValueError("not UTF-8: save the file as UTF-8")
    raise ValueError(f"{shown(value)} is not text: write it as a string")


def _text_of_float(value: float) -> str | None:
    """Text of a float. pandas stores integer columns with missing values as floats: 12.0 means `12`, NaN means None."""
    if math.isnan(value):
        return None
    if not value.is_integer():
        raise ValueError(f"{value!r} is a fraction, but text is expected: write it as a string")
    return str(int(value))


def _check_unicode(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as e:
        code = ord(value[e.start])
        if 0xDC80 <= code <= 0xDCFF:  # a wrong byte, see `delimited.encoding.open_text`
            raise ValueError(f"{shown(value)} is not UTF-8: save the file as UTF-8") from e
        raise ValueError(
            f"{shown(value)} contains half a character (the lone surrogate U+{code:04X}), as a text that was cut: "
            "write the whole character or leave it out"
        ) from e


def track_id(value: object) -> str:
    """A catalog key. All characters are kept, including leading zeros."""
    found = text(value, ID_CHARS)
    if found is None or not found.strip():
        raise ValueError("empty track_id: give every track a unique id")
    return found


def uri(value: object, *, remote_root: bool) -> str:
    """The audio's location: `gs://bucket/object`, a path from the catalog root or (local root only) from `/`.

    Whether it may be read is decided where tracks are planned, because links have to be resolved for that.
    """
    found = text(value, URI_CHARS)
    if found is None or not found.strip():
        raise ValueError("empty uri: give the audio file's path under the catalog root, or gs://bucket/object")
    if "\x00" in found:
        raise ValueError(f"{shown(found)} contains a NUL character: no file can have this name")
    scheme, separator, _ = found.partition("://")
    if separator:
        _check_scheme(found, scheme)
    elif found.startswith("/") and remote_root:
        raise ValueError(f"{shown(found)} is a local path under a gs:// catalog root: write it relative, or as gs://")
    return found


def _check_scheme(found: str, scheme: str) -> None:
    if scheme.lower() in ("http", "https"):
        raise ValueError(f"{shown(found)}: audio is not read over {scheme}: copy it to gs:// or under the catalog root")
    if scheme.lower() == "file":
        raise ValueError(f"{shown(found)}: write the plain path, without {scheme}://")
    if scheme != "gs":
        raise ValueError(f"{shown(found)}: unknown scheme {scheme!r}: give gs://bucket/object or a local path")
    bucket, _, name = found.removeprefix("gs://").partition("/")
    if not bucket or not name or not found.startswith("gs://"):
        raise ValueError(f"{shown(found)} names no object: write gs://bucket/object")


_MONTH = r"[^\W\d_]{3,}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th|er|\.)?"
_DATES = re.compile(
    rf"""[\[(]?(?:c(?:a|irca)?\.?|[©℗])?\s*(?:
    (?P<first>\d{{4}}) (?:[-/.]\d{{1,2}}){{0,2}} (?:[T ]\d{{1,2}}:\d{{2}}.*)?  # 2004, 2004-05, 2004-05-01T00:00Z
    | (?P<packed>\d{{4}}) (?:0\d|1[0-2]) (?:[0-2]\d|3[01])                   # 20040501
    | \d{{1,2}}[-/.] (?:\d{{1,2}}[-/.])? (?P<last>\d{{4}}) (?:[ ]\d{{1,2}}:\d{{2}}.*)?    # 01.05.2004, 5/1/2004
    | (?:{_DAY}[-\s]+)? {_MONTH}[-,\s]* (?:{_DAY},?\s+)? (?P<named>\d{{4}})  # 1 May 2004, May 1, 2004
    )[\])?]*""",
    re.VERBOSE,
)
"""Spellings of dates in which the year is clear."""


def year(value: object) -> int | None:
    """A year, 1000 to 9999: a whole number, a date, or a text with a year or a date in any usual spelling."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, datetime.date):
        return year(value.year)
    number = _whole_number(value)
    if number is not None and 1000 <= number <= 9999:
        return number
    if isinstance(value, str) and (found := _year_of_date(value)) is not None:
        return found
    raise ValueError(f"{shown(value)} is not a year from 1000 to 9999: {_advice(value)}")


def _advice(value: object) -> str:
    """What to do about a text that states no year, or not one year."""
    written = str(value).strip()
    if re.fullmatch(r"['’]?\d\d", written, re.ASCII):
        return "write all four digits, because the century is not stated"
    if re.fullmatch(r"\d{4}\s*[-–/;,]\s*(?:\d\d|\d{4})", written, re.ASCII):
        return "write one of the two years"
    return "leave it empty if it is unknown"


def _year_of_date(value: str) -> int | None:
    match = _DATES.fullmatch(value.strip())
    found = next((int(part) for part in match.groups() if part is not None), None) if match else None
    return found if found is not None and found >= 1000 else None


def _whole_number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}(\.0*)?\s*", value):
        return int(float(value))
    return int(value) if isinstance(value, float) and value.is_integer() else None


def tags(value: object) -> tuple[TagWeights | None, list[str]]:
    """Reads the tags of one track and lists all faults in them.

    Args:
      value: `a/b|c/d:0.7`, a list of such texts, of (tag, weight) pairs or of `{"tag": ..., "weight": ...}`, a mapping
        of tag to weight, or None.

    Returns:
      The tags in order of their ids, or None if there is no annotation at all; and a message for each fault.
    """
    entries, faults = _entries(value)
    if entries is None:
        return None, faults
    if len(entries) > MOST_TAGS:
        return None, [f"{len(entries)} tags, at most {MOST_TAGS} are read: remove some"]
    found: dict[str, float | None] = {}
    for entry in entries:
        try:
            tag, weight = _tag_entry(entry)
            if tag in found and found[tag] != weight:
                raise ValueError(f"tag {shown(tag)} has two weights: {found[tag]} and {weight}")
            found[tag] = weight
        except ValueError as e:
            faults.append(str(e))
    return sorted(found.items()), faults


def _entries(value: object) -> tuple[Collection[Any] | None, list[str]]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None, []
    if isinstance(value, str):
        parts = [part for part in value.split("|") if part.strip()]
        return parts or None, []
    if isinstance(value, dict):
        return value.items(), []
    if isinstance(value, list | tuple):
        return value, []
    return None, [f"{shown(value)} is not a list of tags: write category/slug, joined by |"]


def _tag_entry(entry: object) -> tuple[str, float | None]:
    if isinstance(entry, str):
        return weighted_tag(entry)
    if isinstance(entry, dict) and isinstance(entry.get("tag"), str) and set(entry) <= {"tag", "weight"}:
        return tag_id(entry["tag"]), tag_weight(entry.get("weight"), entry["tag"])
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
        return tag_id(entry[0]), tag_weight(entry[1], entry[0])
    raise ValueError(f"{shown(entry)} is not a tag: write category/slug, or an object with tag and weight")
