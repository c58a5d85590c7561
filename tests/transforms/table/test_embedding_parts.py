"""What a run says about the parts of its embeddings."""

import json

import pytest

from tests.support.published import fake_bundle, publish_table
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.table.snapshots import Run, Snapshot


def test_parts_survive_the_record_and_earlier_runs_have_none(tmp_path) -> None:
    bundle = fake_bundle(tmp_path / "bundle")
    snapshot = publish_table(tmp_path / "table", bundle)
    assert snapshot.run.embedding_parts == {bundle.embedding_id: bundle.embedding_parts}
    stored = json.loads(json.dumps(snapshot.to_json()))
    assert Snapshot.from_json(stored).run.embedding_parts == snapshot.run.embedding_parts
    del stored["embedding_parts"]
    assert Run.from_json(stored).embedding_parts == {}


def test_a_part_is_a_range_of_a_known_kind() -> None:
    with pytest.raises(ValueError, match="not a range"):
        EmbeddingPart(name="trunk", kind="mean", start=4, stop=4)
    with pytest.raises(ValueError, match="kind 'median'"):
        EmbeddingPart.from_json({"name": "trunk", "kind": "median", "start": 0, "stop": 4})
