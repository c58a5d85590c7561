import pytest

from pipelines.synthesis.catalog import make_tracks
from tests.support.published import fake_bundle, publish_table
from transforms.formats.parquet import read_parquet


def annotated(track):
    """(track, tag) -> weight that the catalog gives; a tag without a weight counts 1."""
    pairs = (tag.partition(":") for tag in track.tags)
    return {(track.track_id, tag): float(weight or 1) for tag, _, weight in pairs}


def test_the_weights_of_annotators_stand_beside_the_model_s_scores(tmp_path):
    snapshot = publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    files = [read_parquet(str(tmp_path / "table" / file.path)) for file in snapshot.files("track_tags")]
    rows = [row for table in files for row in table.to_pylist() if row["expert_weight"] is not None]
    wanted = {key: weight for track in make_tracks(12, 0) for key, weight in annotated(track).items()}
    assert {(row["track_id"], row["tag"]): row["expert_weight"] for row in rows} == pytest.approx(wanted)
