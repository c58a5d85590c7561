"""Types of the columns of a text table, found in all of their values.

A column is a number, a date or a truth value if at least 99 % of its values are. Identifiers stay text: what has
leading zeros or more digits than a float holds, and columns that are named like one.
"""

import dataclasses
import datetime
import functools
import re
from collections import Counter
from collections.abc import Callable
from typing import Literal, get_args

from transforms.catalog.metadata import further_values
from transforms.taxonomy.tag_ids import shown

ColumnType = Literal["text", "integer", "number", "date", "time", "boolean"]
TYPES: tuple[ColumnType, ...] = get_args(ColumnType)
Cell = str | int | float | bool | datetime.date | None

_NOTHING = frozenset({"", "-", "?", "n/a", "na", "nan", "none", "null", "nil", "unknown", "#n/a"})
"""What spreadsheets and programs write instead of a value, in lower case."""
_LEAST_SHARE = 0.99
_LEAST_WITH_FAULTS = 100
"""Fewest values of a column in which some may be wrong."""
_DECIDED = 1000
"""Values that fit no type, after which a column is text without a look at the others."""
_EXAMPLES = 3
_RECENT = 4096
"""Values of a column that are kept with what they mean."""
_ID_NAME = re.compile(
    r"(?:^|[^a-z])(?:ids?|isrc|iswc|upc|ean|gtin|icpn|grid|barcode|code|catno|catalog(?:ue)?|sku|uuid|guid|hash|md5)"
    r"(?:$|[^a-z])|(?<=[a-z])Id$"
)
_FORMS = {
    "integer": re.compile(r"-?(?:0|[1-9]\d{0,14})"),
    "number": re.compile(r"-?(?:0|[1-9]\d{0,14})\.\d+(?:[eE][+-]?\d{1,2})?"),
    "comma": re.compile(r"-?(?:0|[1-9]\d{0,14}),\d+"),
    "date": re.compile(r"\d{4}([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"),
    "time": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
    "day_first": re.compile(r"(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.\d{4}"),
    "slashes": re.compile(r"\d{1,2}/\d{1,2}/\d{4}"),
    "boolean": re.compile(r"true|false", re.IGNORECASE),
}
_VETO = re.compile(r"[+-]?0\d+|\d{16,}")


@dataclasses.dataclass(kw_only=True)
class ColumnSurvey:
    """What the values of a column are.

    Attributes:
      name: its name.
      typed: whether a type is to be found.
      filled: number of values that are not empty.
      examples: the first different values.
    """

    name: str
    typed: bool = True
    filled: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)
    _forms: Counter[str] = dataclasses.field(default_factory=Counter)
    _nothing: int = 0

    def add(self, text: str) -> None:
        """Counts a value."""
        value = text.strip()
        if not value:
            return
        self.filled += 1
        if len(self.examples) < _EXAMPLES and value not in self.examples:
            self.examples.append(value)
        if self.typed and self._forms["text"] < _DECIDED:
            if value.lower() in _NOTHING:
                self._nothing += 1
            else:
                self._forms[_form(value)] += 1

    @property
    def type(self) -> ColumnType:
        """The type that fits."""
        return self._found()[0]

    def reader(self) -> Callable[[str], Cell]:
        """The function that reads the values as `type`."""
        return self._found()[1]

    def _found(self) -> tuple[ColumnType, Callable[[str], Cell]]:
        forms, values = self._forms, self._forms.total()
        if not values or forms["veto"] or _ID_NAME.search(self.name) or _ID_NAME.search(self.name.lower()):
            return "text", str

        def fits(*names: str) -> bool:
            found = sum(forms[name] for name in names)
            return found == values or (values >= _LEAST_WITH_FAULTS and found >= _LEAST_SHARE * values)

        if fits("integer"):
            return "integer", _value(further_values.whole_number)
        if fits("integer", "number") or fits("integer", "comma"):
            return "number", _value(further_values.decimal)
        if fits("date"):
            return "date", _value(further_values.date)
        if fits("date", "time"):
            return "time", _value(further_values.moment)
        if fits("day_first"):
            return "date", _value(_day_first)
        if forms["day/month"] and not forms["month/day"] and fits("day/month", "slashes"):
            return "date", _value(_day_first)
        if forms["month/day"] and not forms["day/month"] and fits("month/day", "slashes"):
            return "date", _value(_month_first)
        return ("boolean", _value(_boolean)) if fits("boolean") else ("text", str)

    @property
    def note(self) -> str:
        """Why the column is text although its values look like something else; empty if they do not."""
        values = self._forms.total()
        if values and self.type == "text":
            if self._forms["slashes"] == values:
                return "day and month cannot be told apart"
            if self._forms["veto"]:
                return "leading zeros or long digits"
        return ""


def typed_reader(kind: ColumnType, survey: ColumnSurvey) -> Callable[[str], Cell]:
    """The function that reads a column as a type that a user names."""
    if kind == survey.type:
        return survey.reader()
    readers: dict[ColumnType, Callable[[str], Cell]] = {
        "text": str,
        "integer": _value(further_values.whole_number),
        "number": _value(further_values.decimal),
        "date": _value(_any_date),
        "time": _value(further_values.moment),
        "boolean": _value(_boolean),
    }
    return readers[kind]


def _form(value: str) -> str:
    if _VETO.fullmatch(value):
        return "veto"
    for name, form in _FORMS.items():
        if form.fullmatch(value):
            return _slashes(value) if name == "slashes" else _comma(value) if name == "comma" else name
    return "text"


def _comma(value: str) -> str:
    """A comma before three digits may separate thousands: such a column is text."""
    return "text" if len(value.partition(",")[2]) == 3 else "comma"


def _slashes(value: str) -> str:
    """Which of the first two numbers of a date is the day, if the numbers tell."""
    first, second, _ = map(int, value.split("/"))
    if not (min(first, second) in range(1, 13) and max(first, second) <= 31):
        return "text"
    return "day/month" if first > 12 else "month/day" if second > 12 else "slashes"


def _value(read: Callable[[str], Cell]) -> Callable[[str], Cell]:
    """The function that reads a value, or None where a program wrote that there is none. Most values recur."""
    return functools.lru_cache(_RECENT)(lambda text: None if text.strip().lower() in _NOTHING else read(text))


def _day_first(text: str) -> datetime.date:
    return _date_of(text, "day, month and year", (2, 1, 0))


def _month_first(text: str) -> datetime.date:
    return _date_of(text, "month, day and year", (2, 0, 1))


def _date_of(text: str, what: str, order: tuple[int, int, int]) -> datetime.date:
    try:
        parts = [int(part) for part in re.split(r"[./-]", text.strip())]
        return datetime.date(*(parts[place] for place in order))
    except (ValueError, IndexError) as e:
        raise ValueError(f"{shown(text)} is not a date of {what}") from e


def _any_date(text: str) -> datetime.date | None:
    return _day_first(text) if _FORMS["day_first"].fullmatch(text.strip()) else further_values.date(text)


def _boolean(text: str) -> bool:
    if not _FORMS["boolean"].fullmatch(text.strip()):
        raise ValueError(f"{shown(text)} is neither true nor false")
    return text.strip().lower() == "true"
