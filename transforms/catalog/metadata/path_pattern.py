"""Metadata in the paths of audio files, by a pattern such as `{artist}/{album}/{track} {title}`."""

import re
import string
from pathlib import PurePosixPath

_TEXTS = ("title", "artist", "album", "album_artist", "genre", "language", "country", "label", "isrc")
_NUMBERS = {"track": ("track_number", r"\d{1,4}"), "disc": ("disc_number", r"\d{1,3}"), "year": ("year", r"\d{4}")}
_SKIPPED = "_"
_TEXT = "([^/]+?)"
"""The expression of text."""

_MOST_TEXTS = 4
"""Most names of text within one part of a path: with more, some names of files would take seconds."""

FIELDS = (*_TEXTS, *_NUMBERS, _SKIPPED)
"""What a pattern may name. `_` stands for text that is not used."""


class PathPattern:
    """Reads metadata from paths. A path must end with what the pattern describes; folders above it are not looked at.

    Args:
      pattern: names in braces and text between them, without the suffix of the file's name.

    Raises:
      ValueError: the pattern is wrong.
    """

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self._levels = pattern.count("/") + 1
        self._columns: list[str | None] = []
        self._expression = re.compile(self._compiled(pattern))

    def _compiled(self, pattern: str) -> str:
        try:
            parts = list(string.Formatter().parse(pattern))
        except ValueError as e:
            raise ValueError(f"--pattern={pattern}: {e}: write {{{{ for a brace") from e
        expression, joined, texts = "", False, [0]
        for text, name, form, conversion in parts:
            expression += _literal(text)
            texts += [0] * text.count("/")
            joined = joined and not text
            if name is not None:
                if joined:
                    raise ValueError(f"--pattern={pattern}: nothing separates {{{name}}} from the name before it")
                group = self._group(name, is_plain=not form and not conversion)
                expression += group
                texts[-1] += group == _TEXT
                joined = True
        if max(texts) > _MOST_TEXTS:
            raise ValueError(f"--pattern={pattern}: more than {_MOST_TEXTS} names of text between two slashes")
        if not any(self._columns):
            raise ValueError(f"--pattern={pattern}: no name in braces: choose from {', '.join(FIELDS)}")
        return expression

    def _group(self, name: str, *, is_plain: bool) -> str:
        """The expression of a name in braces, whose column is kept."""
        if name not in FIELDS or not is_plain:
            raise ValueError(f"--pattern={self.text}: {{{name}}} is unknown: choose from {', '.join(FIELDS)}")
        column, digits = _NUMBERS.get(name, (name, None))
        if column in self._columns:
            raise ValueError(f"--pattern={self.text}: {{{name}}} is repeated: write {{_}} for text that is not used")
        self._columns.append(None if name == _SKIPPED else column)
        return f"({digits})" if digits else _TEXT

    def read(self, relative: str) -> dict[str, str | int] | None:
        """Column -> value for a path below the folder; None if the path does not have this form.

        >>> PathPattern("{artist}/{year} - {album}/{track} {title}").read("x/Anna/1999 - Sea/01 Blue.flac")
        {'artist': 'Anna', 'year': 1999, 'album': 'Sea', 'track_number': 1, 'title': 'Blue'}
        """
        path = PurePosixPath(relative)
        parts = [*path.parts[:-1], path.stem][-self._levels :]
        match = self._expression.fullmatch("/".join(parts)) if len(parts) == self._levels else None
        if match is None:
            return None
        numbers = {column for column, _ in _NUMBERS.values()}
        found: dict[str, str | int] = {}
        for column, text in zip(self._columns, match.groups(), strict=True):
            if column is not None and text.strip():
                found[column] = int(text) if column in numbers else text.strip()
        return found


def _literal(text: str) -> str:
    """The expression of text between names: spaces may be several, and an underscore counts as one."""
    return "".join(r"[\s_]+" if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", text))
