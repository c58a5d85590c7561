"""How far a training run has come, in one file that is written whole or not at all. Needs no TensorFlow."""

import contextlib
import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.training.errors import CheckpointError
from transforms import storage
from transforms.formats.hashing import sha256_hex
from transforms.storage.local import PARTIAL

CHECKPOINT_FILE = "training.checkpoint"
VERSION = 1
_FACTS = "facts.json"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A training run between two steps.

    Attributes:
      run: what the run is: everything that its weights depend on, as JSON values.
      facts: where it stands, as JSON values.
      arrays: where it stands, as arrays.
    """

    run: Mapping[str, Any]
    facts: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def save_checkpoint(folder: str, checkpoint: Checkpoint) -> None:
    """Replaces the checkpoint of a folder, local or gs://: whoever reads finds the old one or the new one, whole."""
    buffer = io.BytesIO()
    facts = {"version": VERSION, "run": checkpoint.run, "facts": checkpoint.facts}
    arrays = {_FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8), **checkpoint.arrays}
    # One of the stubs' own parameters takes a bool: arrays that are given by name would have to be one.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    data = buffer.getvalue()
    storage.write_bytes(storage.join(folder, CHECKPOINT_FILE), sha256_hex(data).encode() + data)


def is_in(folder: str) -> bool:
    """Whether a run that was not finished left a checkpoint in this folder, or in one below it."""
    return any(file.url.endswith(f"/{CHECKPOINT_FILE}") for file in storage.list_files(folder))


def load_checkpoint(folder: str, run: Mapping[str, Any]) -> Checkpoint | None:
    """The checkpoint of a folder, or None where there is none.

    Raises:
      CheckpointError: it is damaged, or of a run that differs from `run`; names what differs.
    """
    url = storage.join(folder, CHECKPOINT_FILE)
    try:
        data = storage.read_bytes(url)
    except storage.NotFound:
        return None
    checkpoint = _decode(url, data)
    # `checkpoint.run` comes from JSON, which turns tuples into lists. `run` takes the same way, to be comparable.
    if differences := _differences(checkpoint.run, json.loads(json.dumps(run))):
        raise CheckpointError(
            f"{url} is of another training run: {'; '.join(differences)}. Train as before, or elsewhere (--checkpoints)"
        )
    return checkpoint


def _decode(url: str, data: bytes) -> Checkpoint:
    digest, data = data[:64].decode("latin-1"), data[64:]
    if sha256_hex(data) != digest:
        raise CheckpointError(f"{url} is damaged: its SHA-256 is not the one it starts with. Remove it to train anew")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = dict(stored)
    except (ValueError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{url} is no checkpoint: {error}") from error
    facts = json.loads(arrays.pop(_FACTS).tobytes())
    if facts["version"] != VERSION:
        raise CheckpointError(f"{url}: checkpoint version {facts['version']}, this version reads {VERSION}")
    return Checkpoint(run=facts["run"], facts=facts["facts"], arrays=arrays)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*before, *now})
    return [f"{n} was {before.get(n)!r}, is {now.get(n)!r}" for n in names if before.get(n) != now.get(n)]


def remove(folder: str) -> None:
    """Removes the checkpoint and what killed writers left, and the folder where nothing else is in it."""
    storage.delete(storage.join(folder, CHECKPOINT_FILE))
    if "://" not in folder:
        for partial in Path(folder).glob(f"{PARTIAL}*"):
            partial.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
