"""What a playlist shall be."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

from transforms.discovery.search.request import SearchRequest
from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.formats.quantities import quantity

Shape = Literal["constant", "rising", "arc"]
"""How a property goes through a playlist: it stays, rises, or rises to the middle and falls."""

FLOWS = ("tempo", "key", "energy")
"""Properties that can flow."""

MOST_TRACKS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlaylistRequest:
    """A playlist.

    Attributes:
      target: tags, words and conditions, without a text vector; its limit is not used.
      seeds: tracks that the others shall sound like. They are not in the playlist themselves.
      start: tracks that the playlist begins with, in this order, whatever they are.
      tracks: most tracks, those of `start` included.
      minutes: most minutes, those of `start` included.
      per_artist: most tracks of an artist, those of `start` included.
      exclude: tracks that must not be added.
      flows: property -> its shape.
      diversity: weight of the difference to the tracks chosen before, 0 to 1; relevance has the rest.
    """

    target: SearchRequest = dataclasses.field(default_factory=SearchRequest)
    seeds: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    tracks: int | None = None
    minutes: float | None = None
    per_artist: int = 2
    exclude: frozenset[str] = frozenset()
    flows: Mapping[str, Shape] = dataclasses.field(default_factory=dict)
    diversity: float = 0.3

    def __post_init__(self) -> None:
        if self.tracks is not None and not 1 <= self.tracks <= MOST_TRACKS:
            raise DiscoveryError(f"{self.tracks} tracks: give a number from 1 to {MOST_TRACKS}")
        if self.minutes is not None and not 0 < self.minutes <= 6_000:
            raise DiscoveryError(f"{self.minutes:g} minutes: give a number above 0 and up to 6000")
        if self.tracks is None and self.minutes is None:
            raise DiscoveryError("no length: give a number of tracks or minutes")
        if self.target.sounds_like is not None:
            raise DiscoveryError(
                "a playlist takes no text vector: search with it, and give tracks of the answer as seeds"
            )
        if self.per_artist < 1:
            raise DiscoveryError(f"{self.per_artist} tracks per artist: give at least 1")
        if not 0 <= self.diversity <= 1:
            raise DiscoveryError(f"diversity {self.diversity:g}: give a number from 0 to 1")
        if self.tracks is not None and len(self.start) > self.tracks:
            raise DiscoveryError(
                f"the playlist has {quantity(len(self.start), 'track')} already, and shall have {self.tracks}"
            )
        for name, shape in self.flows.items():
            if name not in FLOWS or shape not in get_args(Shape):
                raise DiscoveryError(
                    f"flow {name}={shape}: write {', '.join(FLOWS)} with {', '.join(get_args(Shape))}, as tempo=rising"
                )
