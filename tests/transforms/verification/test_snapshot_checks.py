import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.published import changed_file, fake_bundle, publish_table
from transforms import storage
from transforms.formats.hashing import sha256_hex
from transforms.formats.parquet import parquet_bytes, read_parquet
from transforms.table.content import comparable_digest
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import read_snapshot
from transforms.tagging.assembly import PublishedRows
from transforms.verification.snapshot_checks import steps, verify


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 12)
    return root / "table"


@pytest.fixture
def table(published, tmp_path):
    return shutil.copytree(published, tmp_path / "table")


def problems(table, snapshot=None):
    published = open_snapshot(str(table), 1)
    snapshot = dataclasses.replace(published, manifest=snapshot) if snapshot else published
    return [problem for step in verify(snapshot) for problem in step.problems]


def rewrite(table, name, change, position=0):
    """Rewrites a data file through `change`; returns a snapshot whose hashes and counts agree with it."""
    snapshot = read_snapshot(str(table), 1)
    file = snapshot.files(name)[position]
    rows = change(read_parquet(str(Path(table) / file.path)))
    ids = dataclasses.asdict(snapshot.run.ids)
    data = parquet_bytes(rows, name=name, ids=ids)
    (Path(table) / file.path).write_bytes(data)
    content = comparable_digest(name, rows) if file.content else ""
    return changed_file(snapshot, name, bytes=len(data), sha256=sha256_hex(data), rows=rows.num_rows, content=content)


def with_column(rows, name, values):
    position = rows.column_names.index(name)
    field = rows.schema.field(name)
    return rows.set_column(position, field, pa.chunked_array([pa.array(values, field.type)]))


def edited(name, change):
    """A change of single values: `change` gets and returns the column as a list."""
    return lambda rows: with_column(rows, name, change(rows[name].to_pylist()))


def replaced_first(value):
    return lambda values: [value, *values[1:]]


def test_a_published_snapshot_is_sound(table):
    assert problems(table) == []


def test_steps_are_as_many_as_announced(table):
    snapshot = open_snapshot(str(table), 1)
    found = list(verify(snapshot))
    assert len(found) == steps(snapshot) == 11
    assert sum(step.files for step in found) == len(snapshot.manifest.run.files)


def test_table_json_is_read_once_for_all_buckets(table, monkeypatch):
    names, unwatched = [], storage.read_bytes

    def read_bytes(url, **options):
        names.append(Path(url).name)
        return unwatched(url, **options)

    monkeypatch.setattr(storage, "read_bytes", read_bytes)
    assert problems(table) == []
    assert names.count("table.json") == 1 and len(names) > 10


@pytest.mark.parametrize("seed", range(12))
def test_no_flipped_bit_goes_unnoticed(table, seed):
    rng = np.random.default_rng(seed)
    snapshot = read_snapshot(str(table), 1)
    path = Path(table) / snapshot.run.files[int(rng.integers(len(snapshot.run.files)))].path
    data = bytearray(path.read_bytes())
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    assert any("sha256" in problem for problem in problems(table))


def test_page_checksums_are_read_too(table):
    snapshot = read_snapshot(str(table), 1)
    file = snapshot.files("embeddings")[0]
    path = Path(table) / file.path
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(2)
    data[column.dictionary_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(data)
    found = problems(table, changed_file(snapshot, "embeddings", sha256=sha256_hex(bytes(data))))
    assert any("CRC checksum" in problem for problem in found)


def test_a_truncated_a_missing_and_a_foreign_file(table):
    snapshot = read_snapshot(str(table), 1)
    tracks, tags, ledger = (Path(table) / snapshot.files(n)[0].path for n in ("tracks", "track_tags", "ledger"))
    tracks.write_bytes(tracks.read_bytes()[:100])
    tags.unlink()
    ledger.write_bytes(b"not parquet")
    found = "\n".join(problems(table))
    assert f"{snapshot.files('tracks')[0].path}: 100 bytes" in found
    assert all(snapshot.files(name)[0].path in found for name in ("track_tags", "ledger"))


CASES = [
    ("ledger", edited("status", replaced_first("lost")), "status 'lost'"),
    ("ledger", edited("reason", replaced_first("bored")), "reason 'bored'"),
    ("ledger", lambda rows: rows.slice(1), "the ledger has"),
    ("ledger", lambda rows: pa.concat_tables([rows.slice(0, 1), rows]), "more than once"),
    ("ledger", edited("track_id", replaced_first("!stranger-1")), "of other buckets"),
    ("tracks", lambda rows: rows.slice(1), "tracks: 3 rows for 4 tracks"),
    ("embeddings", lambda rows: rows.slice(1), "embeddings: 3 rows for 4 tracks"),
    ("embeddings", edited("embedding_id", replaced_first("em-other")), "made with ['em-other']"),
    ("embeddings", edited("embedding", lambda v: [v[0][:-1], *v[1:]]), "different lengths"),
    ("embeddings", edited("embedding", lambda v: [[float("inf"), *v[0][1:]], *v[1:]]), "not finite"),
    ("embeddings", edited("embedding", lambda v: [[0.1, *v[0][1:]], *v[1:]]), "float16 precision"),
    ("track_tags", edited("score", replaced_first(1.5)), "score from"),
    ("track_tags", edited("score", replaced_first(float("nan"))), "has NaN"),
    ("track_tags", edited("rank", replaced_first(0)), "rank from 0"),
    ("track_tags", edited("tag", replaced_first("genre/aaa")), "not in the taxonomy: ['genre/aaa']"),
    ("track_tags", edited("source", replaced_first("rumour")), "unknown sources ['rumour']"),
    ("track_tags", edited("track_id", replaced_first("nobody")), "does not list as tagged, e.g. 'nobody'"),
    ("track_tags", lambda rows: rows.slice(1), "not one for each of"),
    ("track_tags", lambda rows: rows.take(pa.array(range(rows.num_rows)[::-1])), "not sorted by category"),
    ("track_tags", edited("is_positive", lambda v: [not x for x in v]), "positive against its thresholds"),
    ("tracks", edited("top_tags", replaced_first([])), "top_tags are not the positive tags"),
    ("tracks", lambda rows: rows.drop_columns("title"), "instead of track_id, artist_id"),
    ("tracks", lambda rows: rows.drop_columns("bpm"), ""),
    ("taxonomy", edited("threshold", lambda v: [0.999] * len(v)), "positive against its thresholds"),
]


@pytest.mark.parametrize("name, change, words", CASES, ids=[f"{c[0]}-{c[2][:24]}" for c in CASES])
def test_each_broken_promise_is_named(table, name, change, words):
    found = problems(table, rewrite(table, name, change))
    assert any(words in problem for problem in found), found


def test_a_parent_below_its_child_is_named(table):
    def swap(rows):
        mine = pc.equal(rows["tag"], "mood/soft")
        return with_column(rows, "score", pc.if_else(mine, 0.0, rows["score"]).to_pylist())

    assert any("mood/soft scores below its child" in p for p in problems(table, rewrite(table, "track_tags", swap)))


def test_wrong_counts_are_named(table):
    snapshot = read_snapshot(str(table), 1)
    counts = {**snapshot.run.counts, "tagged": 99}
    found = problems(table, dataclasses.replace(snapshot, run=dataclasses.replace(snapshot.run, counts=counts)))
    assert any("counts 99 tagged, the ledger has 12" in problem for problem in found)
    assert any("14 ids but tagged + carried + rejected = 101" in problem for problem in found)


def test_a_wrong_content_digest_is_named(table):
    snapshot = changed_file(read_snapshot(str(table), 1), "tracks", content="0" * 64)
    found = "\n".join(problems(table, snapshot))
    assert "content hash" in found and f"the snapshot has {'0' * 64}" in found


def test_other_ids_in_a_file_are_named(table):
    snapshot = read_snapshot(str(table), 1)
    ids = dataclasses.replace(snapshot.run.ids, tagger_id="tg-other")
    found = problems(table, dataclasses.replace(snapshot, run=dataclasses.replace(snapshot.run, ids=ids)))
    assert any("metadata tagger_id is 'tg-" in problem and "tg-other" in problem for problem in found)


def test_manifests_list_the_snapshot_s_files(table):
    folder = Path(table) / "manifests" / "0000000001"
    (folder / "tracks.txt").write_text("elsewhere\n")
    (folder / "ledger.txt").unlink()
    found = problems(table)
    assert any("tracks.txt: lists other files" in problem for problem in found)
    assert any("ledger.txt: missing" in problem for problem in found)


def test_a_table_of_best_tags_only_is_sound(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 12, publication=PublishedRows(min_score=0.3, top_k=2))
    assert problems(tmp_path / "table") == []
    found = problems(tmp_path / "table", rewrite(tmp_path / "table", "track_tags", edited("rank", replaced_first(3))))
    assert any("rank from 1 to 3, not within 1 to 2" in problem for problem in found)
