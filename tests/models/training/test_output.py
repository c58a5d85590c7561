"""What `train` and `tag` write to stderr in processes of their own: lines of this project, and no other."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.reports.bundle_answer import better_baselines, heads_lines
from tests.support.tiny import tiny_dataset
from tests.support.world import World
from transforms.telemetry.error_stream import ErrorStream, filtered_stderr

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S")
ROOT = Path(__file__).parents[3]


def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.long
def test_train_writes_epochs_and_losses_and_nothing_else(tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "dataset", 60)
    done = run(*words_for(dataset, tmp_path), "--epochs", "1")
    assert all(LINE.match(line) for line in done.stderr.splitlines())
    assert EPOCH.search(done.stderr) and "\nheads of " in done.stdout


EPOCH = re.compile(r"Z epoch (\d) of at most \d: loss [\d.]+, learning_rate \S+, val_loss [\d.]+, val_pr_auc [\d.]+ \(")


def words_for(dataset: Path, folder: Path) -> list[str]:
    return ["train", "--dataset", str(dataset), "--output", str(folder / "bundle"), "--batch-size", "40"]


@pytest.mark.long
def test_a_resumed_training_says_at_which_step(tmp_path: Path) -> None:
    words = [*words_for(tiny_dataset(tmp_path / "dataset", 60), tmp_path), "--epochs", "2"]
    (tmp_path / "dying.py").write_text(DYING)
    command = [sys.executable, str(tmp_path / "dying.py"), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    died = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert died.returncode == 9 and EPOCH.findall(died.stderr) == ["1"]
    done = run(*words)
    assert all(LINE.match(line) for line in [*done.stderr.splitlines(), *died.stderr.splitlines()])
    (resumed,) = re.findall(r"resumed at step (\d+) of (\d+), in epoch 2 of 2", done.stderr)
    assert 0 < 2 * int(resumed[0]) == int(resumed[1]) and EPOCH.findall(done.stderr) == ["2"]


DYING = """
import os, sys
from transforms.telemetry import phases
def die_after_an_epoch(sentence, announce=phases.announce, **facts):
    announce(sentence, **facts)
    if sentence.startswith("epoch 1"):
        os._exit(9)
phases.announce = die_after_an_epoch
from pipelines.cli import main
sys.exit(main())
"""


@pytest.mark.long
def test_tag_with_json_lines(world: World, tmp_path: Path) -> None:
    place = ["--catalog-root", str(world.folder), "--table", str(tmp_path / "table"), "--max-reject-ratio", "0.9"]
    words = ["tag", "--catalog", str(world.catalog), "--model", str(world.bundle), *place]
    done = run(*words, "--log-format", "json", "--json")
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert {record["level"] for record in records} == {"info"} and json.loads(done.stdout)["snapshot"] == 1
    (last,) = [record for record in records if record.get("phase") == "extracting" and record["state"] == "done"]
    rows = world.rows().num_rows
    assert (last["done"], last["total"], last["extracted"]) == (rows, rows, rows) and last["rejected"] >= 1
    assert run(*words, "--quiet").stderr == ""


def test_lines_of_others_pass_the_filter_and_remarks_do_not(capfd: pytest.CaptureFixture[str]) -> None:
    with filtered_stderr(lambda line: line.startswith(b"I0000")):
        os.write(2, b"I0000 00:00:1 port.cc:1] remark\nkept\n")
        os.write(ErrorStream.descriptor, b"at once\n")
        assert capfd.readouterr().err == "at once\n"
    assert capfd.readouterr().err == "kept\n" and ErrorStream.descriptor == 2
    with pytest.raises(ValueError), filtered_stderr(lambda line: True):
        raise ValueError
    os.write(2, b"as ever\n")
    assert capfd.readouterr().err == "as ever\n"


def fit(category: str, values: str, **scales: float) -> dict:
    return {"category": category, "values": values, "scales": scales}


def test_which_blocks_heads_use() -> None:
    fits = [
        fit("mood", "all", compact=1.0, statistics=0.5),
        fit("genre", "all", compact=0.2, statistics=1.0),
        fit("voice", "fixed", compact=0, statistics=1.0),
        fit("tempo", "none"),
        fit("mode", "all"),
    ]
    assert list(heads_lines({"heads": fits})) == [
        "heads of mood, genre: on compact and statistics",
        "heads of voice: on statistics",
        "heads of tempo: constant, because no track is annotated",
        "heads of mode: all blocks of the embedding",
    ]
    assert list(heads_lines({})) == []


@pytest.mark.parametrize(
    ("tagger", "baseline", "said"),
    [
        ((0.8, 0.7), (0.7, 0.6), []),
        ((0.8, 0.7), (0.8001, 0.7), []),
        ((0.8, 0.7), (0.7, 0.9), ["mood (0.900 against 0.700)"]),
        ((0.6, 0.7), (0.7, 0.9), ["all tags (0.700 against 0.600), mood (0.900 against 0.700)"]),
        ((None, 0.7), (0.7, None), []),
    ],
)
def test_a_better_baseline_is_named(tagger, baseline, said) -> None:
    models = {"tagger": tagger, "logistic": baseline}
    metrics = {
        "macro": {name: {"test": {"pr_auc": values[0]}} for name, values in models.items()},
        "categories": {name: {"test": {"mood": {"pr_auc": values[1]}}} for name, values in models.items()},
    }
    begin = "the baseline logistic has a higher PR-AUC than the tagger on the test split in "
    assert list(better_baselines(metrics)) == [begin + text for text in said]
    assert list(better_baselines({"macro": {}})) == []
