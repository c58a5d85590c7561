"""Position deletes, as another program reads them."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tests.support.iceberg import iceberg_rows, opened
from tests.support.rows import publish_rows
from transforms import storage
from transforms.formats.parquet import CheckedFile
from transforms.iceberg import drafts
from transforms.iceberg.following import follow
from transforms.iceberg.listed_files import listed_files
from transforms.iceberg.manifests import POSITION_DELETES, ListedFile
from transforms.iceberg.positions import POSITIONS, position_delete_bytes, positions
from transforms.iceberg.unneeded import unneeded_files
from transforms.table.reader import open_snapshot

TAXONOMY = [{"tag": f"mood/{name}", "category": "mood", "threshold": 0.5} for name in "ab"]


def parquet_file(values):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"track_id": pa.array(values, pa.string())}), sink, row_group_size=3)
    return CheckedFile(pa.BufferReader(sink.getvalue()))


@given(st.lists(st.sampled_from("abcde"), max_size=12), st.frozensets(st.sampled_from("abcde")))
def test_positions_are_those_of_a_loop(values, deleted):
    found = positions(parquet_file(values), "/t/file", "track_id", deleted)
    assert found.schema.equals(POSITIONS, check_metadata=True)
    assert found["pos"].to_pylist() == [place for place, value in enumerate(values) if value in deleted]
    assert set(found["file_path"].to_pylist()) <= {"/t/file"}


def test_files_are_sorted_and_have_the_reserved_field_ids():
    rows = [pa.table([["b", "a"], [2, 5]], schema=POSITIONS), pa.table([["a"], [1]], schema=POSITIONS)]
    file = pq.ParquetFile(pa.BufferReader(position_delete_bytes(pa.concat_tables(rows))))
    assert file.read().to_pylist() == [
        {"file_path": "a", "pos": 1}, {"file_path": "a", "pos": 5}, {"file_path": "b", "pos": 2},
    ]  # fmt: skip
    ids = [int(field.metadata[b"PARQUET:field_id"]) for field in file.schema_arrow]
    assert ids == [2147483546, 2147483545]


def test_rows_at_listed_positions_are_not_read(tmp_path, monkeypatch):
    root = tmp_path / "table"
    tracks = [
        {"track_id": f"t{n}", "duration_s": 1.0, "sample_rate": 8000, "channels": 1, "top_tags": []} for n in range(8)
    ]
    tags = [
        {"track_id": row["track_id"], "tag": tag["tag"], "score": 0.5, "is_positive": True}
        for row in tracks
        for tag in TAXONOMY
    ]
    publish_rows(root, TAXONOMY, tracks, tags)
    deleted = {"t1", "t4", "t5"}

    def with_deletes(snapshot, name):
        found = listed_files(snapshot, name)
        return (
            found + [deletes_of(root, file, deleted) for file in found] if name in ("tracks", "track_tags") else found
        )

    monkeypatch.setattr(drafts, "listed_files", with_deletes)
    follow(str(root), anew=True)
    kept = sorted(row["track_id"] for row in tracks if row["track_id"] not in deleted)
    assert sorted(iceberg_rows(root, "tracks", 1)["track_id"].to_pylist()) == kept
    assert sorted(iceberg_rows(root, "track_tags", 1)["track_id"].to_pylist()) == sorted(kept * 2)
    assert iceberg_rows(root, "ledger", 1).num_rows == 8
    table = opened(root, "tracks")
    data, deletes = table.snapshot_by_id(1).manifests(table.io)
    assert (data.content.name, deletes.content.name) == ("DATA", "DELETES") and deletes.added_rows_count == 3
    assert [file.url for file in unneeded_files(str(root), float("inf")) if file.url.endswith("pos.parquet")] == []


def deletes_of(root, file, deleted):
    snapshot = open_snapshot(str(root))
    (own,) = [one for one in snapshot.manifest.run.files if one.path == file.path]
    with snapshot.open(own) as stream, CheckedFile(stream) as parquet:
        rows = positions(parquet, snapshot.url(own), "track_id", deleted)
    data = position_delete_bytes(rows)
    path = f"iceberg/{own.table}/deletes/{own.bucket}-pos.parquet"
    storage.ensure(storage.join(str(root), path), data)
    place = ListedFile(path=path, rows=rows.num_rows, bytes=len(data), since=1, content=POSITION_DELETES)
    return dataclasses.replace(place, refers_to=own.path)
