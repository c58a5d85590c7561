"""Part files are a cache: whatever is wrong with one, its tracks are decoded again, and one warning names it."""

import io
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import storage
from transforms.formats.hashing import bucket_of, digest
from transforms.formats.parquet import parquet_bytes
from transforms.schemas.tables import PART
from transforms.tagging import part_files
from transforms.tagging.part_files import Promised, read_parts, write_part

BUCKETS, DIM = 2, 4
PROMISED = Promised(bucket=0, buckets=BUCKETS, embedding_id="em-1", dim=DIM)
IDS = [[f"t{i}" for i in range(400) if bucket_of(f"t{i}", BUCKETS) == bucket] for bucket in range(BUCKETS)]


def _row(track: str, **changes: object) -> dict[str, object]:
    row = {
        "track_id": track,
        "source_version": "17-42",
        "source_bytes": 1000,
        "source_sha256": f"{len(track):064x}",
        "decoded_fraction": 1.0,
        "duration_s": 30.0,
        "sample_rate": 44_100,
        "channels": 2,
        "embedding": [0.5, -1.0, 2.0, float(len(track))],
    }
    return dict.fromkeys(PART.names) | row | changes


def _reject(track: str) -> dict[str, object]:
    return dict.fromkeys(PART.names) | {
        "track_id": track,
        "source_version": "1",
        "reason": "silent",
        "detail": "all",
        "stage": "features",
    }


def _table(rows: list[dict[str, object]], schema: pa.Schema = PART) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


def _sound(bucket: int = 0, first: int = 0) -> pa.Table:
    ids = IDS[bucket][first : first + 12]
    return _table([*(_row(track) for track in ids[:10]), *(_reject(track) for track in ids[10:])])


@pytest.fixture
def root(tmp_path: Path) -> str:
    part_files._warn_once.cache_clear()
    part_files._sound.clear()
    return str(tmp_path)


def _parts(root: str, promised: Promised = PROMISED, ids: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    return read_parts(root, promised, PART.names, ids or [*IDS[0], *IDS[1]])


def _ids(root: str, promised: Promised = PROMISED) -> list[str]:
    return sorted(track for _, part in _parts(root, promised) for track in part["track_id"].to_pylist())


def _place(root: str, data: bytes, *, name: str | None = None, bucket: int = 0) -> Path:
    """Puts bytes where a part file would be, under the name that their checksum gives by default."""
    path = Path(root) / f"work/bucket={bucket:04d}" / (name or f"{digest(data)[:24]}.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _damages(data: bytes, other: bytes) -> Iterator[bytes]:
    """Flips anywhere, cuts, zeroing, growth, another file's bytes, and no file at all."""
    pick = random.Random(5)
    for _ in range(400):
        at = pick.randrange(len(data))
        yield data[:at] + bytes([data[at] ^ 1 << pick.randrange(8)]) + data[at + 1 :]
    for length in {0, 1, 4, 8, 12, len(data) - 1, len(data) - 8, *pick.sample(range(len(data)), 40)}:
        yield data[:length]
        yield data[:length] + bytes(len(data) - length)
        yield bytes(length) + data[length:]
    yield from (data + b"\0", data + data, data * 20, other, b"PAR1PAR1", b"{}", "täg".encode() * 100)


def test_a_damaged_file_is_absent_and_its_neighbour_is_not(root: str, caplog: pytest.LogCaptureFixture) -> None:
    url = write_part(root, 0, _sound(), "em-1")
    write_part(root, 0, _sound(first=20), "em-1")
    data, other = Path(url).read_bytes(), parquet_bytes(_sound(first=40), ids={"embedding_id": "em-1"})
    kept = sorted(_sound(first=20)["track_id"].to_pylist())
    count = 0
    for damaged in (damaged for damaged in _damages(data, other) if damaged != data):
        Path(url).write_bytes(damaged)
        assert _ids(root) == kept
        count += 1
    assert count > 400
    assert {record.args[0] for record in caplog.records} == {url} and caplog.records[0].levelno == logging.WARNING
    assert write_part(root, 0, _sound(), "em-1") == url, "the chunk gets its outcome again, under the same name"
    assert Path(url).read_bytes() == data and len(_ids(root)) == 24


def test_one_warning_names_the_file_and_what_to_do(root: str, caplog: pytest.LogCaptureFixture) -> None:
    path = _place(root, b"nothing", name="0" * 24 + ".parquet")
    assert _ids(root) == _ids(root) == []
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: ignored, its tracks are decoded again: 7 bytes that do not match the checksum in the file's name; "
        "it can be deleted"
    )


@pytest.mark.parametrize("fault", [storage.Unavailable, storage.PermissionDenied, storage.NotFound, storage.TooLarge])
def test_a_file_that_cannot_be_read_is_absent(root: str, monkeypatch: pytest.MonkeyPatch, fault: type) -> None:
    write_part(root, 0, _sound(), "em-1")

    def fail(url: str, **_: object) -> bytes:
        raise fault(f"{url}: as told")

    monkeypatch.setattr(storage, "read_bytes", fail)
    assert _ids(root) == []


def test_links_folders_and_other_files_are_passed_over(root: str) -> None:
    url = write_part(root, 0, _sound(), "em-1")
    folder = Path(url).parent
    (folder / "loop.parquet").symlink_to("loop.parquet")
    (folder / "gone.parquet").symlink_to("nowhere")
    (folder / "folder.parquet").mkdir()
    (folder / "notes.txt").write_text("x")
    assert len(_ids(root)) == 12


def test_two_files_that_were_swapped_are_absent(root: str) -> None:
    one, two = (Path(write_part(root, 0, _sound(first=first), "em-1")) for first in (0, 20))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    assert _ids(root) == []


def test_a_file_of_another_bucket_is_absent(root: str) -> None:
    data = Path(write_part(root, 1, _sound(bucket=1), "em-1")).read_bytes()
    _place(root, data, bucket=0)
    assert _ids(root) == [] and len(_ids(root, PROMISED._replace(bucket=1))) == 12


def test_another_embedding_is_skipped_without_a_warning(root: str, caplog: pytest.LogCaptureFixture) -> None:
    write_part(root, 0, _sound(), "em-2")
    assert _ids(root) == [] and not caplog.records


def _retyped(name: str, kind: pa.DataType) -> Callable[[], pa.Table]:
    return lambda: _table([], pa.schema([f if f.name != name else pa.field(name, kind) for f in PART]))


NULLABLE = pa.schema([field.with_nullable(True) for field in PART])
LOOSE = pa.schema(
    [f if f.name != "embedding" else pa.field("embedding", pa.list_(pa.field("element", pa.float32()))) for f in PART]
)
BROKEN: dict[str, Callable[[], pa.Table]] = {
    **{f"without {name}": lambda name=name: _sound().drop_columns(name) for name in PART.names},
    **{f"{field.name} of bytes": _retyped(field.name, pa.binary()) for field in PART},
    "embeddings of float64": _retyped("embedding", pa.list_(pa.float64())),
    "no track_id": lambda: _table([_row(IDS[0][0]), _row("t0") | {"track_id": None}], NULLABLE),
    "no source_version": lambda: _table([_row(IDS[0][0], source_version=None)], NULLABLE),
    "the same track twice": lambda: _table([_row(IDS[0][0]), _row(IDS[0][0])]),
    "a track of another bucket": lambda: _table([_row(IDS[0][0]), _row(IDS[1][0])]),
    "an unknown reason": lambda: _table([_reject(IDS[0][0]) | {"reason": "tired"}]),
    "an unknown stage": lambda: _table([_reject(IDS[0][0]) | {"stage": "lunch"}]),
    "neither reason nor embedding": lambda: _table([_row(IDS[0][0], embedding=None)]),
    "read, but no SHA-256": lambda: _table([_row(IDS[0][0], embedding=None, stage="read", source_sha256=None)]),
    "decoded, but no embedding": lambda: _table([_row(IDS[0][0], embedding=None, stage="decode")]),
    "reason and embedding": lambda: _table([_row(IDS[0][0], reason="silent")]),
    "a short embedding": lambda: _table([_row(IDS[0][0], embedding=[1.0])]),
    "an empty embedding": lambda: _table([_row(IDS[0][0], embedding=[])]),
    "a longer embedding": lambda: _table([_row(IDS[0][0]), _row(IDS[0][1], embedding=[1.0] * (DIM + 1))]),
    "NaN": lambda: _table([_row(IDS[0][0], embedding=[float("nan"), 1.0, 1.0, 1.0])]),
    "infinity": lambda: _table([_row(IDS[0][0], embedding=[float("inf"), 1.0, 1.0, 1.0])]),
    "a null in an embedding": lambda: _table([_row(IDS[0][0], embedding=[None, 1.0, 1.0, 1.0])], LOOSE),
    "float32 precision": lambda: _table([_row(IDS[0][0], embedding=[0.1, 1.0, 1.0, 1.0])]),
    "more than float16 holds": lambda: _table([_row(IDS[0][0], embedding=[1e6, 1.0, 1.0, 1.0])]),
    "a negative size": lambda: _table([_row(IDS[0][0], source_bytes=-1)]),
    "a duration of NaN": lambda: _table([_row(IDS[0][0], duration_s=float("nan"))]),
    "a negative duration": lambda: _table([_row(IDS[0][0], duration_s=-1.0)]),
    "a fraction of 7": lambda: _table([_row(IDS[0][0], decoded_fraction=7.0)]),
    "rate 0": lambda: _table([_row(IDS[0][0], sample_rate=0)]),
    "channels -1": lambda: _table([_row(IDS[0][0], channels=-1)]),
    "no SHA-256": lambda: _table([_row(IDS[0][0], source_sha256="abc")]),
    "text that is not UTF-8": lambda: _table([_row(IDS[0][0])]).set_column(
        3, "detail", pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_are_not_what_the_schema_promises_are_absent(
    root: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The checksum in the name is right: somebody else, or another version, wrote the file."""
    path = _place(root, parquet_bytes(BROKEN[name](), ids={"embedding_id": "em-1"}))
    sound = write_part(root, 0, _sound(first=20), "em-1")
    assert [name for name, _ in _parts(root)] == [Path(sound).name]
    assert [record.args[0] for record in caplog.records] == [str(path)]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not Parquet", bytes(10_000)])
def test_files_that_are_no_parquet_are_absent(root: str, data: bytes) -> None:
    _place(root, data)
    assert _ids(root) == []


def test_further_columns_of_a_newer_program_are_left_out(root: str) -> None:
    more = _sound().append_column("mood", pa.array(["calm"] * 12))
    _place(root, parquet_bytes(more, ids={"embedding_id": "em-1"}))
    ((_, part),) = _parts(root)
    assert part.column_names == PART.names and part.num_rows == 12


def test_parts_without_any_of_the_tracks_are_passed_over(root: str, caplog: pytest.LogCaptureFixture) -> None:
    write_part(root, 0, PART.empty_table(), "em-1")
    for first in (0, 20):
        write_part(root, 0, _sound(first=first), "em-1")
    assert list(_parts(root, ids=["new"])) == []
    assert [part.num_rows for _, part in _parts(root, ids=[IDS[0][21], "new"])] == [12] and not caplog.records


def test_only_the_columns_that_are_wanted_are_read(root: str) -> None:
    write_part(root, 0, _sound(), "em-1")
    for _ in range(2):  # a file is checked when it is read for the first time
        ((_, part),) = read_parts(root, PROMISED, ["reason", "track_id"], IDS[0])
        assert part.column_names == ["reason", "track_id"] and part.num_rows == 12


def test_what_is_remembered_of_checked_files_is_bounded(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "_MOST_REMEMBERED", 3)
    for first in range(10):
        write_part(root, 0, _sound(first=first), "em-1")
    for _ in range(2):
        assert sum(part.num_rows for _, part in _parts(root)) == 120
        assert len(part_files._sound) <= 3


def test_a_file_that_has_a_column_twice_is_absent(root: str, caplog: pytest.LogCaptureFixture) -> None:
    twice = _sound().append_column("track_id", _sound()["track_id"])
    stream = io.BytesIO()
    pq.write_table(twice.replace_schema_metadata({"embedding_id": PROMISED.embedding_id}), stream)
    _place(root, stream.getvalue())
    assert _ids(root) == [] and "a column occurs more than once" in caplog.text
