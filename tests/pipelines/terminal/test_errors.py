"""A full disk, a closed folder, no free file handles: one sentence with the place, whoever raises the error."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.terminal.errors import machine_fault
from tests.support.waiting import PATIENCE_S

NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOMEM]


class LibraryError(Exception):
    """What a library makes of an error of the system."""


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("named", [True, False])
def test_every_command_ends_with_the_system_s_words(
    number: int, named: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), *(["/data/one.bin"] if named else []))

    monkeypatch.setattr("pipelines.cli.program.main", fail)
    assert main(["describe", "x"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert os.strerror(number) in line and "internal error" not in line
    assert ("/data/one.bin" in line) == named


def test_the_words_of_a_library_are_understood() -> None:
    words = machine_fault(LibraryError("{{function_node}} x.ckpt; No space left on device [Op:SaveV2]"))
    assert words is not None and "free space" in words
    error = LibraryError("cannot write")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device", "/data/one.bin")
    assert machine_fault(error) == (
        "/data/one.bin: No space left on device: free space there, or let TMPDIR name a folder on another disk"
    )


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.ENOENT, "No such file"), OSError("of no number")])
def test_other_errors_are_bugs(error: Exception) -> None:
    assert machine_fault(error) is None


def test_a_limit_on_file_sizes_ends_in_one_sentence(tmp_path: Path) -> None:
    words = f'"{sys.executable}" -m pipelines.cli synthesize --quiet --output "{tmp_path}/new" --tracks 2 --duration 30'
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 64; exec {words}"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and "File too large" in line and "internal error" not in line
    assert not (tmp_path / "new" / "catalog.parquet").exists()
