"""What the functions of SQL know about scores: the doubt of a search, and scores that a snapshot does not have."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

FUNCTIONS = ("has_tag", "weighted_search", "similar_to")
"""Names of the functions, after the prefix of a snapshot."""

SEARCH_DOUBT = 0.1
"""How far the probability of a tag stays from 0 and 1, as in the command `search`."""

SEARCH_SPAN = 1 - 2 * SEARCH_DOUBT
"""What a score of 1 adds to the probability."""


@dataclasses.dataclass(frozen=True)
class Unpublished:
    """The greatest value that a score can have which is not in `track_tags`.

    Attributes:
      least: the snapshot has all scores from here on.
      has_top_k: whether it has only the best scores of each category, so that a missing one is at most the lowest of
        the track's category.
    """

    least: float = 0.0
    has_top_k: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options of a run that select the published rows."""
        return cls(round(float(options.get("min_score") or 0.0), 4), options.get("top_k") is not None)


NO_TAG = "no tag of this snapshot has the id "
ASK_TAXONOMY = "; SELECT tag, name FROM taxonomy lists all tags"
TAG_TWICE = "give each tag once: another id of the same tag is "
WRONG_WEIGHT = "give a weight from -1 to 1 to "
WRONG_SCORE = "give a lowest score from 0 to 1 to "
UNKNOWN_TRACK = "no track of this snapshot has the id "
NO_NEIGHBOURS = " has no neighbours in this snapshot: run `catalog-tagger neighbours TABLE`, and open the new snapshot"
"""Beginnings and ends of what the functions say if they cannot answer."""
