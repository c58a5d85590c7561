"""Checkpoints of training runs. A checkpoint is one file, written atomically. Needs no TensorFlow."""

import contextlib
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.training.errors import CheckpointError
from transforms import storage
from transforms.formats.hashing import sha256_hex
from transforms.formats.npz import read_npz
from transforms.storage.local import PARTIAL

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
    try:
        arrays = read_npz(data)
    except ValueError as error:
        raise CheckpointError(f"{url} is not a checkpoint: {error}. Remove it to start again") from error
    facts = json.loads(arrays.pop(_FACTS).tobytes())
    if facts["version"] != VERSION:
        raise CheckpointError(f"{url} has version {facts['version']}, but this version reads {VERSION}: remove it")
    return Checkpoint(run=facts["run"], facts=facts["facts"], arrays=arrays)


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
