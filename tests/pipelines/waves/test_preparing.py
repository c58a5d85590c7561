"""`prepare` in waves: the same bytes as one pipeline, with tied tracks and artists across waves."""

import itertools
import json
from pathlib import Path

import pytest

from pipelines.jobs import prepare as job
from pipelines.terminal.errors import CommandFailed
from pipelines.waves import preparing
from pipelines.waves.running import WaveRunner
from tests.pipelines.test_prepare import Music, catalog, prepare
from transforms.dataset.manifest import read_manifest

__all__ = ["catalog"]


@pytest.fixture(scope="module")
def in_one(catalog: Music, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one pipeline over all groups of four rows, as on other engines."""
    output = tmp_path_factory.mktemp("one") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "BUCKET_ROWS", 4)
        patch.setattr(job, "is_local", lambda options: False)
        assert prepare(catalog, output) == 0
    return output


def _files(dataset: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(dataset)): path.read_bytes()
        for path in dataset.rglob("*")
        if path.is_file() and path.parent.name != "launches"
    }


def _measured(dataset: Path) -> dict:
    (receipt,) = (dataset / "launches").glob("*.json")
    return json.loads(receipt.read_bytes())["measured"]


@pytest.mark.parametrize(
    "groups", [pytest.param(1, marks=pytest.mark.long), 2, pytest.param(16, marks=pytest.mark.long)]
)
def test_the_same_bytes_in_however_many_waves(
    catalog: Music, in_one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    waves: list[list[int]] = []
    run = WaveRunner.run
    monkeypatch.setattr(job, "BUCKET_ROWS", 4)
    monkeypatch.setattr(preparing, "WAVE_GROUPS", groups)
    monkeypatch.setattr(WaveRunner, "run", lambda self, wave, *rest: (waves.append(wave), run(self, wave, *rest)))
    assert prepare(catalog, tmp_path / "dataset") == 0
    assert _files(tmp_path / "dataset") == _files(in_one)
    found, expected = (_measured(dataset)["counters"] for dataset in (tmp_path / "dataset", in_one))
    assert found["split"] == expected["split"] and found["write"] == expected["write"]
    manifest = read_manifest(str(in_one))
    assert manifest.none["tied"] and manifest.groups["all"] > 1
    assert max(map(len, waves)) <= groups and len(waves) == -(-len(set(itertools.chain(*waves))) // groups)


@pytest.mark.long
def test_a_wave_that_fails_leaves_finished_chunks_for_the_next_run(
    catalog: Music, in_one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BUCKET_ROWS", 4)
    monkeypatch.setattr(preparing, "WAVE_GROUPS", 1)
    run, waves = WaveRunner.run, iter(range(2))

    def failing(self, *wave):
        if next(waves, None) is None:
            raise CommandFailed("the job failed")
        run(self, *wave)

    monkeypatch.setattr(WaveRunner, "run", failing)
    assert prepare(catalog, tmp_path / "dataset") == 1
    assert not (tmp_path / "dataset" / "dataset.json").exists()
    done = {path.name for path in (tmp_path / "dataset" / "work").iterdir()}
    monkeypatch.setattr(WaveRunner, "run", run)
    assert done and prepare(catalog, tmp_path / "dataset") == 0
    assert _files(tmp_path / "dataset") == _files(in_one)
    assert _measured(tmp_path / "dataset")["counters"]["write"]["tracks_found_done"] > 0
