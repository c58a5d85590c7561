"""Tag ids, and tags with weights, as catalogs and taxonomies write them."""

import functools
import math
import re
import unicodedata
from typing import Any

_FORBIDDEN_IN_TAG = re.compile(r"[|:\x00-\x1f\x7f]")


TagWeights = list[tuple[str, float | None]]
"""Tags of one track: (tag id, weight 0..1, or None where the annotator gave none)."""


@functools.lru_cache(maxsize=65_536)
def tag_id(raw: str) -> str:
    """The canonical tag id, `category/slug`; MTG's `category---slug` is read too.

    MTG writes one category with a slash (`mood/theme---calm`): the slash is dropped, giving `moodtheme/calm`.
    """
    found = raw.strip()
    if "---" in found:
        category, _, slug = found.partition("---")
        found = f"{category.replace('/', '')}/{slug}"
    parts = found.split("/")
    if len(parts) != 2 or not all(part.strip() == part != "" for part in parts):
        raise ValueError(f"tag {shown(raw)}: write category/slug, e.g. mood/calm")
    if _FORBIDDEN_IN_TAG.search(found):
        raise ValueError(f"tag {shown(raw)} holds a colon, a bar or a control character")
    return found


@functools.lru_cache(maxsize=65_536)
def weighted_tag(raw: str) -> tuple[str, float | None]:
    """`category/slug` or `category/slug:0.7` as (tag id, weight or None)."""
    name, colon, weight = raw.partition(":")
    return tag_id(name), tag_weight(weight, name) if colon else None


def tag_weight(value: Any, tag: str) -> float | None:
    """The weight of a tag, 0 to 1; None where there is no value. Raises ValueError for anything else."""
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
    """The value for a message: escaped, and not longer than a line."""
    escaped = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return escaped if len(escaped) <= 120 else f"{escaped[:117]}..."


def slug(text: str) -> str:
    """The slug of a name: letters and digits of any script, joined by `_`; may be empty.

    >>> slug("Drum & Bass / Jungle")
    'drum_and_bass_jungle'
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("&", " and ")
    return "_".join(re.findall(r"\w+", plain)).strip("_")
