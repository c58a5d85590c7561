"""What a killed training run leaves, and what is made of it."""

import hashlib
import io
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


def forged(folder: Path, facts: bytes | None, **arrays) -> None:
    """A checkpoint with the right SHA-256, of another program."""
    buffer = io.BytesIO()
    named = {} if facts is None else {"facts.json": np.frombuffer(facts, np.uint8)}
    np.savez(buffer, **named, **arrays)
    data = buffer.getvalue()
    (folder / checkpoints.CHECKPOINT_FILE).write_bytes(hashlib.sha256(data).hexdigest().encode() + data)


@pytest.mark.parametrize(
    "facts",
    [
        None,
        b"",
        b"\xff",
        b"[1]",
        b"{}",
        b"[" * 100_000,
        b'{"version": 1}',
        b'{"version": 2, "run": {}, "facts": {}}',
        b'{"version": "x", "run": {}, "facts": {}}',
        b'{"version": 1, "run": [], "facts": {}}',
        b'{"version": 1, "run": {}, "facts": 3}',
    ],
)
def test_another_programs_checkpoint_is_refused_in_a_sentence(tmp_path, facts):
    forged(tmp_path, facts)
    with pytest.raises(CheckpointError, match=r"[Rr]emove it to start again") as refused:
        checkpoints.load_checkpoint(str(tmp_path), {})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 1000


SOUND = {
    "facts": {"step": 4, "history": [{"loss": 0.5}], "best_epoch": 0},
    "arrays": {"state/0": np.zeros((2, 3)), "state/1": np.zeros(()), "best/0": np.zeros(5)},
}


@pytest.mark.parametrize(
    ("facts", "arrays"),
    [
        ({"step": 5}, {}),
        ({"step": -1}, {}),
        ({"step": 1.5}, {}),
        ({"step": True}, {}),
        ({"history": 7}, {}),
        ({"history": ["x"]}, {}),
        ({"best_epoch": 2}, {}),
        ({"best_epoch": "0"}, {}),
        ({}, {"state/0": np.zeros((3, 2))}),
        ({}, {"state/2": np.zeros(1)}),
        ({}, {"state/x": np.zeros(1)}),
        ({}, {"best/0": np.zeros(4)}),
        ({}, {"best/1": np.zeros(4)}),
    ],
)
def test_a_state_of_another_network_is_refused(facts, arrays):
    def restored(facts, arrays):
        found = Checkpoint(run={}, facts=facts, arrays=arrays)
        return checkpoints.restored("c", found, [(2, 3), ()], [(5,)], 5)

    progress, step = restored(**SOUND)
    assert (step, progress.best_epoch, len(progress.history)) == (4, 0, 1)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        restored({**SOUND["facts"], **facts}, {**SOUND["arrays"], **arrays})
