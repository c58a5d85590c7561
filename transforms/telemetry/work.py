"""Values of measures: those of one element, and their sums over a job."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from transforms.telemetry.counters import CORE_TIME, Measure


class Work:
    """What one element of a stage took: every value of every measure, so that an engine can show distributions."""

    def __init__(self) -> None:
        self.values: dict[Measure, list[int]] = {}

    def add(self, measure: Measure, value: int) -> None:
        """Adds one value."""
        self.values.setdefault(measure, []).append(value)

    def add_all(self, values: Mapping[Measure, int]) -> None:
        """Adds one value of each measure."""
        for measure, value in values.items():
            self.add(measure, value)


@dataclasses.dataclass(kw_only=True)
class Spread:
    """How many values there were, their sum, and the least and the greatest of them."""

    count: int
    sum: int
    min: int
    max: int

    def merge(self, other: "Spread") -> None:
        """Adds the values behind another spread."""
        self.count, self.sum = self.count + other.count, self.sum + other.sum
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)


class WorkTotals:
    """Sums of the work of many elements; the same in whichever order they are added."""

    def __init__(self) -> None:
        self._spreads: dict[Measure, Spread] = {}

    def add(self, work: Work) -> None:
        """Adds the work of one element."""
        for measure, values in work.values.items():
            self._merge(measure, Spread(count=len(values), sum=sum(values), min=min(values), max=max(values)))

    def merge(self, other: "WorkTotals") -> None:
        """Adds other sums to these."""
        for measure, spread in other._spreads.items():
            self._merge(measure, spread)

    def _merge(self, measure: Measure, spread: Spread) -> None:
        if measure in self._spreads:
            self._spreads[measure].merge(spread)
        else:
            self._spreads[measure] = dataclasses.replace(spread)

    def to_json(self) -> dict[str, Any]:
        """The sums as manifests and receipts have them.

        `core_seconds`: stage -> processor time; `counters`: stage -> name -> sum; `distributions`: stage -> name ->
        count, sum, min and max.
        """
        found: dict[str, dict[str, Any]] = {"core_seconds": {}, "counters": {}, "distributions": {}}
        for measure, spread in sorted(self._spreads.items(), key=lambda item: (item[0].stage, item[0].name)):
            if measure.unit == CORE_TIME:
                found["core_seconds"][measure.stage] = spread.sum / 1e6
            elif measure.kind == "counter":
                found["counters"].setdefault(measure.stage, {})[measure.name] = spread.sum
            else:
                found["distributions"].setdefault(measure.stage, {})[measure.name] = dataclasses.asdict(spread)
        return found
