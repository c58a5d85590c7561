"""One bucket's tables from rows, outcomes and a tagger."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.schemas.catalog import CATALOG, FILE, ROW
from transforms.table.content import comparable_digest
from transforms.tagging.assembly import PublishedRows, assemble_bucket
from transforms.tagging.outcomes.prior import OUTCOME
from transforms.taxonomy.hierarchy import Taxonomy

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {"name": "voice", "kind": "binary", "tags": [{"id": "voice/vocal", "name": "Vocal"}]},
            {
                "name": "genre",
                "kind": "multiclass",
                "tags": [{"id": "genre/rock", "name": "Rock"}, {"id": "genre/jazz", "name": "Jazz"}],
            },
        ]
    }
)


class Tagger:
    """Scores are the embedding itself, one value a tag."""

    taxonomy = TAXONOMY
    feature_id, embedding_id, tagger_id = "fs", "em", "tg"

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        return embeddings.astype(np.float64)

    def positives(self, scores: np.ndarray) -> np.ndarray:
        return scores >= 0.5


def _rows(**further: list) -> pa.Table:
    tags = [{"tag": "genre/jazz", "weight": 0.7}, {"tag": "voice/vocal", "weight": None}]
    rows = [
        {"track_id": i, "uri": f"{i}.wav", "source_version": "1", "tags": tags if i == "b" else None} for i in "abc"
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema([*CATALOG, (FILE, pa.string()), (ROW, pa.int64())]))
    for name, values in further.items():
        table = table.append_column(name, pa.array(values))
    return table


def _outcomes(carried: tuple[bool, ...] = (False, False, False), run_id: str | None = None) -> pa.Table:
    facts = {"duration_s": 1.0, "sample_rate": 8000, "channels": 1, "source_sha256": "x", "source_bytes": 9}
    vectors = {"a": [0.2, 0.9, 0.1], "b": [0.6, 0.3, 0.30001]}
    rows = [
        {
            "track_id": i,
            "source_version": "1",
            "reason": None if i in vectors else "silent",
            "stage": None if i in vectors else "decode",
            "embedding": vectors.get(i),
            "carried": old,
            "run_id": run_id if old else None,
            **(facts if i in vectors else {}),
        }
        for i, old in zip("abc", carried, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=OUTCOME)


def _tables(**options) -> dict[str, pa.Table]:
    given = {"rows": _rows(), "outcomes": _outcomes(), "duplicates": {}, "publication": PublishedRows()} | options
    return assemble_bucket(tagger=Tagger(), run_id="run-2", **given)


def test_rejected_tracks_are_in_the_ledger_only() -> None:
    tables = _tables()
    assert tables["ledger"]["status"].to_pylist() == ["tagged", "tagged", "rejected"]
    assert all(
        set(tables[name]["track_id"].to_pylist()) == {"a", "b"} for name in ("tracks", "track_tags", "embeddings")
    )


def test_all_tags_of_all_tracks_by_tag_and_score() -> None:
    rows = _tables()["track_tags"].select(["tag", "track_id", "rank"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("genre/jazz", "b", 2),
        ("genre/jazz", "a", 2),
        ("genre/rock", "a", 1),
        ("genre/rock", "b", 1),
        ("voice/vocal", "b", 1),
        ("voice/vocal", "a", 1),
    ]


def test_of_equal_scores_the_first_of_the_taxonomy_wins_after_rounding() -> None:
    rows = {(r["tag"], r["track_id"]): r for r in _tables()["track_tags"].to_pylist()}
    assert rows["genre/jazz", "b"]["score"] == rows["genre/rock", "b"]["score"] == np.float32(0.3)
    assert (rows["genre/rock", "b"]["rank"], rows["genre/jazz", "b"]["rank"]) == (
        1,
        2,
    )


def test_experts_weights_stand_beside_the_model() -> None:
    found = {(r["tag"], r["track_id"]): r["expert_weight"] for r in _tables()["track_tags"].to_pylist()}
    assert {k: v for k, v in found.items() if v is not None} == {
        ("genre/jazz", "b"): pytest.approx(0.7),
        ("voice/vocal", "b"): 1.0,
    }


def test_top_tags_are_the_positive_ones_best_first() -> None:
    tracks = _tables()["tracks"].to_pylist()
    assert [[t["tag"] for t in row["top_tags"]] for row in tracks] == [["genre/rock"], ["voice/vocal"]]


def test_further_columns_are_carried_through_and_places_are_not() -> None:
    tracks = _tables(rows=_rows(bpm=[120, None, 90]))["tracks"]
    assert tracks["bpm"].to_pylist() == [120, None]
    assert not {FILE, ROW, "uri", "tags", "source_version"} & set(tracks.column_names)


def test_publication_thins_track_tags_only() -> None:
    tables = _tables(publication=PublishedRows(min_score=0.25, top_k=1))
    assert [(r["tag"], r["track_id"]) for r in tables["track_tags"].to_pylist()] == [
        ("genre/rock", "a"),
        ("genre/rock", "b"),
        ("voice/vocal", "b"),
    ]
    assert tables["tracks"].num_rows == 2


def test_carried_tracks_keep_their_run_and_content() -> None:
    fresh, carried = _tables(), _tables(outcomes=_outcomes((True, True, True), "run-1"))
    assert carried["ledger"]["status"].to_pylist() == ["carried", "carried", "rejected"]
    assert set(carried["ledger"]["run_id"].to_pylist()) == {"run-1"}
    assert all(comparable_digest(name, fresh[name]) == comparable_digest(name, carried[name]) for name in fresh)


def test_duplicates_are_named_in_the_ledger() -> None:
    assert _tables(duplicates={"b": "a"})["ledger"]["duplicate_of"].to_pylist() == [None, "a", None]


def test_a_bucket_of_rejects_has_empty_tables() -> None:
    outcomes = _outcomes().slice(2)
    tables = _tables(rows=_rows().slice(2), outcomes=outcomes)
    assert [tables[name].num_rows for name in ("tracks", "track_tags", "embeddings", "ledger")] == [0, 0, 0, 1]


@pytest.mark.parametrize("options", [{"min_score": 1.5}, {"top_k": 0}])
def test_publication_checks_its_values(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        PublishedRows(**options)
