"""A run that is killed and started again ends with the very weights of one that was not."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.training import checkpoints
from models.training.data import Sampling
from models.training.errors import CheckpointError
from models.trunks.keras_trunk import digest_of
from tests.models.conftest import train_tiny

SMALL = {"epochs": 2, "sampling": Sampling(batch_size=16), "checkpoint_steps": 5, "similarity_weight": 0.3}
STEPS, SAVES = 11, 2 * 3
"""Of an epoch and of a whole run of `SMALL`: a checkpoint after step 5, step 10 and the epoch."""


def trained(dataset: Path, **options):
    return train_tiny(dataset, **{**SMALL, **options})


class Killed(BaseException):
    """What no code of ours may catch."""


def killed(dataset: Path, folder: Path, after: int, monkeypatch) -> None:
    """A run that ends in the middle of writing its checkpoint number `after + 1`."""
    save, count = checkpoints.save_checkpoint, iter(range(10**9))

    def dying(*args):
        if next(count) == after:
            raise Killed
        save(*args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoints, "save_checkpoint", dying)
        trained(dataset, checkpoints=str(folder))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Where a run that was never interrupted left its checkpoints, once `whole` is there."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def whole(dataset, finished):
    """That run."""
    return trained(dataset, checkpoints=str(finished))


def test_resumed_training_gives_the_same_bits(dataset, tmp_path, monkeypatch, whole):
    check_resumed(dataset, tmp_path, monkeypatch, whole, after=4)


@pytest.mark.long
@pytest.mark.parametrize("after", [1, 3, SAVES - 1])
def test_resumed_from_anywhere_it_gives_the_same_bits(dataset, tmp_path, monkeypatch, whole, after):
    check_resumed(dataset, tmp_path, monkeypatch, whole, after)


def check_resumed(dataset, folder, monkeypatch, whole, after):
    killed(dataset, folder, after, monkeypatch)
    resumed = trained(dataset, checkpoints=str(folder))
    assert digest_of(resumed.trunk) == digest_of(whole.trunk)
    assert (resumed.history, resumed.best_epoch) == (whole.history, whole.best_epoch)


def test_a_finished_run_is_not_trained_again(dataset, finished, monkeypatch, whole):
    monkeypatch.setattr("models.training.data.epoch_batches", None)
    assert digest_of(trained(dataset, checkpoints=str(finished)).trunk) == digest_of(whole.trunk)


def test_dropout_and_schedule_are_in_the_checkpoint(whole, finished):
    """The faults that resumed weights would not show at once: states that start again from zero."""
    file = finished / checkpoints.CHECKPOINT_FILE
    arrays = checkpoints._decode(str(file), file.read_bytes()).arrays
    integers = [a for name, a in arrays.items() if name.startswith("state/") and a.dtype.kind in "iu"]
    assert any(a.shape == () and a == 2 * STEPS for a in integers), "the optimizer's steps"
    states = [a for a in integers if a.shape == (2,)]
    assert len(states) == 2 and all(a[1] > 0 for a in states), "two layers of dropout"


def test_a_run_of_other_options_is_refused(dataset, whole, finished):
    with pytest.raises(CheckpointError, match="batch_size was 16, is 8; epochs was 2, is 5; seed was 0, is 1"):
        trained(dataset, checkpoints=str(finished), epochs=5, sampling=Sampling(batch_size=8, seed=1))


@pytest.mark.long
def test_kill_minus_nine_at_five_random_steps(dataset, tmp_path):
    """Real processes, killed while they train; each goes on where the one before was stopped."""
    arguments = ["--epochs", "6", "--batch-size", "16", "--checkpoint-steps", "3", "--similarity-weight", "0.3"]
    command = [sys.executable, "-m", "pipelines.cli", "train", "--dataset", str(dataset), *arguments, "--output"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    bundle, file = tmp_path / "killed", tmp_path / "killed.checkpoints" / checkpoints.CHECKPOINT_FILE
    rng = np.random.default_rng()
    for place in np.sort(rng.choice(np.arange(1, 20), 5, replace=False)):
        kill_after([*command, str(bundle)], file, writes=int(rng.integers(1, 4)), pause_s=0.02 * place)
    assert file.exists() and not bundle.exists()
    subprocess.run([*command, str(bundle)], check=True, capture_output=True)
    assert not file.parent.exists()
    assert weights_of(bundle) == weights_of(tmp_path / "whole")
    for name in ("history.json", "heads.npz"):
        assert (bundle / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def weights_of(bundle: Path) -> tuple[str, str]:
    """What names the trunk's weights and the whole tagger; saved files also hold when they were saved."""
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    return manifest["trunks"][0]["digest"], manifest["tagger_id"]


def kill_after(command: list[str], file: Path, writes: int, pause_s: float) -> None:
    """Starts a run, and kills it a moment after it has replaced its checkpoint so many times."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        seen, before = 0, stamp(file)
        while seen < writes and process.poll() is None:
            time.sleep(0.002)
            if (now := stamp(file)) != before:
                seen, before = seen + 1, now
        time.sleep(pause_s)
        assert process.poll() is None, "the run was over before it was killed"
        process.send_signal(signal.SIGKILL)


def stamp(file: Path) -> tuple[int, int] | None:
    return (file.stat().st_ino, file.stat().st_mtime_ns) if file.exists() else None
