"""Lists of names in one field, such as `Rock; Pop`: the separator is found in the data."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator

_STRONG = ("|", ";", "\\\\", "\n")
"""Separators that names hardly ever contain."""
_WEAK = ","
"""A separator that some names contain, such as `Folk, World, & Country`."""
_IN_NAMES = ("/", "&", "+")
"""What joins words of a name more often than names: never taken for a separator, but warned about."""
_LEAST_SHARE = 0.05
"""Least share of the values that contain a weak separator."""
_WARNED_SHARE = 0.5
_MOST_LOOKED_AT = 100_000
"""Names that are searched for other separators."""
_BRACKETS = re.compile(r"\s*[\[({].*[\])}]\s*", re.DOTALL)
_QUOTED = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,]+))""")

NAMED = {"|": "bars", ";": "semicolons", ",": "commas", "\n": "line ends", "\\\\": "double backslashes"}
"""Names of separators for people."""


@dataclasses.dataclass(kw_only=True)
class NameList:
    """A column with lists of names.

    Attributes:
      column: name of the column.
      given: the separator that a user gave; None if it is to be found.
    """

    column: str
    given: str | None = None
    _values: int = 0
    _bracketed: int = 0
    _with: Counter[str] = dataclasses.field(default_factory=Counter)
    _names: int = 0
    _names_with: Counter[str] = dataclasses.field(default_factory=Counter)

    def survey(self, text: str) -> None:
        """Looks at a value, before any is read."""
        if text.strip():
            self._values += 1
            self._bracketed += _BRACKETS.fullmatch(text) is not None
            self._with.update(mark for mark in (*_STRONG, _WEAK) if mark in text)

    @property
    def is_bracketed(self) -> bool:
        """Whether the values are lists of a program, such as `['Rock', 'Pop']`."""
        return self.given is None and self._values > 0 and self._bracketed == self._values

    @property
    def separator(self) -> str | None:
        """The text between two names; None if every value is one name."""
        if self.given is not None:
            return self.given
        return self._found()

    def _found(self) -> str | None:
        best = max(_STRONG, key=lambda mark: self._with[mark])
        if self._with[best]:
            return best
        return _WEAK if self._with[_WEAK] and self._with[_WEAK] >= _LEAST_SHARE * self._values else None

    def names(self, text: str) -> Iterator[str]:
        """The names in a value."""
        for name in self._split(text):
            if stripped := name.strip():
                if self._names < _MOST_LOOKED_AT:
                    self._names += 1
                    self._names_with.update(mark for mark in (*_STRONG, _WEAK, *_IN_NAMES) if mark in name)
                yield stripped

    def _split(self, text: str) -> list[str]:
        if self.is_bracketed:
            return ["".join(parts) for parts in _QUOTED.findall(text.strip()[1:-1])]
        return [text] if self.separator is None else text.split(self.separator)

    @property
    def form(self) -> str:
        """How the lists are written, for people."""
        if self.is_bracketed:
            return "lists in brackets"
        mark = self.separator
        return "one name each" if mark is None else f"names separated by {NAMED.get(mark, repr(mark))}"

    @property
    def warning(self) -> str | None:
        """That half of the names contain another separator; None if they do not. Known after all values were read."""
        for mark, count in self._names_with.most_common(1):
            if mark != self.separator and count >= _WARNED_SHARE * self._names:
                return (
                    f"column {self.column}: {count} of {self._names} names contain {mark!r}: if it separates names, "
                    f"give --separator '{mark}'"
                )
        return None
