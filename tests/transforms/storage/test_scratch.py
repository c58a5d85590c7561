"""Scratch space: lists of records on disk, which no killed process leaves for good."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import storage
from transforms.storage.scratch import PREFIX, Scratch, open_scratch

HOLD = (
    "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
    "from transforms.storage.scratch import open_scratch\n"
    "with open_scratch() as scratch: print(scratch.folder, flush=True); sys.stdin.read()"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=9))))
def test_records_come_back_in_their_order(added: list[tuple[str, bytes]]) -> None:
    with open_scratch() as scratch:
        for name, record in added:
            scratch.append(f"group/{name}", record)
        assert scratch.names("group") == sorted({f"group/{name}" for name, _ in added})
        for name in "abc":
            assert list(scratch.records(f"group/{name}")) == [record for other, record in added if other == name]
            scratch.remove(f"group/{name}")
        assert scratch.names("group") == []


def test_nothing_stays(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_scratch() as scratch:
        scratch.append("group/a", b"1")
        assert Path(scratch.folder).stat().st_mode & 0o777 == 0o700
        raise ZeroDivisionError
    assert list(folder.iterdir()) == []


def test_the_space_of_killed_processes_is_removed_and_that_of_others_kept(folder: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(folder)]
    running, killed = (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    places = [Path(process.stdout.readline().strip()) for process in (running, killed)]
    killed.kill()
    killed.wait()
    for place in places:
        os.utime(place)  # a slow machine took long to start the second one
    with open_scratch():
        assert all(place.exists() for place in places), "young ones may not have their lock yet"
    for place in places:
        os.utime(place, (0, 0))
    with open_scratch():
        assert [place.exists() for place in places] == [True, False]
    running.communicate("")
    assert not places[0].exists()


def test_links_and_files_with_such_a_name_are_left_alone(folder: Path) -> None:
    (folder / "precious").mkdir()
    (folder / f"{PREFIX}link").symlink_to(folder / "precious")
    (folder / f"{PREFIX}file").touch()
    for name in ("link", "file"):
        os.utime(folder / f"{PREFIX}{name}", (0, 0), follow_symlinks=False)
    with open_scratch():
        pass
    assert (folder / "precious").exists() and (folder / f"{PREFIX}file").exists()


def test_a_full_or_missing_folder_is_one_error_with_a_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(storage.StorageError, match=r"No such file or directory.*TMPDIR"):
        Scratch(str(folder / "missing")).append("group/a", b"1")
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(storage.StorageError, match="let TMPDIR name one"), open_scratch():
        pass
