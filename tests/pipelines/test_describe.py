import json

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 12)
    publish_table(root / "table", bundle, 12, carried={"track-0000"})
    return str(root / "table")


def test_json_tells_every_snapshot(table, capsys):
    assert main(["describe", table, "--format", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["snapshots"]
    assert (first["number"], first["parent"], second["parent"]) == (1, None, 1)
    assert first["counts"]["catalog"] == 14 and second["counts"]["carried"] == 1
    assert first["tables"]["track_tags"]["rows"] == 12 * 33
    assert set(first["ids"]) == {"feature_id", "embedding_id", "tagger_id", "taxonomy_id"}


def test_carried_tracks_leave_the_content_hash_as_it_is(table, capsys):
    main(["describe", table, "--format", "json"])
    first, second = json.loads(capsys.readouterr().out)["snapshots"]
    assert first["content_hash"] == second["content_hash"]


def test_the_table_names_counts_and_hash(table, capsys):
    assert main(["describe", table]) == 0
    out = capsys.readouterr().out
    assert "content_hash" in out and "embedding_id" in out and "track_tags" in out


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert main(["describe", str(tmp_path)]) == 1
    assert f"{tmp_path} is neither a table, a bundle nor a dataset" in capsys.readouterr().err
