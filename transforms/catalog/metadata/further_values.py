"""Values of further columns that libraries and files give as text: tempo, dates, lengths, numbers, ratings.

Each function returns the typed value, or None if the text states that there is none. It raises `ValueError` with a
reason that a user understands.
"""

import datetime
import math
import re

from transforms.taxonomy.tag_ids import shown

MOST_STARS = 5
"""Stars of the best rating. Every scale is converted to stars."""

REPLAY_GAIN_LUFS, R128_LUFS = -18.0, -23.0
"""Loudness that a track has after its gain."""

_MOST_BPM = 1000
_MOST_GAIN = 64
_MOST_WHOLE = 2**63 - 1
_LONGEST = 366 * 24 * 3600
_WHOLE = re.compile(r"[+-]?\d{1,19}(?:\.0*)?")
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
_ISO_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d+)?)")
_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?=$|[T ])")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")


def whole_number(text: str) -> int | None:
    """A whole number of 64 bits."""
    if not text.strip():
        return None
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is not a whole number")
    number = int(text.strip().partition(".")[0])
    if abs(number) > _MOST_WHOLE:
        raise ValueError(f"{shown(text)} has more than 64 bits")
    return number


def natural_number(text: str) -> int | None:
    """A number that is not negative, such as of plays."""
    number = whole_number(text)
    if number is not None and number < 0:
        raise ValueError(f"{shown(text)} is negative")
    return number


def position(text: str) -> int | None:
    """A number from 1, such as of a track in its album. 0 and -1 mean that it is unknown; `3/12` means 3."""
    number = whole_number(text.partition("/")[0])
    return number if number is not None and number > 0 else None


def decimal(text: str) -> float | None:
    """A number with a point or a comma before its fraction."""
    if not text.strip():
        return None
    if not _DECIMAL.fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is not a number")
    number = float(text.strip().replace(",", "."))
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is too large")
    return number


def tempo(text: str) -> float | None:
    """Beats per minute, more than 0 and at most 1000, with or without `bpm` behind. 0 means that it is unknown."""
    number = decimal(re.sub(r"\s*bpm\s*$", "", text, flags=re.IGNORECASE))
    if number is not None and not 0 <= number <= _MOST_BPM:
        raise ValueError(f"{shown(text)} is not a tempo from 0 to {_MOST_BPM} beats per minute")
    return number or None


def loudness_of_gain(text: str) -> float | None:
    """Loudness in LUFS from a gain of ReplayGain 2.0, such as `-7.30 dB`, whose reference is -18 LUFS."""
    return _gained(decimal(re.sub(r"\s*dB\s*$", "", text, flags=re.IGNORECASE)), REPLAY_GAIN_LUFS, text)


def loudness_of_r128_gain(text: str) -> float | None:
    """Loudness in LUFS from the gain of an Opus file (RFC 7845): 1/256 dB, whose reference is -23 LUFS."""
    gain = whole_number(text)
    return _gained(None if gain is None else gain / 256, R128_LUFS, text)


def _gained(gain: float | None, reference: float, text: str) -> float | None:
    if gain is None:
        return None
    if not abs(gain) <= _MOST_GAIN:
        raise ValueError(f"{shown(text)} is not a gain from -{_MOST_GAIN} to {_MOST_GAIN} dB")
    return round(reference - gain, 2)


def stars(text: str, best: float) -> float | None:
    """A rating from 0 to 5 stars, of a scale that ends at `best`. 0 means that there is no rating."""
    number = decimal(text)
    if number is not None and not 0 <= number <= best:
        raise ValueError(f"{shown(text)} is not a rating from 0 to {best:g}")
    return round(number / best * MOST_STARS, 2) if number else None


def seconds(text: str) -> float | None:
    """A length in seconds: `225`, `3:45`, `1:02:03.5`, `PT3M45S`. 0 and -1 mean that it is unknown."""
    stripped = text.strip()
    if not stripped:
        return None
    if (iso := _ISO_DURATION.fullmatch(stripped)) and any(iso.groups()):
        parts = [float((part or "0").replace(",", ".")) for part in iso.groups()]
        length = ((parts[0] * 24 + parts[1]) * 60 + parts[2]) * 60 + parts[3]
    elif clock := _CLOCK.fullmatch(stripped):
        hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in clock.groups())
        length = (hours * 60 + minutes) * 60 + rest
    else:
        length = decimal(stripped) or 0.0
    if length > _LONGEST:
        raise ValueError(f"{shown(text)} is no length of a track")
    return length if length > 0 else None


def milliseconds(text: str) -> float | None:
    """A length in seconds, of a number of milliseconds."""
    number = decimal(text)
    return number / 1000 if number is not None and number > 0 else None


def date(text: str) -> datetime.date | None:
    """A date: `2004-05-01`, `2004/5/1`, also with a time after it. `0000-00-00` means that it is unknown."""
    if not text.strip() or not text.strip(" 0-/."):
        return None
    found = whole_date(text)
    if found is None:
        raise ValueError(f"{shown(text)} is not a date such as 2004-05-01")
    return found


def whole_date(text: str | None) -> datetime.date | None:
    """The date of a text that begins with year, month and day; None for any other text."""
    match = _DATE.match((text or "").strip())
    try:
        return datetime.date(int(match[1]), int(match[3]), int(match[4])) if match else None
    except ValueError:
        return None


def moment(text: str) -> datetime.datetime | None:
    """A time in ISO 8601; without a zone it is in UTC."""
    if not text.strip():
        return None
    try:
        found = datetime.datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=found.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError) as e:
        raise ValueError(f"{shown(text)} is not a time such as 2004-05-01T12:00:00Z") from e


def unix_moment(text: str) -> datetime.datetime | None:
    """A time in seconds since 1970. 0 means that it is unknown."""
    number = decimal(text)
    try:
        return datetime.datetime.fromtimestamp(number, datetime.UTC) if number else None
    except (ValueError, OverflowError, OSError) as e:
        raise ValueError(f"{shown(text)} is no time") from e


def isrc(text: str) -> str | None:
    """An International Standard Recording Code without hyphens and spaces: `USABC1234567`. Others are kept as text."""
    plain = re.sub(r"[\s-]", "", text).upper()
    return (plain if _ISRC.fullmatch(plain) else text.strip()) or None


def is_isrc(text: str) -> bool:
    """Whether this is the code of a recording, as `isrc` writes it."""
    return _ISRC.fullmatch(text) is not None
