"""Table functions of BigQuery."""

from collections.abc import Iterator

from transforms.table.macros.unpublished import (
    ASK_TAXONOMY,
    FUNCTIONS,
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


def bigquery_functions(prefix: str, unpublished: Unpublished, has: frozenset[str]) -> Iterator[str]:
    """The statements that create the table functions. BigQuery keeps no order of rows: a caller has to ask for it.

    Args:
      prefix: begins the names of the functions, and of the tables that they read.
      unpublished: what a missing score can be.
      has: the tables that have files, and so exist.
    """
    if not {"tracks", "track_tags", "taxonomy"} <= has:
        yield from (_dropped(prefix + name) for name in FUNCTIONS)
        return
    yield _tag_terms(prefix)
    yield _has_tag(prefix)
    yield _weighted_search(prefix, unpublished)
    if "neighbours" in has:
        yield _similar_to(prefix)
    else:
        yield f"-- {prefix}similar_to: no track{NO_NEIGHBOURS}"
        yield _dropped(prefix + "similar_to")


def _dropped(name: str) -> str:
    return f"DROP TABLE FUNCTION IF EXISTS {name};"


def _tag_terms(prefix: str) -> str:
    return f"""CREATE OR REPLACE VIEW {prefix}tag_terms AS
WITH RECURSIVE terms AS (
  SELECT tag AS id, tag FROM {prefix}taxonomy
  UNION ALL
  SELECT other_id AS id, tag FROM {prefix}taxonomy CROSS JOIN UNNEST(other_ids) AS other_id
), own AS (
  SELECT id, tag FROM terms
  UNION ALL
  SELECT own.id, x.tag FROM own JOIN {prefix}taxonomy AS x ON own.tag IN UNNEST(x.parents)
)
SELECT DISTINCT id, tag FROM own;"""


def _has_tag(prefix: str) -> str:
    terms = f"SELECT tag FROM {prefix}tag_terms WHERE id = wanted_tag"
    return f"""CREATE OR REPLACE TABLE FUNCTION {prefix}has_tag(wanted_tag STRING, least_score FLOAT64) AS (
WITH own AS ({terms}), wanted AS (
  SELECT tag FROM own
  UNION ALL
  SELECT ERROR(CONCAT('{NO_TAG}', wanted_tag, '{ASK_TAXONOMY}'))
  FROM (SELECT COUNT(*) AS tags FROM own) WHERE tags = 0
), scores AS (
  SELECT track_id, MAX(ROUND(score, 4)) AS score, LOGICAL_OR(is_positive) AS is_given
  FROM {prefix}track_tags JOIN wanted USING (tag) GROUP BY track_id
)
SELECT track_id, score FROM scores
WHERE CASE WHEN least_score IS NULL THEN is_given WHEN least_score BETWEEN 0 AND 1 THEN score >= least_score
  ELSE ERROR(CONCAT('{WRONG_SCORE}', wanted_tag)) END
);"""


def _weighted_search(prefix: str, unpublished: Unpublished) -> str:
    lowest = f"""
  UNION ALL
  SELECT low.track_id, places.place, low.score
  FROM (SELECT track_id, category, MIN(score) AS score FROM {prefix}track_tags GROUP BY track_id, category) AS low
  JOIN (SELECT DISTINCT place, category FROM own JOIN {prefix}taxonomy USING (tag)) AS places USING (category)"""
    return f"""CREATE OR REPLACE TABLE FUNCTION {prefix}weighted_search(
  tag_weights ARRAY<STRUCT<tag STRING, weight FLOAT64>>
) AS (
WITH asked AS (
  SELECT place, one.tag AS id, one.weight FROM UNNEST(tag_weights) AS one WITH OFFSET AS place
), own AS (
  SELECT asked.place, terms.tag FROM asked JOIN {prefix}tag_terms AS terms USING (id)
), named AS (
  SELECT place, id, weight, STRING_AGG(own.tag ORDER BY own.tag) AS tags
  FROM asked LEFT JOIN own USING (place) GROUP BY place, id, weight
), checked AS (
  SELECT place, CASE WHEN tags IS NULL THEN ERROR(CONCAT('{NO_TAG}', id, '{ASK_TAXONOMY}'))
    WHEN COUNT(*) OVER (PARTITION BY tags) > 1 THEN ERROR(CONCAT('{TAG_TWICE}', id))
    WHEN weight BETWEEN -1 AND 1 THEN weight ELSE ERROR(CONCAT('{WRONG_WEIGHT}', id)) END AS weight
  FROM named
), found AS (
  SELECT track_id, place, score FROM {prefix}track_tags JOIN own USING (tag){lowest if unpublished.has_top_k else ""}
), scores AS (
  SELECT every.track_id, every.weight, {SEARCH_DOUBT:g} + {SEARCH_SPAN:g}
    * GREATEST(COALESCE(MAX(ROUND(found.score, 4)), 0), {unpublished.least:g}) AS q
  FROM (SELECT track_id, place, weight FROM {prefix}tracks CROSS JOIN checked) AS every
  LEFT JOIN found USING (track_id, place)
  GROUP BY every.track_id, every.place, every.weight
)
-- The order of a sum of FLOAT64 is not fixed: rounding gives tracks with the same scores the same sum.
SELECT track_id, ROUND(SUM(weight * (LN(q) - LN(1 - q))), 9) AS score
FROM scores
GROUP BY track_id
);"""


def _similar_to(prefix: str) -> str:
    return f"""CREATE OR REPLACE TABLE FUNCTION {prefix}similar_to(of_track STRING) AS (
WITH near AS (
  SELECT rank, neighbour_id, similarity, is_duplicate FROM {prefix}neighbours WHERE track_id = of_track
), found AS (
  SELECT rank, neighbour_id, similarity, is_duplicate FROM near
  UNION ALL
  SELECT 0, ERROR(IF(of_track IN (SELECT track_id FROM {prefix}tracks),
    CONCAT(of_track, '{NO_NEIGHBOURS}'), CONCAT('{UNKNOWN_TRACK}', of_track))), 0.0, FALSE
  FROM (SELECT COUNT(*) AS tracks FROM near) WHERE tracks = 0
)
SELECT found.rank, t.track_id, t.title, t.artist, found.similarity, found.is_duplicate
FROM found JOIN {prefix}tracks AS t ON t.track_id = found.neighbour_id
);"""
