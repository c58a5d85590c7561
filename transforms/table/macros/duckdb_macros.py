"""Table macros of DuckDB."""

from collections.abc import Iterator

from transforms.table.macros.unpublished import (
    ASK_TAXONOMY,
    NO_NEIGHBOURS,
    NO_TAG,
    SEARCH_DOUBT,
    SEARCH_SPAN,
    TAG_TWICE,
    UNKNOWN_TRACK,
    WRONG_SCORE,
    WRONG_WEIGHT,
    Unpublished,
)

# A macro's parameter takes the place of every column with its name. So no parameter has the name of a column.


def duckdb_macros(prefix: str, unpublished: Unpublished) -> Iterator[str]:
    """The statements that create the table macros, for DuckDB 1.4 and later.

    Args:
      prefix: begins the names of the macros, and of the views that they read.
      unpublished: what a missing score can be.
    """
    yield _has_tag(prefix)
    yield _weighted_search(prefix, unpublished)
    yield _similar_to(prefix)


def _has_tag(prefix: str) -> str:
    return f"""CREATE OR REPLACE MACRO {prefix}has_tag(wanted_tag, least_score := NULL) AS TABLE
WITH RECURSIVE own AS (
  SELECT tag FROM {prefix}tag_ids WHERE id = wanted_tag
  UNION
  SELECT x.tag FROM own JOIN {prefix}taxonomy AS x ON list_contains(x.parents, own.tag)
), wanted AS (
  FROM own
  UNION ALL
  SELECT error('{NO_TAG}' || coalesce(wanted_tag, 'NULL') || '{ASK_TAXONOMY}') WHERE NOT EXISTS (FROM own)
)
SELECT track_id, score FROM (
  SELECT track_id, max(score) AS score, bool_or(is_positive) AS is_given
  FROM {prefix}track_tags SEMI JOIN wanted USING (tag) GROUP BY track_id
)
WHERE CASE WHEN least_score IS NULL THEN is_given
  WHEN least_score::DOUBLE BETWEEN 0 AND 1 THEN score >= least_score::FLOAT
  ELSE error('{WRONG_SCORE}' || wanted_tag)::BOOLEAN END
ORDER BY score DESC, track_id;"""


def _weighted_search(prefix: str, unpublished: Unpublished) -> str:
    lowest = f"""
  UNION ALL
  SELECT track_id, place, low FROM (
    SELECT track_id, category, min(score) AS low FROM {prefix}track_tags GROUP BY track_id, category
  ) JOIN (SELECT DISTINCT place, category FROM own JOIN {prefix}taxonomy USING (tag)) USING (category)"""
    return f"""CREATE OR REPLACE MACRO {prefix}weighted_search(tag_weights) AS TABLE
WITH RECURSIVE asked AS (
  SELECT unnest(range(len(map_keys(tag_weights)))) AS place, unnest(map_keys(tag_weights)) AS id,
    unnest(map_values(tag_weights))::DOUBLE AS weight
), own AS (
  SELECT place, tag FROM asked JOIN {prefix}tag_ids USING (id)
  UNION
  SELECT place, x.tag FROM own JOIN {prefix}taxonomy AS x ON list_contains(x.parents, own.tag)
), named AS (
  SELECT place, id, weight, list_sort(list(tag)) AS tags FROM asked LEFT JOIN own USING (place) GROUP BY ALL
), terms AS (
  SELECT place, CASE WHEN tags[1] IS NULL THEN error('{NO_TAG}' || id || '{ASK_TAXONOMY}')
    WHEN count(*) OVER (PARTITION BY tags) > 1 THEN error('{TAG_TWICE}' || id)
    WHEN weight BETWEEN -1 AND 1 THEN weight ELSE error('{WRONG_WEIGHT}' || id) END AS weight
  FROM named
), found AS (
  SELECT track_id, place, score FROM {prefix}track_tags JOIN own USING (tag){lowest if unpublished.has_top_k else ""}
), scores AS (
  SELECT track_id, place, {SEARCH_DOUBT:g}::DOUBLE + {SEARCH_SPAN:g}
    * greatest(coalesce(max(round(score::DOUBLE, 4)), 0), {unpublished.least:g}) AS q
  FROM (SELECT track_id, place FROM {prefix}tracks, terms) LEFT JOIN found USING (track_id, place)
  GROUP BY track_id, place
)
SELECT track_id, round(list_sum(list(weight * (ln(q) - ln(1 - q)) ORDER BY place)), 9) AS score
FROM scores JOIN terms USING (place)
GROUP BY track_id
ORDER BY score DESC, track_id;"""


def _similar_to(prefix: str) -> str:
    return f"""CREATE OR REPLACE MACRO {prefix}similar_to(of_track) AS TABLE
WITH near AS (FROM {prefix}neighbours WHERE track_id = of_track), found AS (
  SELECT rank, neighbour_id AS track_id, similarity, is_duplicate FROM near
  UNION ALL
  SELECT 0, error(CASE WHEN of_track IN (SELECT track_id FROM {prefix}tracks)
    THEN of_track || '{NO_NEIGHBOURS}' ELSE '{UNKNOWN_TRACK}' || coalesce(of_track, 'NULL') END), 0, false
  WHERE NOT EXISTS (FROM near)
)
SELECT rank, track_id, title, artist, similarity, is_duplicate
FROM found JOIN {prefix}tracks USING (track_id)
ORDER BY rank;"""
