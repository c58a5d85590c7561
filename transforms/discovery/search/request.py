"""What a search asks for, and how texts of a command line say it."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Self

from transforms.discovery.search.vocabulary import DiscoveryError

_RANGE = re.compile(r"(-?[\d.]+(?:e-?\d+)?)?\.\.(-?[\d.]+(?:e-?\d+)?)?")


@dataclasses.dataclass(frozen=True)
class ValueRange:
    """A range of a column, both ends included; None: open."""

    low: float | None
    high: float | None

    @classmethod
    def of(cls, text: str) -> Self:
        """Reads `120..128`, `120..`, `..128` or `4`.

        Raises:
          DiscoveryError: the text is no range.
        """
        try:
            found = _RANGE.fullmatch(text.strip())
            ends = [float(end) if end else None for end in (found.groups() if found else (text, text))]
        except ValueError:
            ends = [None, None]
        if ends == [None, None] or any(end is not None and not math.isfinite(end) for end in ends):
            raise DiscoveryError(f"range {text!r}: write LOW..HIGH, LOW.., ..HIGH or one number")
        low, high = ends
        if low is not None and high is not None and low > high:
            raise DiscoveryError(f"range {text!r}: {low:.15g} is greater than {high:.15g}: swap them")
        return cls(low, high)

    def __str__(self) -> str:
        return "..".join("" if end is None else f"{end:.15g}" for end in (self.low, self.high))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextVector:
    """A text as a vector of the space in which a trunk's patch embeddings are.

    Attributes:
      text: the text, for messages.
      values: the vector, of any length but 0.
      text_id: id of the text network.
      trunk_id: id of the trunk, see `Run.trunk_ids`.
    """

    text: str
    values: tuple[float, ...]
    text_id: str
    trunk_id: str

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, self.values)) or not any(self.values):
            raise DiscoveryError(f"text {self.text!r}: its vector is zero or not finite")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """A search.

    Attributes:
      weights: tag, as `Vocabulary.find` reads it -> weight, -1 to 1.
      words: plain words, which become further weights.
      sounds_like: a text as a vector, with which the sound of the tracks is compared.
      must: tags that a track must have: they, or a narrower tag, are positive.
      must_not: tags that a track must not have.
      ranges: column of `tracks` -> range of its values. A track without a value is left out.
      only: column of `tracks` -> the values of which it must have one.
      where: SQL predicate on the columns of `tracks`.
      text: words that title or artist have.
      key: a key; only tracks in compatible keys remain.
      limit: most tracks of the answer.
    """

    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    words: str | None = None
    sounds_like: TextVector | None = None
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    ranges: Mapping[str, ValueRange] = dataclasses.field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    where: str | None = None
    text: str | None = None
    key: str | None = None
    limit: int = 20

    def __post_init__(self) -> None:
        for tag, weight in self.weights.items():
            if not -1 <= weight <= 1:
                raise DiscoveryError(f"weight {weight:g} of tag {tag}: give a number from -1 to 1")
        if self.limit < 1:
            raise DiscoveryError(f"limit {self.limit}: give at least 1")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked, so that all tracks would be answers of equal score."""
        asked = (self.weights, self.words, self.sounds_like, self.must, self.must_not, self.ranges, self.only)
        return not any([*asked, self.where, self.text, self.key])


def weight_of(text: str) -> tuple[str, float]:
    """Reads `mood/calm=0.8` as (tag, weight); without a weight, it is 1.

    Raises:
      DiscoveryError: the weight is no number.
    """
    tag, equals, weight = text.rpartition("=")
    if not equals:
        return text, 1.0
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DiscoveryError(f"{text!r}: {weight!r} is no weight: write TAG=WEIGHT with a number from -1 to 1")
    return tag, value


def named_value(text: str, form: str = "COLUMN=VALUE") -> tuple[str, str]:
    """Reads a name and its value, in the form that a message shows.

    Raises:
      DiscoveryError: there is no name or no value.
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise DiscoveryError(f"{text!r}: write {form}")
    return name.strip(), value.strip()
