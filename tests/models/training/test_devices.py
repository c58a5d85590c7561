"""Several devices, several workers, other precisions: real runs in processes of their own."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.training.checkpoints import CHECKPOINT_FILE
from models.training.cluster import is_chief
from models.training.data import Sampling, Share, shards_of_epoch, steps_of_epoch
from transforms.dataset.manifest import DatasetError, read_manifest

OPTIONS = ["--epochs", "3", "--batch-size", "16"]


def command(dataset: Path, bundle: Path, *more: str) -> list[str]:
    head = [sys.executable, "-m", "pipelines.cli", "train", "--dataset", str(dataset), "--output", str(bundle)]
    return [*head, *OPTIONS, *more]


def run(dataset: Path, bundle: Path, *more: str) -> dict:
    done = subprocess.run(command(dataset, bundle, *more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((bundle / "history.json").read_bytes())


def trained_digest(bundle: Path) -> str:
    return json.loads((bundle / "bundle.json").read_bytes())["trunks"][0]["digest"]


def test_workers_read_every_shard_once_and_a_pass_has_parts(dataset):
    manifest = read_manifest(str(dataset))
    paths = [shard.path for shard in manifest.shards_of("train")]
    sampling = Sampling(epoch_tracks=30)
    read = [
        shards_of_epoch(paths, manifest, sampling, epoch, Share(worker=worker, workers=2))
        for epoch in (4, 5)
        for worker in (0, 1)
    ]
    assert sorted(itertools.chain(*read)) == sorted(paths) and all(read)
    assert steps_of_epoch(manifest, sampling) == pytest.approx(steps_of_epoch(manifest, Sampling()) / 2, abs=1)


def test_more_workers_than_shards_are_refused(dataset):
    manifest = read_manifest(str(dataset))
    paths = [shard.path for shard in manifest.shards_of("train")]
    with pytest.raises(DatasetError, match="4 training shards in 1 epochs a pass for 5 workers"):
        shards_of_epoch(paths, manifest, Sampling(), 0, Share(worker=4, workers=5))


@pytest.mark.parametrize(
    ("tasks", "kind", "index", "chief"),
    [
        (("worker",), "worker", 0, True),
        (("worker",), "worker", 1, False),
        (("chief", "worker"), "worker", 0, False),
        (("chief", "worker"), "chief", 0, True),
    ],
)
def test_one_of_all_workers_writes(monkeypatch, tasks, kind, index, chief):
    cluster = {task: ["a:1", "b:2"] for task in tasks}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
    assert is_chief() is chief


def test_alone_everybody_is_chief(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert is_chief()


@pytest.mark.long
def test_two_devices_share_each_batch_and_resume_exactly(dataset, tmp_path):
    history = run(dataset, tmp_path / "whole", "--devices", "2")
    assert history["epochs"][-1]["loss"] < history["epochs"][0]["loss"]
    killed = command(dataset, tmp_path / "killed", "--devices", "2", "--checkpoint-steps", "3")
    kill([killed], tmp_path / "killed.checkpoints" / CHECKPOINT_FILE, [None])
    run(dataset, tmp_path / "killed", "--devices", "2")
    assert trained_digest(tmp_path / "killed") == trained_digest(tmp_path / "whole")


@pytest.mark.long
def test_a_batch_that_devices_cannot_share_is_refused(dataset, tmp_path):
    done = subprocess.run(
        command(dataset, tmp_path / "b", "--devices", "3"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "batch_size=16 cannot be shared equally by 3 devices" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "more", [["--precision", "mixed_float16"], ["--precision", "mixed_bfloat16", "--similarity-weight", "1"], ["--xla"]]
)
def test_faster_arithmetic_learns_too(dataset, tmp_path, more):
    import keras

    history = run(dataset, tmp_path / "bundle", *more)
    assert history["epochs"][-1]["loss"] < 0.8 * history["epochs"][0]["loss"]
    (trunk,) = (tmp_path / "bundle").rglob("trunk.keras")
    assert {layer.dtype_policy.name for layer in keras.saving.load_model(trunk, compile=False).layers} == {"float32"}


@pytest.mark.long
def test_two_workers_train_one_trunk_killed_or_not(dataset, tmp_path):
    """Two processes on loopback; one writes the bundle; both are killed and started again."""
    finish(start(dataset, tmp_path / "whole"))
    whole = epochs_of(tmp_path / "whole")
    assert whole[-1]["loss"] < whole[0]["loss"]
    environments = cluster()
    commands = [command(dataset, tmp_path / "killed", "--checkpoint-steps", "3")] * 2
    kill(commands, tmp_path / "killed.checkpoints" / CHECKPOINT_FILE, environments)
    finish(start(dataset, tmp_path / "killed"))
    assert trained_digest(tmp_path / "killed") == trained_digest(tmp_path / "whole")
    # The mean loss is a sum over devices, which a checkpoint holds as one number: equal to rounding.
    assert epochs_of(tmp_path / "killed") == [{**epoch, "loss": pytest.approx(epoch["loss"])} for epoch in whole]


def epochs_of(bundle: Path) -> list[dict[str, float]]:
    return json.loads((bundle / "history.json").read_bytes())["epochs"]


def cluster() -> list[dict[str, str]]:
    """TF_CONFIG for two workers on free ports."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [{**os.environ, "TF_CONFIG": json.dumps(task)} for task in tasks]


def start(dataset: Path, bundle: Path) -> list[subprocess.Popen]:
    words, pipe = command(dataset, bundle, "--checkpoint-steps", "3"), subprocess.PIPE
    return [subprocess.Popen(words, env=env, stdout=pipe, stderr=subprocess.STDOUT, text=True) for env in cluster()]


def finish(workers: list[subprocess.Popen]) -> None:
    printed = [worker.communicate(timeout=500)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], printed
    assert "tg-" in printed[0] and "the chief of the workers writes the bundle" in printed[1]


def kill(commands: list[list[str]], file: Path, environments: list[dict[str, str] | None]) -> None:
    """Starts processes and kills them all soon after the second checkpoint."""
    null = subprocess.DEVNULL
    processes = [
        subprocess.Popen(words, env=env, stdout=null, stderr=null)
        for words, env in zip(commands, environments, strict=True)
    ]
    seen: set[int] = set()
    while len(seen) < 2 and all(process.poll() is None for process in processes):
        time.sleep(0.002)
        if file.exists():
            seen.add(file.stat().st_mtime_ns)
    assert all(process.poll() is None for process in processes), "over before they were killed"
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        process.wait()
