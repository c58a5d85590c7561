-- Typical questions, for DuckDB. catalog-tagger query TABLE --questions lists them, and --question 6 answers one; in DuckDB
-- itself, open the tables with catalog-tagger sql TABLE --engine duckdb --previous. Questions 6 and 7 compare with the
-- snapshot before, whose tables are previous_tracks and so on. Those of snapshot 3 are snapshot_3_tracks and so on
-- (in DuckDB: --also-snapshot 3).
-- The view tag_ids has each id of a tag, also earlier ones: JOIN tag_ids USING (tag) and id = 'mood/old' find the tag of
-- today. Tags and ids are those of `make demo`; replace them with your own.

-- 1. Which tags are most frequent?
SELECT tag, count(*) AS tracks, round(avg(score), 3) AS mean_score
FROM track_tags
WHERE is_positive
GROUP BY tag
ORDER BY tracks DESC, tag
LIMIT 20;

-- 2. All calm instrumental tracks, the calmest first. A parent's score is at least its child's: that of calm, of warm.
SELECT t.track_id, t.title, t.artist, calm.score AS calm, voice.score AS instrumental
FROM tracks AS t
JOIN track_tags AS calm ON calm.track_id = t.track_id AND calm.tag = 'mood/calm' AND calm.is_positive
JOIN track_tags AS voice ON voice.track_id = t.track_id AND voice.tag = 'voice/instrumental' AND voice.is_positive
ORDER BY calm.score DESC, t.track_id;

-- 3. How do the shares of genres change over the years?
SELECT (t.year // 10) * 10 AS decade, g.tag AS genre, count(*) AS tracks,
  round(100 * count(*) / sum(count(*)) OVER (PARTITION BY decade), 1) AS percent
FROM tracks AS t
JOIN track_tags AS g USING (track_id)
WHERE g.category = 'genre' AND g.is_positive
GROUP BY decade, genre
ORDER BY decade, tracks DESC, genre;

-- 4. What does an artist sound like? Mean scores over the artist's tracks, and over the whole catalog.
SELECT s.tag,
  round(avg(s.score) FILTER (t.artist_id = 'artist-001'), 3) AS of_artist,
  round(avg(s.score), 3) AS of_catalog
FROM track_tags AS s
JOIN tracks AS t USING (track_id)
GROUP BY s.tag
ORDER BY of_artist - of_catalog DESC, s.tag
LIMIT 10;

-- 5. What was rejected, and why?
SELECT reason, stage, track_id, uri, detail
FROM ledger
WHERE status = 'rejected'
ORDER BY reason, track_id;

-- 6. What changed since the snapshot before? A null means that the track is new, or was removed.
SELECT before.status AS before, now.status AS now, count(*) AS tracks
FROM ledger AS now
FULL JOIN previous_ledger AS before USING (track_id)
GROUP BY ALL
ORDER BY tracks DESC, before, now;

-- 7. Which tags did tracks gain or lose since the snapshot before? Only tracks of both snapshots count. A tag that left
-- the taxonomy is lost by all its tracks; a new one is gained. tag_ids follows a tag that was renamed or merged.
WITH kept AS (SELECT track_id FROM tracks SEMI JOIN previous_tracks USING (track_id)),
  renamed AS (
    SELECT id, min(tag) AS tag
    FROM tag_ids
    WHERE id IN (SELECT tag FROM previous_taxonomy) AND id NOT IN (SELECT tag FROM taxonomy)
    GROUP BY id
    HAVING count(*) = 1
  ),
  now AS (SELECT track_id, tag, score, is_positive FROM track_tags SEMI JOIN kept USING (track_id)),
  before AS (
    SELECT p.track_id, coalesce(r.tag, p.tag) AS tag, max(p.score) AS score, bool_or(p.is_positive) AS is_positive
    FROM previous_track_tags AS p
    SEMI JOIN kept ON kept.track_id = p.track_id
    LEFT JOIN renamed AS r ON r.id = p.tag
    GROUP BY ALL
  )
SELECT tag,
  CASE WHEN tag NOT IN (SELECT tag FROM taxonomy) THEN 'removed'
    WHEN tag IN (SELECT tag FROM previous_taxonomy) THEN 'kept'
    WHEN tag IN (SELECT tag FROM renamed) THEN 'renamed' ELSE 'new' END AS in_taxonomy,
  count(*) FILTER (now.is_positive AND NOT coalesce(before.is_positive, false)) AS gained,
  count(*) FILTER (before.is_positive AND NOT coalesce(now.is_positive, false)) AS lost,
  round(max(abs(now.score - before.score)), 4) AS largest_move
FROM now
FULL JOIN before USING (track_id, tag)
GROUP BY tag
ORDER BY gained + lost DESC, tag;

-- 8. Which tags of different categories co-occur? Lift: how many times more often than if they were independent.
WITH positive AS (SELECT track_id, tag, category FROM track_tags WHERE is_positive),
  single AS (SELECT tag, count(*) AS tracks FROM positive GROUP BY tag),
  pairs AS (
    SELECT a.tag AS tag_a, b.tag AS tag_b, count(*) AS together
    FROM positive AS a
    JOIN positive AS b ON a.track_id = b.track_id AND a.category < b.category
    GROUP BY ALL
  )
SELECT tag_a, tag_b, together, round(together * (SELECT count(*) FROM tracks) / (a.tracks * b.tracks), 2) AS lift
FROM pairs
JOIN single AS a ON a.tag = tag_a
JOIN single AS b ON b.tag = tag_b
ORDER BY together DESC, lift DESC, tag_a, tag_b
LIMIT 20;

-- 9. How does the share of positive tracks compare with the share of annotated tracks? A track is annotated in a category
-- if one of its tags there has a weight. Then every tag of the category counts: given if it, or a tag under it, has a
-- weight above 0, and otherwise not given.
WITH RECURSIVE under AS (
    SELECT tag, tag AS broader FROM taxonomy
    UNION
    SELECT u.tag, parent.tag FROM under AS u JOIN taxonomy AS x ON x.tag = u.broader, unnest(x.parents) AS parent(tag)
  ),
  given AS (
    SELECT u.broader AS tag, count(DISTINCT t.track_id) AS tracks
    FROM track_tags AS t JOIN under AS u ON u.tag = t.tag
    WHERE t.expert_weight > 0
    GROUP BY u.broader
  ),
  annotated AS (
    SELECT category, count(DISTINCT track_id) AS tracks FROM track_tags WHERE expert_weight IS NOT NULL GROUP BY category
  ),
  scored AS (
    SELECT tag, count(*) FILTER (is_positive) AS positive, avg(score) AS mean_score FROM track_tags GROUP BY tag
  )
SELECT x.tag, x.threshold,
  round(coalesce(s.positive, 0) / tagged.tracks, 3) AS positive_share,
  round(s.mean_score, 3) AS mean_score,
  round(coalesce(g.tracks, 0) / a.tracks, 3) AS annotated_share
FROM taxonomy AS x
CROSS JOIN (SELECT count(*) AS tracks FROM tracks) AS tagged
LEFT JOIN scored AS s ON s.tag = x.tag
LEFT JOIN given AS g ON g.tag = x.tag
LEFT JOIN annotated AS a ON a.category = x.category
ORDER BY abs(positive_share - annotated_share) DESC NULLS LAST, x.tag;

-- 10. Which tracks sound most like this one? Cosine of the embeddings.
SELECT t.track_id, t.title, t.artist, round(list_cosine_similarity(e.embedding, this.embedding), 4) AS similarity
FROM embeddings AS e
JOIN (SELECT embedding FROM embeddings WHERE track_id = 'track-0000') AS this ON true
JOIN tracks AS t USING (track_id)
WHERE t.track_id <> 'track-0000'
ORDER BY similarity DESC, t.track_id
LIMIT 10;

-- 11. Which recordings are in the catalog more than once?
SELECT l.track_id, t.title, l.duplicate_of, o.title AS title_of_that
FROM ledger AS l
JOIN tracks AS t USING (track_id)
JOIN tracks AS o ON o.track_id = l.duplicate_of
ORDER BY l.track_id;

-- 12. Which tracks should be annotated next? Those whose scores are closest to the thresholds.
SELECT t.track_id, k.title, round(avg(abs(t.score - x.threshold)), 4) AS mean_distance,
  arg_min(t.tag, (abs(t.score - x.threshold), t.tag)) AS least_sure_of
FROM track_tags AS t
JOIN taxonomy AS x USING (tag)
JOIN tracks AS k USING (track_id)
WHERE x.kind = 'multilabel'
GROUP BY ALL
ORDER BY mean_distance, t.track_id
LIMIT 10;

-- 13. One row per track and one column per tag, for spreadsheets.
PIVOT (SELECT track_id, tag, score FROM track_tags)
ON tag IN ('voice/vocal', 'tempo/fast', 'mood/energetic', 'mood/calm', 'mood/sad')
USING max(score)
ORDER BY track_id;

-- 14. Where do model and annotators disagree most? These labels should be checked.
SELECT track_id, tag, expert_weight, model_score
FROM track_tags
WHERE expert_weight IS NOT NULL
ORDER BY abs(expert_weight - model_score) DESC, track_id, tag
LIMIT 10;

-- 15. A playlist: energetic, at most one track per artist. Tracks without an artist_id all count as of other artists.
SELECT t.track_id, t.artist, t.title, m.score
FROM track_tags AS m
JOIN tracks AS t USING (track_id)
WHERE m.tag = 'mood/energetic'
QUALIFY row_number() OVER (PARTITION BY t.artist_id, if(t.artist_id IS NULL, t.track_id, NULL) ORDER BY m.score DESC, t.track_id) = 1
ORDER BY m.score DESC, t.track_id
LIMIT 10;

-- 16. How much audio is there, by status?
SELECT l.status, count(*) AS tracks, round(sum(t.duration_s) / 60, 1) AS minutes, round(sum(l.source_bytes) / 1e6, 1) AS megabytes
FROM ledger AS l
LEFT JOIN tracks AS t USING (track_id)
GROUP BY l.status
ORDER BY tracks DESC;

-- 17. Which artists sound calmest, and how alike are their tracks? A spread near 0 means that all have about this score.
SELECT artist_id, tracks, round(mean_score, 3) AS mean_score, round(positive_share, 3) AS positive_share,
  round(score_spread, 3) AS score_spread
FROM artist_tags
WHERE tag = 'mood/calm' AND tracks >= 2
ORDER BY mean_score DESC, artist_id
LIMIT 10;

-- 18. Which tracks have 120 to 128 beats per minute and are in A minor? Those of the surest tempo and key come first, and
-- last those whose other octave is meant: half or twice the tempo. Tables without parameters have no such tracks.
SELECT track_id, title, tempo_bpm, tempo_confidence, tempo_alternative_bpm, key_confidence, camelot
FROM tracks
WHERE key = 'A minor' AND (tempo_bpm BETWEEN 120 AND 128 OR tempo_alternative_bpm BETWEEN 120 AND 128)
ORDER BY tempo_bpm NOT BETWEEN 120 AND 128, tempo_confidence * key_confidence DESC, track_id
LIMIT 20;

-- 19. Who is missing? Artists with tagged tracks in the snapshot before and none now: how many were rejected, wait for a
-- later run, or left the catalog.
SELECT p.artist_id, min(p.artist) AS artist, count(*) AS tracks_before,
  count(*) FILTER (l.status = 'rejected') AS rejected,
  count(*) FILTER (l.status = 'deferred') AS deferred,
  count(*) FILTER (l.status IS NULL) AS not_in_catalog
FROM previous_tracks AS p
LEFT JOIN ledger AS l USING (track_id)
WHERE p.artist_id NOT IN (SELECT artist_id FROM tracks WHERE artist_id IS NOT NULL)
GROUP BY p.artist_id
ORDER BY tracks_before DESC, p.artist_id;

-- 20. How sure is the model? By category: the mean of each track's best score, the share of tracks whose best score is at
-- least 0.9, and the share that is given no tag. The least sure category comes first.
SELECT category, count(*) AS tracks, round(avg(best), 3) AS mean_best_score,
  round(count(*) FILTER (best >= 0.9::FLOAT) / count(*), 3) AS sure_share,
  round(count(*) FILTER (NOT is_given) / count(*), 3) AS share_without_tag
FROM (
  SELECT category, track_id, max(score) AS best, bool_or(is_positive) AS is_given
  FROM track_tags
  GROUP BY category, track_id
)
GROUP BY category
ORDER BY mean_best_score, category;

-- 21. What are the top tags by country? The three most frequent tags of each, with their share of its tracks.
WITH countries AS (SELECT country, count(*) AS tracks FROM tracks WHERE country IS NOT NULL GROUP BY country)
SELECT t.country, s.tag, count(*) AS tracks, round(count(*) / any_value(c.tracks), 3) AS share
FROM track_tags AS s
JOIN tracks AS t USING (track_id)
JOIN countries AS c ON c.country = t.country
WHERE s.is_positive
GROUP BY t.country, s.tag
QUALIFY row_number() OVER (PARTITION BY t.country ORDER BY count(*) DESC, s.tag) <= 3
ORDER BY t.country, tracks DESC, s.tag;

-- 22. Which artists are most unlike their genre? Their mean scores in the other categories, compared with the means over
-- all artists whose first genre is the same: root of the mean squared difference, and the tag that differs most.
WITH genres AS (SELECT artist_id, tag AS genre FROM artist_tags WHERE category = 'genre' AND rank = 1),
  usual AS (
    SELECT g.genre, a.tag, avg(a.mean_score) AS mean_score
    FROM artist_tags AS a
    JOIN genres AS g USING (artist_id)
    WHERE a.category <> 'genre'
    GROUP BY g.genre, a.tag
    HAVING count(*) >= 2
  )
SELECT a.artist_id, g.genre, round(sqrt(avg((a.mean_score - u.mean_score) ** 2)), 3) AS distance,
  arg_max(a.tag, (round(abs(a.mean_score - u.mean_score), 6), a.tag)) AS most_unlike_in
FROM artist_tags AS a
JOIN genres AS g USING (artist_id)
JOIN usual AS u ON u.genre = g.genre AND u.tag = a.tag
GROUP BY a.artist_id, g.genre
ORDER BY distance DESC, a.artist_id
LIMIT 10;

-- 23. Which tracks are the best for a weighted wish? The score is that of the command `search`; a negative weight is for
-- what is not wanted. A tag counts with its narrower tags.
SELECT track_id, t.title, t.artist, round(w.score, 4) AS score
FROM weighted_search(MAP {'mood/calm': 0.8, 'voice/instrumental': 0.5, 'tempo/fast': -1}) AS w
JOIN tracks AS t USING (track_id)
ORDER BY w.score DESC, track_id
LIMIT 10;
