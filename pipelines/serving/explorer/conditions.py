"""Which tracks the page asks for: the filters of `/v1/tracks`, with the ranges kept apart.

A tag stands for its narrower tags too, as in `search --must`.
"""

import dataclasses
from typing import Annotated

from fastapi import Depends, Query

from pipelines.serving import filters
from pipelines.serving.finding.choosing import MinScore, TagTexts, WithoutTexts, chosen_tracks, tag_wishes_of
from pipelines.serving.requests import Leased

MOST_ITEMS = 16
_EXACTLY = {"max_length": 1024, "description": "Exactly this value."}
_Texts = Annotated[list[str] | None, Query(max_length=MOST_ITEMS)]


@dataclasses.dataclass(frozen=True)
class TrackFilters:
    """Conditions on tracks.

    Attributes:
      fixed: all conditions but the ranges.
      ranges: column -> the conditions of its range.
    """

    fixed: filters.Conditions
    ranges: dict[str, filters.Conditions]

    def conditions(self, without: str | None = None) -> filters.Conditions:
        """All conditions, or those without the range of one column."""
        own = [one for name, found in self.ranges.items() if name != without for one in found]
        return [*self.fixed, *own]


def _filters(
    opened: Leased,
    q: Annotated[
        str | None, Query(max_length=200, description="Words in title or artist.", examples=["slow river"])
    ] = None,
    artist_id: Annotated[str | None, Query(**_EXACTLY, examples=["artist-01"])] = None,
    album_id: Annotated[str | None, Query(**_EXACTLY, examples=["album-0101"])] = None,
    country: Annotated[str | None, Query(**_EXACTLY, examples=["FR"])] = None,
    language: Annotated[str | None, Query(**_EXACTLY, examples=["en"])] = None,
    range: Annotated[
        _Texts, Query(description="`COLUMN:LOW..HIGH`, each end optional.", examples=[["year:1990..1999"]])
    ] = None,
    tag: TagTexts = None,
    without: WithoutTexts = None,
    min_score: MinScore = None,
) -> TrackFilters:
    named = {"artist_id": artist_id, "album_id": album_id, "country": country, "language": language}
    fixed = [
        *filters.equal_conditions(named),
        *chosen_tracks(opened, q, tag_wishes_of(opened, tag, without, min_score)),
    ]
    ranges: dict[str, filters.Conditions] = {}
    for text in range or []:
        found = filters.range_conditions([text], opened.columns)
        ranges.setdefault(text.partition(":")[0], []).extend(found)
    return TrackFilters(fixed, ranges)


Filtered = Annotated[TrackFilters, Depends(_filters, scope="function")]
"""The filters of a request, as an argument of a path's function."""
