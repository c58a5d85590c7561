"""The documented queries give the answers of loops over the same rows, of published tables and of invented ones."""

import math
import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.querying.questions import questions
from pipelines.synthesis.catalog import make_tracks, taxonomy
from tests.support.oracles import ORACLES
from tests.support.published import fake_bundle, publish_table
from transforms.features.spec import FeatureSpec
from transforms.schemas.tables import TABLES
from transforms.table.duckdb_views import check_question, connect
from transforms.table.macros.duckdb_macros import duckdb_macros
from transforms.table.macros.unpublished import Unpublished
from transforms.table.reader import open_snapshot
from transforms.table.sql import tag_ids_view
from transforms.taxonomy.hierarchy import Taxonomy

TEXT = (Path(__file__).parents[1] / "pipelines" / "querying" / "questions.sql").read_text(encoding="utf-8")
QUERIES = {one.number: one.sql for one in questions()}
GONE = "instrument/flute"
WISH, WISHED = 23, {"mood/calm", "voice/instrumental", "tempo/fast"}
"""The question that is asked by a macro, and its tags."""
NOBODY = 19
"""The question whose answer is empty, because no artist left the published tables."""


def test_the_questions_are_numbered_and_each_has_an_oracle():
    assert list(QUERIES) == list(ORACLES) == list(range(1, len(re.findall(r"^-- \d+\. ", TEXT, re.M)) + 1))


def smaller_bundle(url):
    """The bundle without one tag, as a later taxonomy may be."""
    document = taxonomy()
    for category in document["categories"]:
        category["tags"] = [tag for tag in category["tags"] if tag["id"] != GONE]
    return write_fake_bundle(str(url), Taxonomy.from_json(document), FeatureSpec())


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A connection to a table whose newest snapshot has more tracks and one tag less; and its rows."""
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 18)
    publish_table(root / "table", smaller_bundle(root / "smaller"), 36, carried={"track-0001"}, parameters=True)
    new = open_snapshot(str(root / "table"), 2)
    rows = {
        prefix + name: snapshot.scan(name).to_pylist()
        for prefix, snapshot in (("", new), ("previous_", open_snapshot(str(root / "table"), 1)))
        for name in TABLES
    }
    with connect(new, previous=True, macros=True) as connection:
        yield connection, rows


@pytest.mark.parametrize("number", QUERIES)
def test_published_tables(published, number):
    connection, rows = published
    check_question(connection, QUERIES[number])
    answer = connection.sql(QUERIES[number]).fetchall()
    assert (answer or number == NOBODY) and _same(answer, ORACLES[number](rows))
    assert connection.sql(QUERIES[number]).fetchall() == answer


def test_a_tag_that_left_the_taxonomy_is_shown(published):
    connection, _ = published
    (row,) = (row for row in connection.sql(QUERIES[7]).fetchall() if row[0] == GONE)
    assert row[1:3] == ("removed", 0) and row[3] > 0


def test_shares_of_annotated_tracks_are_those_of_the_catalog(published):
    """Question 9 against the labels that the catalog was made with, not against the published rows."""
    connection, _ = published
    document, labels = taxonomy(), [weighted_tags(track) for track in make_tracks(36, 0)]
    parents = {tag["id"]: tag.get("parents", []) for category in document["categories"] for tag in category["tags"]}

    def with_broader(tags):
        return tags | {above for tag in tags for above in with_broader(set(parents[tag]))}

    given = [with_broader({tag for tag, weight in found.items() if weight > 0 and tag != GONE}) for found in labels]
    known = [{tag.partition("/")[0] for tag in found if tag != GONE} for found in labels]
    shares = {row[0]: row[4] for row in connection.sql(QUERIES[9]).fetchall()}
    assert len(shares) == len(parents) - 1 and any(share not in (None, 0, 1) for share in shares.values())
    for tag, share in shares.items():
        of = sum(tag.partition("/")[0] in categories for categories in known)
        assert share == (pytest.approx(sum(tag in tags for tags in given) / of, abs=6e-4) if of else None), tag


def weighted_tags(track):
    """Tag -> weight, of the labels of a synthetic track."""
    parts = [tag.partition(":") for tag in track.tags]
    return {tag: float(weight) if weight else 1.0 for tag, _, weight in parts}


@pytest.mark.parametrize("seed", range(6))
def test_invented_tables(seed):
    rows = invented(random.Random(seed))
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, found in rows.items():
            connection.register(name, pa.Table.from_pylist(found, _schema(name)))
        for prefix in ("", "previous_"):
            connection.execute(tag_ids_view(prefix))
        connection.register("neighbours", _schema("neighbours").empty_table())
        for statement in duckdb_macros("", Unpublished()):
            connection.execute(statement)
        for number, sql in QUERIES.items():
            if number == WISH and not WISHED.issubset(row["tag"] for row in rows["taxonomy"]):
                continue  # the macro refuses tags that do not exist
            answer, wanted = connection.sql(sql).fetchall(), ORACLES[number](rows)
            assert _same(answer, wanted), (number, answer, wanted)


def test_an_artist_who_is_gone_is_missing():
    """In the tables of `test_invented_tables`: most have every artist."""
    assert [row for seed in range(6) for row in ORACLES[NOBODY](invented(random.Random(seed)))]


def _schema(name):
    return TABLES[name.removeprefix("previous_")]


def _same(answer, wanted):
    """Whether both have the same rows in the same order; a rounded number may differ in its last digit."""
    return len(answer) == len(wanted) and all(
        len(a) == len(b) and all(_same_value(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(answer, wanted, strict=True)
    )


def _same_value(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1.01e-4)
    return a == b


KINDS = {
    "genre": ("multiclass", ["genre/folk", "genre/rock", "genre/jazz"]),
    "mood": ("multilabel", ["mood/calm", "mood/energetic", "mood/sad", "mood/warm"]),
    "tempo": ("multiclass", ["tempo/fast", "tempo/slow"]),
    "voice": ("binary", ["voice/vocal", "voice/instrumental"]),
}


def invented(rng):
    """Two snapshots with tracks, tags, artists, years and labels that are missing here and there."""
    scores, rows = {}, {}
    for prefix, share in (("previous_", 0.7), ("", 0.8)):
        tracks = ["track-0000"] + [f"track-{i:04d}" for i in range(1, 30) if rng.random() < share]
        taxonomy_rows = [_tag(rng, kind, tag) for kind in KINDS for tag in KINDS[kind][1] if rng.random() < 0.85]
        for earlier, row in pairwise(taxonomy_rows):
            if row["kind"] == "multilabel" and earlier["category"] == row["category"] and rng.random() < 0.6:
                row["parents"] = [earlier["tag"]]
        gone = [tag for _, tags in KINDS.values() for tag in tags if tag not in {row["tag"] for row in taxonomy_rows}]
        for row in taxonomy_rows:
            row["other_ids"] = _maybe(rng, [tag for tag in gone if rng.random() < 0.15], 0.9)
        rows[f"{prefix}tracks"] = [_track(rng, track_id) for track_id in tracks]
        rows[f"{prefix}taxonomy"] = taxonomy_rows
        rows[f"{prefix}embeddings"] = [
            {"track_id": i, "embedding_id": "e", "embedding": [rng.gauss(0, 1) for _ in range(4)]} for i in tracks
        ]
        rows[f"{prefix}ledger"] = [_ledger(rng, track_id, tracks) for track_id in tracks]
        rows[f"{prefix}ledger"] += [_reject(rng, i) for i in range(rng.randrange(5))]
        rows[f"{prefix}artist_tags"] = list(_artist_tags(rng, taxonomy_rows))
        rows[f"{prefix}track_tags"] = [row for i in tracks for row in _tags(rng, i, taxonomy_rows, scores)]
    # As float32, which is what the engine and the tables hold.
    return {name: pa.Table.from_pylist(found, _schema(name)).to_pylist() for name, found in rows.items()}


def _maybe(rng, value, share=0.8):
    return value if rng.random() < share else None


def _tag(rng, category, tag):
    common = {"tag": tag, "category": category, "kind": KINDS[category][0], "name": tag, "parents": []}
    return {**common, "threshold": _maybe(rng, round(rng.random(), 2), 0.9)}


def _track(rng, track_id):
    artist = _maybe(rng, f"artist-{rng.choice([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6]):03d}")
    return {
        "track_id": track_id,
        "artist_id": artist,
        "artist": artist,
        "title": _maybe(rng, track_id.upper()),
        "year": _maybe(rng, rng.randrange(1960, 2025)),
        "country": _maybe(rng, rng.choice(["DE", "FR", "SE"])),
        "duration_s": rng.uniform(1, 300),
        "sample_rate": 44_100,
        "channels": 2,
        "top_tags": [],
        "tagger_id": "t",
        **_parameters(rng),
    }


def _parameters(rng):
    """Tempo and key; now and then none."""
    if rng.random() < 0.2:
        return {}
    tempo = rng.choice([60, 62, 120, 126, 128, 130, 244, 256]) + rng.choice([0, 0.25])
    sure = {"tempo_confidence": rng.randrange(9) / 8, "key_confidence": rng.randrange(9) / 8}
    other = tempo / 2 if tempo > 130 else 2 * tempo
    return {"tempo_bpm": tempo, "tempo_alternative_bpm": other, "key": rng.choice(["A minor", "C major"]), **sure}


def _artist_tags(rng, taxonomy_rows):
    for artist in range(5):
        tracks, ranks = rng.randrange(1, 4), Counter()
        for tag in taxonomy_rows:
            if rng.random() < 0.9:
                ranks[tag["category"]] += 1
                numbers = {name: rng.random() for name in ("mean_score", "positive_share", "score_spread")}
                names = {"artist_id": f"artist-{artist:03d}", "category": tag["category"], "tag": tag["tag"]}
                yield {**names, **numbers, "tracks": tracks, "rank": ranks[tag["category"]]}


def _ledger(rng, track_id, tracks, **changes):
    common = dict.fromkeys(("uri", "source_version", "feature_id", "embedding_id", "tagger_id", "run_id"), "x")
    row = {"track_id": track_id, "status": rng.choice(["tagged", "carried"]), "reason": None, "detail": None}
    size, other = _maybe(rng, rng.randrange(10**7)), _maybe(rng, rng.choice(tracks), 0.1)
    return {**common, **row, "source_bytes": size, "duplicate_of": other, "stage": None, **changes}


def _reject(rng, number):
    reason = rng.choice(["empty", "crash"])
    return _ledger(rng, f"bad-{number}", ["bad"], status="rejected", reason=reason, stage="read", detail=reason)


def _tags(rng, track_id, taxonomy_rows, scores):
    """A track's rows; some are missing, as with `--min-score`. Scores of both snapshots are often the same."""
    labelled = {category for category in KINDS if rng.random() < 0.5}
    for tag in taxonomy_rows:
        key = track_id, tag["tag"]
        scores[key] = scores[key] if key in scores and rng.random() < 0.6 else round(rng.random(), 4)
        if rng.random() < 0.9:
            weight = _maybe(rng, rng.choice([0.0, 0.5, 1.0]), 0.5) if tag["category"] in labelled else None
            yield {
                "track_id": track_id,
                "category": tag["category"],
                "tag": tag["tag"],
                "score": scores[key],
                "rank": 1,
                "is_positive": rng.random() < 0.4,
                "source": "model",
                "model_score": round(rng.random(), 4),
                "expert_weight": weight,
            }
