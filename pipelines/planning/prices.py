"""Prices of a provider, from the YAML file of `--prices`."""

import dataclasses
from typing import Any, Self

from pipelines.terminal.errors import CommandFailed
from transforms import storage
from transforms.formats.documents import YAML_BYTES, parse_yaml
from transforms.formats.record_types import check_types
from transforms.tagging.costs import RunEstimate

GIGABYTE = 1e9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices in one currency.

    Attributes:
      currency: name of the currency, for the answer.
      core_hour: one core for one hour, with its memory.
      storage_gb_month: one gigabyte (10^9 bytes) of storage for one month.
      read_gb: one gigabyte that is read from storage, for example of other regions.
    """

    currency: str
    core_hour: float
    storage_gb_month: float = 0.0
    read_gb: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("core_hour", "storage_gb_month", "read_gb"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, below 0")

    @classmethod
    def load(cls, url: str) -> Self:
        """Reads a file of prices.

        Raises:
          CommandFailed: the file is missing or is not as documented.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        try:
            found = parse_yaml(storage.read_bytes(url, max_bytes=YAML_BYTES))
            if not isinstance(found, dict):
                raise ValueError("it has no names and values")
            if unknown := [str(name) for name in found if name not in names]:
                raise ValueError(f"{unknown[0]:.60} is no price: known are {', '.join(names)}")
            if missing := [name for name in ("currency", "core_hour") if name not in found]:
                raise ValueError(f"{missing[0]} is missing")
            return cls(**found)
        except (storage.StorageError, ValueError, TypeError) as error:
            text = str(error).removeprefix(f"{url}: ")
            raise CommandFailed(f"--prices {url}: {text}: see deploy/prices.yaml for an example") from error

    def of(self, estimate: RunEstimate) -> dict[str, Any]:
        """The cost of a run; a part is None if it is not known. `storage_month`: one month of what the run writes."""
        stored = _sum(estimate.table_bytes, estimate.part_bytes)
        parts = {
            "compute": _times(estimate.core_hours, self.core_hour),
            "read": _times(estimate.read_bytes, self.read_gb / GIGABYTE),
            "storage_month": _times(stored, self.storage_gb_month / GIGABYTE),
        }
        return {"currency": self.currency, **parts, "total": _sum(*parts.values())}


def _times(amount: float | None, price: float) -> float | None:
    return 0.0 if not price else None if amount is None else amount * price


def _sum(*values: float | None) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)
