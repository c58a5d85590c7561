"""`--allow-root` in commands: hostile rows are problems with their rows, and ordinary catalogs need no flag."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.inputs.source_roots import recorded_roots
from tests.support.hostile import hostile_uris, make_folder
from tests.support.world import World, ledger
from transforms.storage import SourceRoots
from transforms.table.snapshots import current_snapshot

ROOT = Path(__file__).parents[2]


def _hostile_catalog(folder: Path, versions: bool = False) -> tuple[Path, list[str]]:
    """A catalog of hostile uris beneath a folder of links, and the uris by row."""
    root = make_folder(folder)
    uris = hostile_uris(root)
    rows = pa.table({"track_id": [f"t{i}" for i in range(len(uris))], "uri": uris})
    if versions:
        rows = rows.append_column("source_version", pa.array(["1"] * len(uris)))
    pq.write_table(rows, root / "catalog.parquet")
    return root / "catalog.parquet", uris


def _command(world: World, name: str, catalog: Path, output: Path, *flags: str) -> list[str]:
    places = {
        "tag": ["--model", str(world.bundle), "--table", str(output)],
        "prepare": ["--taxonomy", str(world.folder / "taxonomy.yaml"), "--output", str(output)],
    }
    return [name, "--catalog", str(catalog), *places[name], "--max-reject-ratio", "1", *flags]


def _refused(root: Path, uris: list[str]) -> set[int]:
    """Rows, from 1, that lead out or have a scheme, NUL or no name."""
    roots = SourceRoots(str(root))
    return {
        row
        for row, uri in enumerate(uris, 1)
        if not uri.strip() or "\0" in uri or roots.check().refusal(roots.url(uri)) is not None
    }


@pytest.mark.parametrize("versions", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_hostile_row_is_a_problem_of_its_row(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], versions: bool
) -> None:
    catalog, uris = _hostile_catalog(tmp_path, versions)
    assert main(_command(world, "tag", catalog, tmp_path / "table")) == 1
    message = capsys.readouterr().err
    named = {int(row) for row in re.findall(r"row (\d+), column uri: ", message)}
    assert named >= _refused(catalog.parent, uris)
    assert current_snapshot(str(tmp_path / "table")) is None and not (tmp_path / "table" / "work").exists()
    assert "outside of the allowed roots: give --allow-root /etc\n" in message


@pytest.mark.long
def test_prepare_refuses_the_same(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "music").mkdir()
    rows = world.rows().select(["track_id", "tags"]).slice(0, 3)
    uris = pa.array([f"{tmp_path}/outside.wav", "link.wav", "../outside.wav"])
    (tmp_path / "outside.wav").write_bytes(b"secret")
    (tmp_path / "music" / "link.wav").symlink_to("../outside.wav")
    pq.write_table(rows.append_column("uri", uris), tmp_path / "music" / "catalog.parquet")
    assert main(_command(world, "prepare", tmp_path / "music" / "catalog.parquet", tmp_path / "dataset")) == 1
    message = capsys.readouterr().err
    assert message.count(f"outside of the allowed roots: give --allow-root {tmp_path}\n") == 3


def _linked(world: World, folder: Path) -> Path:
    """A catalog of three tracks outside of its folder, by an absolute path, through a link and by `..`."""
    tones = sorted((world.folder / "audio").iterdir(), key=lambda path: -path.stat().st_size)[:3]
    (folder / "outside").mkdir(parents=True)
    (folder / "music").mkdir()
    for path in tones:
        shutil.copy(path, folder / "outside" / path.name)
    (folder / "music" / "linked").symlink_to("../outside")
    uris = [f"{folder}/outside/{tones[0].name}", f"linked/{tones[1].name}", f"../outside/{tones[2].name}"]
    pq.write_table(pa.table({"track_id": list("abc"), "uri": uris}), folder / "music" / "catalog.parquet")
    return folder / "music" / "catalog.parquet"


@pytest.mark.long
def test_the_named_flag_admits_the_rows(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = _command(world, "tag", _linked(world, tmp_path), tmp_path / "table")
    assert main(command) == 1
    message = capsys.readouterr().err
    remedies = set(re.findall(r"give (--allow-root .+)", message))
    assert len(re.findall("outside of the allowed roots", message)) == 3
    assert main([*command, *(word for remedy in remedies for word in shlex.split(remedy))]) == 0
    snapshot = current_snapshot(str(tmp_path / "table"))
    assert snapshot is not None
    assert {row["reason"] for row in ledger(tmp_path / "table", snapshot).values()} == {None}


def test_a_catalog_of_a_folder_works_without_a_flag(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its uris are absolute, because the music is not beneath it."""
    _linked(world, tmp_path)
    catalog = tmp_path / "elsewhere" / "catalog.parquet"
    assert main(["import", "folder", str(tmp_path / "outside"), "--output", str(catalog)]) == 0
    assert main(_command(world, "tag", catalog, tmp_path / "table")) == 0
    copy = tmp_path / "other" / "catalog.parquet"
    copy.parent.mkdir()
    shutil.copy(catalog, copy)
    assert main(_command(world, "tag", copy, tmp_path / "table-2")) == 1
    assert f"give --allow-root {tmp_path}/outside\n" in capsys.readouterr().err


def test_a_split_of_such_a_catalog_works_too(world: World, tmp_path: Path) -> None:
    music = tmp_path / "music"
    shutil.copytree(world.folder / "audio", music)
    catalog, split = str(tmp_path / "a" / "catalog.parquet"), str(tmp_path / "b" / "split.parquet")
    assert main(["import", "folder", str(music), "--output", catalog, "--max-lost-ratio", "1"]) == 0
    rows = pq.read_table(catalog)
    tags = pa.array([[{"tag": "mood/calm", "weight": None}]] * len(rows), rows.schema.field("tags").type)
    pq.write_table(rows.set_column(rows.column_names.index("tags"), rows.schema.field("tags"), tags), catalog)
    taxonomy = ["--taxonomy", str(world.folder / "taxonomy.yaml")]
    assert main(["split", "--catalog", catalog, *taxonomy, "--output", split]) == 0
    assert recorded_roots([split]) == recorded_roots([catalog]) == (str(music),)


def test_a_catalog_cannot_extend_its_roots(world: World, tmp_path: Path) -> None:
    """What `import folder` writes into the file itself is believed by nobody."""
    catalog = _linked(world, tmp_path)
    assert main(["import", "folder", str(tmp_path / "outside"), "--output", str(tmp_path / "c" / "x.parquet")]) == 0
    forged = pq.read_table(tmp_path / "c" / "x.parquet")
    shutil.copy(tmp_path / "c" / "x.parquet", catalog)
    assert forged.schema.metadata is None or not any(
        str(tmp_path).encode() in v for v in forged.schema.metadata.values()
    )
    assert recorded_roots([str(catalog)]) == ()


def test_a_second_import_replaces_the_record(tmp_path: Path, world: World) -> None:
    _linked(world, tmp_path)
    catalog = str(tmp_path / "catalog.parquet")
    other = str(tmp_path / "c" / "catalog.parquet")
    assert main(["import", "folder", str(tmp_path / "outside"), "--output", other]) == 0
    assert recorded_roots([other]) == (str(tmp_path / "outside"),)
    (tmp_path / "c" / "inside").mkdir()
    shutil.copy(next((tmp_path / "outside").iterdir()), tmp_path / "c" / "inside")
    assert main(["import", "folder", str(tmp_path / "c" / "inside"), "--output", other]) == 0
    assert recorded_roots([other]) == recorded_roots([catalog]) == ()


def test_a_folder_that_is_a_link_is_recorded_too(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its uris are relative, but lead out of the catalog's folder."""
    _linked(world, tmp_path)
    (tmp_path / "catalogs").mkdir()
    (tmp_path / "catalogs" / "music").symlink_to("../outside")
    catalog = str(tmp_path / "catalogs" / "catalog.parquet")
    assert main(["import", "folder", str(tmp_path / "catalogs" / "music"), "--output", catalog]) == 0
    assert "3 tracks" in capsys.readouterr().out
    assert recorded_roots([catalog]) == (str(tmp_path / "outside"),)


def test_links_to_files_elsewhere_are_left_out_and_named(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _linked(world, tmp_path)
    (tmp_path / "music" / "secret.mp3").symlink_to("/etc/passwd")
    (tmp_path / "music" / "inside.mp3").symlink_to("again.mp3")
    shutil.copy(next((tmp_path / "outside").iterdir()), tmp_path / "music" / "again.mp3")
    for output in (tmp_path / "music" / "c.parquet", tmp_path / "elsewhere" / "c.parquet"):
        command = ["import", "folder", str(tmp_path / "music"), "--output", str(output), "--max-lost-ratio", "1"]
        assert main(command) == 0
        assert "link out of the folder: " in (message := capsys.readouterr().err)
        assert "secret.mp3: leads to /etc/passwd" in message
        names = [Path(uri).name for uri in pq.read_table(output)["uri"].to_pylist()]
        assert sorted(names) == ["again.mp3", "inside.mp3"]


def test_without_a_folder_for_records_the_flag_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _linked(world, tmp_path)
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    catalog = str(tmp_path / "c" / "catalog.parquet")
    assert main(["import", "folder", str(tmp_path / "outside"), "--output", catalog]) == 0
    assert f"--allow-root {tmp_path}/outside: it could not be recorded" in capsys.readouterr().out
    assert recorded_roots([catalog]) == ()


def test_a_damaged_record_is_ignored_with_a_warning(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _linked(world, tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    catalog = str(tmp_path / "c" / "catalog.parquet")
    assert main(["import", "folder", str(tmp_path / "outside"), "--output", catalog]) == 0
    (record,) = (tmp_path / "state" / "catalog-tagger" / "roots").iterdir()
    for damage in (b"", b"{", b"[]", b'{"roots": 3}', b'{"catalog": "", "roots": ["/"]}', b"\xff"):
        record.write_bytes(damage)
        assert recorded_roots([catalog]) == ()
    assert f"{record} cannot be read and is ignored" in caplog.text


@pytest.mark.parametrize("root", ["", "gs://", "gs:///x", "gs://b/../c", "s3://bucket", "file:///music", "FILE"])
def test_roots_that_are_none(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], root: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    value = root.replace("FILE", str(tmp_path / "file"))
    assert main(_command(world, "tag", world.catalog, tmp_path / "table", "--allow-root", value)) == 2
    assert (
        f"--allow-root={value}: " in (message := capsys.readouterr().err)
        or "--allow-root: the value is empty" in message
    )


@pytest.mark.long
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_trace_of_tag_shows_no_opening_outside(world: World, tmp_path: Path) -> None:
    catalog, _ = _hostile_catalog(tmp_path)
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "pipelines.cli", *_command(world, "tag", catalog, tmp_path / "table")]
    traced = ["strace", "-f", "-y", "-e", "trace=open,openat,openat2,creat", "-o", str(trace), *command]
    done = subprocess.run(traced, cwd=ROOT, capture_output=True, text=True)
    if "PTRACE" in done.stderr:
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 1 and "outside of the allowed roots" in done.stderr
    forbidden = re.compile(
        rf"{tmp_path}/(outside|root-evil|rootless)|/etc/shadow|/proc/(kmsg|1/|self/environ)|/dev/(zero|kmsg|mem)"
    )
    assert [line for line in trace.read_text("utf-8", "replace").splitlines() if forbidden.search(line)] == []


def test_doctor_tells_that_tag_would_refuse_the_catalog(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(_linked(world, tmp_path))]) == 1
    shown = capsys.readouterr().out
    assert "3 of 3 sampled sources are outside of the allowed roots" in shown and "--allow-root" in shown
