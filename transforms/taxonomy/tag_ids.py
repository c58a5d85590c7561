"""Reads tag ids and tag weights as written in catalogs and taxonomies."""

import functools
import math
import re
import reprlib
import unicodedata
from typing import Any

from transforms.storage import redact

_MOST_SHOWN = 4000
_FORBIDDEN_IN_TAG = re.compile(r"[|:\x00-\x1f\x7f]")

_SHAPING = frozenset(["\u200c", "\u200d", *map(chr, range(0xFE00, 0xFE10))])
"""Joiners and variation selectors: within a word they only shape it."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 4, 120, 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 8

TagWeights = list[tuple[str, float | None]]
"""Tags of one track: (tag id, weight 0..1, or None if no weight was given)."""


TAG_CHARS = 256
"""Most characters of a tag id."""


def tag_id(raw: str) -> str:
    """The canonical tag id, `category/slug`. Also reads MTG's `category---slug`.

    MTG writes one category with a slash (`mood/theme---calm`). The slash is dropped: `moodtheme/calm`.

    Raises:
      ValueError: the text is not a tag id.
    """
    if len(raw) > TAG_CHARS:  # before it is cached
        raise ValueError(f"tag {shown(raw)} has {len(raw)} characters, at most {TAG_CHARS} are read: shorten it")
    return _tag_id(raw)


@functools.lru_cache(maxsize=65_536)
def _tag_id(raw: str) -> str:
    tag = raw.strip()
    if "---" in tag:
        category, _, slug = tag.partition("---")
        tag = f"{category.replace('/', '')}/{slug}"
    parts = tag.split("/")
    if len(parts) != 2 or not all(part.strip() == part != "" for part in parts):
        raise ValueError(f"tag {shown(raw)}: write category/slug, e.g. mood/calm")
    if _FORBIDDEN_IN_TAG.search(tag):
        raise ValueError(f"tag {shown(raw)} contains a colon, a bar or a control character: remove it")
    return tag


def weighted_tag(raw: str) -> tuple[str, float | None]:
    """Reads `category/slug` or `category/slug:0.7` as (tag id, weight or None). Raises ValueError."""
    return _weighted_tag(raw) if len(raw) <= TAG_CHARS else _split_weight(raw)


@functools.lru_cache(maxsize=65_536)
def _weighted_tag(raw: str) -> tuple[str, float | None]:
    return _split_weight(raw)


def _split_weight(raw: str) -> tuple[str, float | None]:
    name, colon, weight = raw.partition(":")
    return tag_id(name), tag_weight(weight, name) if colon else None


def tag_weight(value: Any, tag: str) -> float | None:
    """Reads the weight of a tag, 0 to 1; None if there is no value. Raises ValueError for anything else."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"weight {shown(value)} of tag {shown(tag)}: give a number from 0 to 1")
    return number


def shown(value: object) -> str:
    """The value as shown in a message: escaped, without secrets, at most 120 characters.

    Of a large value, only a part is read.
    """
    if isinstance(value, str):
        value = value[:_MOST_SHOWN]
        escaped = repr(value) if value.isprintable() else ascii(value)
    else:
        escaped = repr(value) if isinstance(value, int | float) else _SHORT.repr(value)
    escaped = redact(escaped)
    return escaped if len(escaped) <= 120 else f"{escaped[:117]}..."


def slug(text: str) -> str:
    """The slug of a name: letters, marks and digits of any script, joined by `_`. It may be empty.

    >>> slug("Drum & Bass / Jungle")
    'drum_and_bass_jungle'
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("&", " and ")
    words = re.findall(r"\w+", plain) if plain.isascii() else _words(plain)
    return "_".join(words).strip("_")


def _words(text: str) -> list[str]:
    """Words with the marks that belong to their letters, as in Hindi."""
    kept: list[str] = []
    for c in text:
        if c in _SHAPING:
            continue
        within = c == "_" or c.isalnum() or (unicodedata.category(c) in ("Mn", "Mc") and kept[-1:] not in ([], [" "]))
        kept.append(c if within else " ")
    return "".join(kept).split()
