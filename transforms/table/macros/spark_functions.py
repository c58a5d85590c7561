"""Functions of PySpark over parameterised SQL, because Spark 3.5 has no table functions in SQL."""

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


def spark_functions(prefix: str, unpublished: Unpublished, *, has_neighbours: bool) -> str:
    """The lines that define the functions, for PySpark 3.4 and later. Each returns a data frame, in order.

    Args:
      prefix: begins the names of the functions, and of the views that they read.
      unpublished: what a missing score can be.
      has_neighbours: whether the view `neighbours` exists.
    """
    return (_tags_under(prefix) + _has_tag(prefix) + _weighted_search(prefix, unpublished)) + _similar_to(
        prefix, has_neighbours
    )


def _tags_under(prefix: str) -> str:
    return f'''

def {prefix}tags_under(tag):
    """The tag that has an id now or had it earlier, and all narrower tags; several if an earlier id was split."""
    rows = spark.table("{prefix}taxonomy").collect()
    own = {{row.tag for row in rows if tag == row.tag or tag in (row.asDict().get("other_ids") or ())}}
    if not own:
        raise ValueError(f"{NO_TAG}{{tag}}{ASK_TAXONOMY}")
    while more := {{row.tag for row in rows if own.intersection(row.parents)}} - own:
        own |= more
    return sorted(own)
'''


def _has_tag(prefix: str) -> str:
    return f'''

def {prefix}has_tag(tag, p=None):
    """Tracks whose score of the tag, or of a narrower one, is at least p; without p, those that are given one."""
    if p is not None and not 0 <= p <= 1:
        raise ValueError(f"{WRONG_SCORE}{{tag}}")
    own = {{f"tag{{number}}": one for number, one in enumerate({prefix}tags_under(tag))}}
    query = f"""
        SELECT track_id, score FROM (
          SELECT track_id, max(score) AS score, bool_or(is_positive) AS is_given
          FROM {prefix}track_tags WHERE tag IN ({{", ".join(f":{{name}}" for name in own)}}) GROUP BY track_id
        )
        WHERE CASE WHEN :least IS NULL THEN is_given ELSE score >= CAST(:least AS FLOAT) END
        ORDER BY score DESC, track_id"""
    return spark.sql(query, args={{**own, "least": p}})
'''


def _weighted_search(prefix: str, unpublished: Unpublished) -> str:
    lowest = (
        ""
        if not unpublished.has_top_k
        else f"""
          UNION ALL
          SELECT track_id, place, low FROM (
            SELECT track_id, category, min(score) AS low FROM {prefix}track_tags GROUP BY track_id, category
          ) JOIN (SELECT DISTINCT place, category FROM own JOIN {prefix}taxonomy USING (tag)) USING (category)"""
    )
    return f'''

def {prefix}weighted_search(weights):
    """All tracks by the weighted sum of their log-odds, the best first: the score of catalog-tagger search."""
    args, terms, own, seen = {{}}, [], [], {{}}
    for place, (tag, weight) in enumerate(weights.items()):
        tags = tuple({prefix}tags_under(tag))
        if seen.setdefault(tags, tag) != tag:
            raise ValueError(f"{TAG_TWICE}{{tag}}")
        if not -1 <= weight <= 1:
            raise ValueError(f"{WRONG_WEIGHT}{{tag}}")
        args |= {{f"weight{{place}}": float(weight)}} | {{f"tag{{place}}_{{i}}": one for i, one in enumerate(tags)}}
        terms.append(f"SELECT {{place}} AS place, :weight{{place}} AS weight")
        own += [f"SELECT {{place}} AS place, :tag{{place}}_{{i}} AS tag" for i in range(len(tags))]
    if not terms:
        raise ValueError("nothing is asked: give tags with weights")
    query = f"""
        WITH terms AS ({{" UNION ALL ".join(terms)}}), own AS ({{" UNION ALL ".join(own)}}),
        found AS (
          SELECT track_id, place, score FROM {prefix}track_tags JOIN own USING (tag){lowest}
        ), scores AS (
          SELECT track_id, place, weight, {SEARCH_DOUBT:g}D + {SEARCH_SPAN:g}D
            * greatest(coalesce(max(round(CAST(score AS DOUBLE), 4)), 0D), {unpublished.least:g}D) AS q
          FROM (SELECT track_id, place, weight FROM {prefix}tracks CROSS JOIN terms)
          LEFT JOIN found USING (track_id, place)
          GROUP BY track_id, place, weight
        )
        SELECT track_id, round(aggregate(
          array_sort(collect_list(struct(place, weight * (ln(q) - ln(1 - q)) AS part))),
          0D, (total, one) -> total + one.part), 9) AS score
        FROM scores GROUP BY track_id
        ORDER BY score DESC, track_id"""
    return spark.sql(query, args=args)
'''


def _similar_to(prefix: str, has_neighbours: bool) -> str:
    first = f'''

def {prefix}similar_to(track):
    """The neighbours of a track, in the order of their ranks."""
'''
    if not has_neighbours:
        return f'{first}    raise ValueError(track + "{NO_NEIGHBOURS}")\n'
    return f'''{first}    query = """
        SELECT rank, t.track_id, title, artist, similarity, is_duplicate
        FROM {prefix}neighbours AS n JOIN {prefix}tracks AS t ON t.track_id = n.neighbour_id
        WHERE n.track_id = :track ORDER BY rank"""
    found = spark.sql(query, args={{"track": track}})
    if found.isEmpty():
        known = spark.sql("SELECT 1 FROM {prefix}tracks WHERE track_id = :track", args={{"track": track}})
        raise ValueError("{UNKNOWN_TRACK}" + track if known.isEmpty() else track + "{NO_NEIGHBOURS}")
    return found
'''
