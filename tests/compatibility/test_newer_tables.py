"""Tables of a later version: whoever is too old to read one, or to write to it, says so in one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from transforms.formats.sealing import SEALING_WRITER, open_sealed
from transforms.table.versions import (
    READER_VERSION,
    WRITER_VERSION,
    TableError,
    TableMetadata,
    check_version,
    open_table,
    read_table_metadata,
)

FIXTURES = Path(__file__).parent / "v0_1"

READERS = {
    "query": ["query", "TABLE", "SELECT 1"],
    "sql": ["sql", "TABLE", "--engine", "duckdb"],
    "describe": ["describe", "TABLE"],
    "verify": ["verify", "TABLE"],
    "refit": [
        "refit",
        "--table",
        "TABLE",
        "--model",
        "BUNDLE",
        "--catalog",
        "CATALOG",
        "--output",
        "NEW",
    ],
    "evaluate": ["evaluate", "--table", "TABLE", "--model", "BUNDLE", "--catalog", "CATALOG", "--output", "NEW"],
}
WRITERS = {
    "tag": ["tag", "--catalog", "CATALOG", "--model", "BUNDLE", "--table", "TABLE", "--max-reject-ratio", "0.5"],
    "also": ["tag", "--catalog", "CATALOG", "--model", "FAKE", "--table", "OTHER", "--also", "BUNDLE", "TABLE"],
    "publish": ["publish", "TABLE", "RUN"],
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the fixtures whose second snapshot waits to be published."""
    old = Path(shutil.copytree(FIXTURES, tmp_path / "old"))
    (old / "table/snapshots/0000000002.json").unlink()
    return old


def ask_for(table: Path, **versions: int) -> None:
    """Lets a table ask for other versions."""
    path = table / "table.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **versions}), encoding="utf-8")


def run(old: Path, words: list[str]) -> int:
    runs = {p.stem for p in (old / "table/runs").iterdir()}
    published = json.loads((old / "table/snapshots/0000000001.json").read_text(encoding="utf-8"))["run_id"]
    places = {"TABLE": "table", "BUNDLE": "trained", "FAKE": "fake", "CATALOG": "catalog.parquet", "NEW": "new"}
    named = {name: str(old / place) for name, place in {**places, "OTHER": "further"}.items()}
    (named["RUN"],) = runs - {published}
    return main([*(named.get(word, word) for word in words), "--quiet"])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(old: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command ends with; it must not have changed the table."""
    before = contents(old / "table")
    assert run(old, words) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), out + err
    assert contents(old / "table") == before
    return err


@pytest.mark.parametrize("words", [*READERS.values(), *WRITERS.values()], ids=[*READERS, *WRITERS])
def test_an_older_reader_refuses(old: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ask_for(old / "table", min_reader_version=READER_VERSION + 1)
    said = refusal(old, words, capsys)
    assert f"needs reader version {READER_VERSION + 1}, but catalog-tagger " in said
    assert said.endswith(f"has reader version {READER_VERSION}: upgrade catalog-tagger\n")


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_an_older_writer_refuses(old: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ask_for(old / "table", min_writer_version=WRITER_VERSION + 1)
    said = refusal(old, words, capsys)
    assert f"needs writer version {WRITER_VERSION + 1}, but catalog-tagger " in said
    assert said.endswith(f"has writer version {WRITER_VERSION}: upgrade catalog-tagger\n")


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_readers_do_not_mind_a_newer_writer(old: Path, words: list[str]) -> None:
    ask_for(old / "table", min_writer_version=WRITER_VERSION + 1)
    assert run(old, words) == 0


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_an_old_table_asks_for_the_first_versions(old: Path, words: list[str]) -> None:
    assert read_table_metadata(str(old / "table"), writing=True) == TableMetadata(
        buckets=2, min_reader_version=1, min_writer_version=1
    )
    assert run(old, [*words, "--max-reject-ratio", "0.5"]) == 0


def test_a_new_table_states_its_versions(tmp_path: Path) -> None:
    assert open_table(str(tmp_path), 7) == 7
    stored = open_sealed((tmp_path / "table.json").read_bytes())
    assert stored.sealed and stored.fields == {
        "writer_version": SEALING_WRITER,
        "schema_version": 1,
        "buckets": 7,
        "min_reader_version": 1,  # until a snapshot has levels
        "min_writer_version": 2,
    }


def test_a_later_table_without_the_versions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text('{"schema_version": 99, "buckets": 3}')
    with pytest.raises(TableError, match="reader version 99"):
        check_version(str(tmp_path))


@pytest.mark.parametrize(
    "stored", ["", "[]", "{}", {"schema_version": 1}, {"schema_version": 1, "buckets": 3, "min_reader_version": None}]
)
def test_a_damaged_file_is_refused_in_one_line(stored: Any, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(stored if isinstance(stored, str) else json.dumps(stored))
    for writing in (False, True):
        with pytest.raises(TableError, match="not the metadata of a table") as refused:
            check_version(str(tmp_path), writing=writing)
        assert "\n" not in str(refused.value)


def test_a_folder_without_the_file_asks_for_nothing(tmp_path: Path) -> None:
    check_version(str(tmp_path), writing=True)
