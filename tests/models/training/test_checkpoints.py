"""What a killed training run leaves, and what is made of it."""

from pathlib import Path

import numpy as np
import pytest

from models.training import checkpoints
from models.training.checkpoints import Checkpoint
from models.training.errors import CheckpointError

RUN = {"epochs": 3, "trunk": "compact", "learning_rate": None}


def saved(folder: Path, run=RUN, **arrays) -> Path:
    arrays = arrays or {"state/0": np.arange(6, dtype=np.float32).reshape(2, 3), "state/1": np.array(7, np.int64)}
    checkpoints.save_checkpoint(
        str(folder), Checkpoint(run=run, facts={"step": 4, "history": [{"loss": 0.1}]}, arrays=arrays)
    )
    return folder / checkpoints.CHECKPOINT_FILE


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    saved(tmp_path / "c")
    found = checkpoints.load_checkpoint(str(tmp_path / "c"), RUN)
    assert found.facts == {"step": 4, "history": [{"loss": 0.1}]} and set(found.arrays) == {"state/0", "state/1"}
    assert found.arrays["state/0"].dtype == np.float32 and found.arrays["state/0"].shape == (2, 3)
    assert found.arrays["state/1"] == 7


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert checkpoints.load_checkpoint(str(tmp_path / "c"), RUN) is None


def test_the_last_one_replaces_the_others(tmp_path):
    saved(tmp_path, **{"state/0": np.zeros(2)})
    saved(tmp_path, **{"state/0": np.ones(2)})
    assert checkpoints.load_checkpoint(str(tmp_path), RUN).arrays["state/0"].sum() == 2
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.CHECKPOINT_FILE]


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path):
    saved(tmp_path)
    with pytest.raises(CheckpointError, match="another training run: epochs was 3, is 5; trunk was 'compact', is 'mo"):
        checkpoints.load_checkpoint(str(tmp_path), {**RUN, "epochs": 5, "trunk": "mobile"})


@pytest.mark.parametrize("place", [0, 10, 64, 200, -1])
def test_a_changed_checkpoint_is_refused(tmp_path, place):
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoints.load_checkpoint(str(tmp_path), RUN)


@pytest.mark.parametrize("size", [0, 30, 64, 300])
def test_a_cut_checkpoint_is_refused(tmp_path, size):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"is damaged|is not a checkpoint"):
        checkpoints.load_checkpoint(str(tmp_path), RUN)


def test_what_killed_writers_left_is_removed_with_it(tmp_path):
    saved(tmp_path / "c")
    (tmp_path / "c" / ".partial-0123").write_bytes(b"half")
    checkpoints.remove(str(tmp_path / "c"))
    assert not (tmp_path / "c").exists()


def test_foreign_files_beside_it_stay(tmp_path):
    saved(tmp_path)
    (tmp_path / "notes").write_text("mine")
    checkpoints.remove(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
    checkpoints.remove(str(tmp_path / "nowhere"))
