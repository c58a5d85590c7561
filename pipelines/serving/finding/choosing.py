"""Tracks that are chosen by what is in memory: words of titles and artists, and all scores of all tags."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Query

from pipelines.serving.filters import (
    Conditions,
    TagWish,
    chosen_condition,
    joined_conditions,
    only_chosen,
    tag_wishes,
    wish_condition,
)
from pipelines.serving.finding.chosen import TrackMasks
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.finding.scores import all_tags, kept_scores, scores_fit
from pipelines.serving.finding.texts import text_index
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_ids_with_narrower
from transforms.discovery.search.texts import RowMask, row_mask, text_words

_Texts = list[str] | None
TagTexts = Annotated[
    _Texts,
    Query(
        max_length=16,
        description="A tag that tracks have: it or a narrower one is positive, or has `min_score`. `TAG:0.8`: with "
        "this score or more. All tags of a track count, also those that are not in `top_tags`.",
        examples=[["mood/calm"]],
    ),
]
WithoutTexts = Annotated[
    _Texts, Query(max_length=16, description="A tag that tracks do not have, likewise.", examples=[["genre/funk"]])
]
MinScore = Annotated[
    float | None,
    Query(
        ge=0,
        le=1,
        description="From which score on a track has a tag, as `p` of `has_tag` in SQL; by default from the tag's own "
        "threshold on.",
        examples=[0.5],
    ),
]


def tag_wishes_of(opened: OpenSnapshot, tag: _Texts, without: _Texts, min_score: float | None) -> list[TagWish]:
    """What these parameters ask for; see `tag_wishes` for errors."""
    return tag_wishes(tag or [], without or [], min_score, tag_ids_with_narrower(opened))


def chosen_tracks(opened: OpenSnapshot, text: str | None, tags: Sequence[TagWish]) -> Conditions:
    """Tracks whose title and artist have all words of a text, as `search --text` finds them, and that have some tags,
    as `has_tag` in SQL finds them. Scores that do not fit into the cache are looked for in the table.

    Args:
      opened: the snapshot.
      text: None or spaces: any.
      tags: all of them hold.

    Raises:
      DiscoveryError: the text has no letters or digits.
      Problem: the time is over.
    """
    words = text_words(text) if text is not None and text.strip() else []
    kept = tags if scores_fit(opened) else ()
    rest: Conditions = [] if kept else [wish_condition(one) for one in tags]
    if not words and not kept:
        return rest
    masks = list(_masks(opened, words, kept))
    return [chosen_condition(TrackMasks(opened.reader, masks)), *rest]


def tracks_meeting(opened: OpenSnapshot, conditions: Conditions) -> TrackMasks:
    """The tracks that meet conditions, by a query if these are not about chosen tracks alone."""
    if (chosen := only_chosen(conditions)) is not None:
        return chosen
    reader = opened.reader
    if not conditions:
        return TrackMasks(reader, [np.ones(len(reader.bucket_ids(n)), np.bool_) for n in range(reader.buckets)])
    where, values = joined_conditions(conditions)
    kept = opened.table(f"SELECT track_id FROM tracks WHERE {where}", values)["track_id"]
    ids = [reader.bucket_ids(bucket) for bucket in range(reader.buckets)]
    mask = row_mask(pc.is_in(pa.chunked_array(ids, pa.string()), value_set=kept))
    return TrackMasks(reader, np.split(mask, np.cumsum([len(own) for own in ids])[:-1]))


def _masks(opened: OpenSnapshot, words: Sequence[str], tags: Sequence[TagWish]) -> Iterator[RowMask]:
    """Which tracks of each bucket have all words and tags."""
    deadline, places = Deadline(opened.query_s), all_tags(opened)
    for bucket in range(opened.reader.buckets):
        deadline.check()
        parts = [text_index(opened.reader, bucket).mask(words)] if words else []
        scores = kept_scores(opened.reader, bucket, list(places)) if tags else None
        parts += [scores.has([places[tag] for tag in one.tags], one.least) == one.wanted for one in tags if scores]
        yield np.logical_and.reduce(parts)
