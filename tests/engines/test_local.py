"""The same neighbours from the local runner with any number of workers."""

from pathlib import Path

import pytest

from tests.engines.same_neighbours import check_same_neighbours


@pytest.mark.long
@pytest.mark.parametrize(("workers", "mode"), [(1, "in_memory"), (2, "multi_threading"), (2, "multi_processing")])
def test_workers_find_the_same_neighbours(tmp_path: Path, monkeypatch, workers: int, mode: str) -> None:
    flags = [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}"]
    check_same_neighbours(monkeypatch, tmp_path, *flags)
