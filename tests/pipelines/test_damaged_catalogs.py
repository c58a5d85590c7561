"""Catalogs that lost rows or have too many: each is refused with the name of its gate, and readers see no change."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.inputs.catalog import open_catalog
from tests.support.world import World, tag_code
from transforms.table.reader import open_snapshot

TRACKS, FILES = 40, 4


def write_catalog(folder: Path) -> Path:
    """Tracks whose audio is missing, in several files."""
    folder.mkdir()
    for part in range(FILES):
        ids = [f"track-{i:02d}" for i in range(part, TRACKS, FILES)]
        rows = {"track_id": ids, "uri": [f"no/{i}" for i in ids], "source_version": ["1"] * len(ids)}
        pq.write_table(pa.table(rows), folder / f"part-{part}.parquet")
    return folder


@pytest.fixture(scope="module")
def first_night(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `catalog/`, and `table/` with one snapshot of it."""
    folder = tmp_path_factory.mktemp("night")
    assert nightly(world, folder / "table", write_catalog(folder / "catalog")) == 0
    return folder


@pytest.fixture
def published(first_night: Path, tmp_path: Path) -> Path:
    """A copy of the table, beside one of `catalog/`."""
    shutil.copytree(first_night, tmp_path, dirs_exist_ok=True)
    return tmp_path / "table"


def nightly(world: World, table: Path, catalog: Path) -> int:
    return tag_code(world, table, "--max-reject-ratio", "1", catalog=catalog)


def published_files(table: Path) -> dict[str, bytes]:
    """Everything that readers use."""
    hints = [table / "current.json", table / "current.sql"]
    folders = [path for name in ("snapshots", "manifests") for path in (table / name).rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in [*hints, *folders]}


def cut(catalog: Path) -> None:
    """The last file lost its end, and with it the footer that says how many rows it has."""
    path = catalog / "part-3.parquet"
    path.write_bytes(path.read_bytes()[:-30])


def emptied(catalog: Path) -> None:
    for path in catalog.iterdir():
        pq.write_table(pq.read_table(path).slice(0, 0), path)


def halved(catalog: Path) -> None:
    for part in (1, 2):
        (catalog / f"part-{part}.parquet").unlink()


def doubled(catalog: Path) -> None:
    shutil.copy(catalog / "part-1.parquet", catalog / "part-1 (copy).parquet")


@pytest.mark.parametrize(
    ("damage", "gate", "said"),
    [
        (cut, "counted", "part-3.parquet: "),
        (emptied, "empty", "the catalog has no rows"),
        (halved, "removed", "20 of 40 tracks of the last snapshot are not in the catalog"),
        (doubled, "unique", "track_id 'track-01' is already used in "),
    ],
)
def test_a_damaged_catalog_is_refused_by_its_gate(
    world: World,
    published: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    gate: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, rows = published_files(published), open_snapshot(str(published)).scan("ledger")
    damage(tmp_path / "catalog")
    assert nightly(world, published, tmp_path / "catalog") == 3
    assert f"gate {gate}" in (error := capsys.readouterr().err) and said in error and "Traceback" not in error
    assert published_files(published) == before and open_snapshot(str(published)).scan("ledger") == rows
    shutil.rmtree(tmp_path / "catalog")
    assert nightly(world, published, write_catalog(tmp_path / "catalog")) == 0, "a whole catalog is tagged again"
    assert open_snapshot(str(published)).manifest.number == 2


def test_the_ten_first_lost_tracks_are_named(
    world: World, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halved(tmp_path / "catalog")
    assert nightly(world, published, tmp_path / "catalog") == 3
    lost = [f"track-{i:02d}" for i in range(TRACKS) if i % FILES in (1, 2)]
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line for line in lines if line in lost] == lost[:10]


def test_limits_of_the_gates_file_hold_for_tag_and_publish(
    world: World, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "catalog" / "part-0.parquet").unlink()
    (published / "gates.yaml").write_text("version: 1\nlimits: {removed: 0.3}\n")
    assert nightly(world, published, tmp_path / "catalog") == 0
    (tmp_path / "catalog" / "part-1.parquet").unlink()
    assert nightly(world, published, tmp_path / "catalog") == 3
    assert "gate removed (value 0.333333, limit 0.3)" in capsys.readouterr().err
    assert main(["publish", str(published), "--max-reject-ratio", "1", "--gate", "removed=0.2"]) == 3
    assert "gate removed (value 0.333333, limit 0.2)" in capsys.readouterr().err
    (published / "gates.yaml").write_text("version: 1\nlimits: {removed: 0.35, rejected: 1}\n")
    assert main(["publish", str(published)]) == 0
    assert open_snapshot(str(published)).manifest.run.gates["removed"] == {
        "value": 1 / 3,
        "limit": 0.35,
        "passed": True,
    }


def test_a_wrong_gates_file_stops_tag_and_publish_before_anything_starts(
    world: World, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "gates.yaml").write_text("version: 1\nlimits: {remove: 0.3}\n")
    assert nightly(world, published, tmp_path / "catalog") == 1
    assert "gates.yaml: no gate 'remove': did you mean removed?" in capsys.readouterr().err
    assert main(["publish", str(published)]) == 1
    assert not list((published / "launches").iterdir())


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl"])
def test_a_last_line_without_its_end_is_warned_of(tmp_path, caplog, name):
    rows = "track_id,uri\na,a.mp3\n" if name == "c.csv" else '{"track_id": "a", "uri": "a.mp3"}\n'
    for text, warned in ((rows, 0), (rows[:-1], 1)):
        (tmp_path / name).write_text(text)
        caplog.clear()
        assert open_catalog(str(tmp_path / name))[1] == 1
        assert sum("its last line has no line end" in record.getMessage() for record in caplog.records) == warned


def test_an_import_says_that_a_table_may_have_been_cut(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("track_id,uri\na,a.mp3\nb,b.m")
    assert main(["import", "csv", str(tmp_path / "c.csv"), "--output", str(tmp_path / "o.parquet"), "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning == f"{tmp_path}/c.csv: its last line has no line end: if the file was cut there, rows are missing"
