"""Which field of an audio file has the tags of which category."""

import re
from collections.abc import Mapping, Sequence

from pipelines.exporting.tagged_tracks import TaggedTrack
from pipelines.terminal.errors import UsageError
from transforms.embedded_tags.splices import FieldValues

OWN_PREFIX = "TAGS_"
"""Prefix of the fields that only this program writes."""


def field_names(categories: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Category -> name of its field: `TAGS_MOOD` for mood, unless `--field` says otherwise.

    Args:
      categories: of the tags that are exported.
      given: values of `--field`, such as mood=MOOD.

    Raises:
      UsageError: a value has another form, or names an unknown category; or a category needs a name.
    """
    names = {category: OWN_PREFIX + re.sub(r"[^A-Z0-9]+", "_", category.upper()).strip("_") for category in categories}
    for text in given:
        category, equals, name = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z0-9_ ]*", name.upper()):
            raise UsageError(f"--field {text}: give CATEGORY=NAME, such as mood=MOOD, with letters, digits and _")
        if category not in names:
            raise UsageError(f"--field {text}: no category {category}; categories are {', '.join(categories)}")
        names[category] = name.upper()
    for category, name in names.items():
        if name == OWN_PREFIX:
            raise UsageError(f"category {category} has no letter for the name of a field: give --field {category}=NAME")
    return names


def fields_of(track: TaggedTrack, names: Mapping[str, str]) -> FieldValues:
    """The fields of a track. A field of this program without a tag is removed; another one stays as it is."""
    found = track.names()
    values: dict[str, list[str]] = {}
    for category, name in names.items():
        values.setdefault(name, []).extend(found.get(category, []))
    return {name: texts for name, texts in values.items() if texts or name.startswith(OWN_PREFIX)}
