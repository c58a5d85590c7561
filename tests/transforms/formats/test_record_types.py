"""Values of other types than the manifest declares are found, wherever they are."""

import dataclasses
from typing import Any

import pytest

from transforms.formats.record_types import check_types


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    known: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    count: int = 1
    share: float = 0.5
    parent: int | None = None
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    rows: tuple[float, ...] = ()
    inner: tuple[Inner, ...] = ()
    free: dict[str, Any] = dataclasses.field(default_factory=dict)


GOOD: list[dict[str, Any]] = [
    {},
    {"parent": 3, "counts": {"a": 2}, "rows": (1, 2.5), "inner": (Inner(name="x"),)},
    {"share": 1, "free": {"a": [None, "x"]}},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"count": 1.0}, r"count is 1\.0 instead of a whole number"),
    ({"count": True}, "count is True"),
    ({"share": float("nan")}, "share is nan instead of a finite number"),
    ({"share": 10**400}, "share is 1000"),
    ({"share": None}, "share is None"),
    ({"parent": "1"}, "parent is '1'"),
    ({"counts": {"carried": []}}, r"counts\.carried is \[\]"),
    ({"counts": []}, r"counts is \[\] instead of an object"),
    ({"rows": (1, float("inf"))}, r"rows\[1\] is inf"),
    ({"rows": 5}, "rows is 5 instead of a list"),
    ({"inner": (Inner(name="\x1b"), Inner(name=7))}, r"inner\[1\]\.name is 7"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("values", GOOD)
def test_values_of_the_declared_types_pass(values: dict[str, Any]) -> None:
    check_types(Record(**values))


@pytest.mark.parametrize(("values", "words"), BAD)
def test_other_values_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words) as refusal:
        check_types(Record(**values))
    assert len(str(refusal.value)) < 200
