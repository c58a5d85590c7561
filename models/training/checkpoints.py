"""Checkpoints of training runs. A checkpoint is one file, written atomically. Needs no TensorFlow."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.training.errors import CheckpointError
from models.training.progress import Progress
from transforms import storage
from transforms.formats.documents import parse_json
from transforms.formats.hashing import sha256_hex
from transforms.formats.npz import read_npz
from transforms.formats.record_types import check_types
from transforms.storage.local import PARTIAL
from transforms.telemetry.kept_work import note_kept_work

CHECKPOINT_FILE = "training.checkpoint"
VERSION = 1
_FACTS = "facts.json"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """The state of a training run between two steps.

    Attributes:
      run: identity of the run: everything that its weights depend on, as JSON values.
      facts: the part of the state that is JSON values.
      arrays: the part of the state that is arrays.
    """

    run: Mapping[str, Any]
    facts: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def save_checkpoint(folder: str, checkpoint: Checkpoint) -> None:
    """Atomically replaces the checkpoint in a folder, local or gs://: a reader gets either the old or the new file."""
    buffer = io.BytesIO()
    facts = {"version": VERSION, "run": checkpoint.run, "facts": checkpoint.facts}
    arrays = {_FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8), **checkpoint.arrays}
    # The stub of `savez` also has a bool parameter, so mypy expects a bool for arrays passed as keywords.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    data = buffer.getvalue()
    storage.write_bytes(storage.join(folder, CHECKPOINT_FILE), sha256_hex(data).encode() + data)
    note_kept_work()


def is_in(folder: str) -> bool:
    """Whether an unfinished run left a checkpoint in this folder or in one below it."""
    return any(file.url.endswith(f"/{CHECKPOINT_FILE}") for file in storage.list_files(folder))


def load_checkpoint(folder: str, run: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint in a folder, or None if there is no checkpoint.

    Raises:
      CheckpointError: the checkpoint is damaged, or belongs to a run that differs from `run`. The message has the
        differences.
    """
    url = storage.join(folder, CHECKPOINT_FILE)
    try:
        data = storage.read_bytes(url)
    except storage.NotFound:
        return None
    checkpoint = _decode(url, data)
    # JSON turned tuples in `checkpoint.run` into lists. The same conversion makes `run` comparable.
    if differences := _differences(checkpoint.run, json.loads(json.dumps(run))):
        raise CheckpointError(
            f"{url} belongs to another training run: {'; '.join(differences)}. Use the options of that run, or another "
            "folder (--checkpoints)"
        )
    return checkpoint


def _decode(url: str, data: bytes) -> Checkpoint:
    digest, data = data[:64].decode("latin-1"), data[64:]
    if sha256_hex(data) != digest:
        raise CheckpointError(
            f"{url} is damaged: its SHA-256 differs from the one at its start. Remove it to start again"
        )
    with _refusing(url):
        arrays = read_npz(data)
        facts = parse_json(arrays.pop(_FACTS).tobytes())
        if (version := facts["version"]) == VERSION:
            checkpoint = Checkpoint(run=facts["run"], facts=facts["facts"], arrays=arrays)
            check_types(checkpoint)
            return checkpoint
    raise CheckpointError(
        f"{url} has version {version!a:.60}, but this program reads {VERSION}: remove it to start again"
    )


@contextlib.contextmanager
def _refusing(url: str) -> Iterator[None]:
    """Converts errors of what a checkpoint contains to a CheckpointError."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{url} is not a checkpoint: {error!s:.500}. Remove it to start again") from error


def restored(
    folder: str,
    checkpoint: Checkpoint,
    shapes: Sequence[tuple[int, ...]],
    best: Sequence[tuple[int, ...]],
    steps: int,
) -> tuple[Progress, int]:
    """Progress of the run that left a checkpoint, and the number of finished steps of its next epoch.

    Args:
      folder: its folder, for messages.
      shapes: shapes of the variables `state/0`, `state/1` and so on of this run.
      best: shapes of the weights of the best epoch.
      steps: steps of an epoch.

    Raises:
      CheckpointError: the checkpoint is not the state of this run.
    """
    with _refusing(storage.join(folder, CHECKPOINT_FILE)):
        state = {name: array.shape for name, array in checkpoint.arrays.items() if name.startswith("state/")}
        wanted = {f"state/{i}": shape for i, shape in enumerate(shapes)}
        # Keras makes mean values of losses, which are single numbers, in the first step only.
        if {**dict.fromkeys(state, ()), **wanted} != state:
            raise ValueError("its variables are not those of this network")
        step, progress = checkpoint.facts["step"], Progress.of(checkpoint.facts, checkpoint.arrays)
        check_types(progress)
        if progress.history and [weights.shape for weights in progress.best_weights] != list(best):
            raise ValueError("its best weights are not those of this network")
        if type(step) is not int or not 0 <= step < steps or not 0 <= progress.best_epoch <= len(progress.history):
            raise ValueError("its numbers of steps and epochs contradict each other")
        return progress, step


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*before, *now})
    return [f"{n} was {before.get(n)!r}, is {now.get(n)!r}" for n in names if before.get(n) != now.get(n)]


def remove(folder: str) -> None:
    """Removes the checkpoint, the partial files of killed writers, and the folder if it is then empty."""
    storage.delete(storage.join(folder, CHECKPOINT_FILE))
    if "://" not in folder:
        for partial in Path(folder).glob(f"{PARTIAL}*"):
            partial.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
