"""The result of one check."""

import dataclasses
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
      name: what was checked.
      state: `failed` if a job would fail because of it.
      text: what was found, with its value.
      remedy: what to do; "" if nothing needs to be done.
    """

    name: str
    state: State
    text: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The finding as one line of text."""
        marks = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
        return f"{marks[self.state]}  {self.name}: {self.text}" + (f": {self.remedy}" if self.remedy else "")
