"""`import-model beats` and `tag --beats`: a network that the project makes itself hears tempo and metre in a table."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.beats.bundle import read_beat_bundle
from models.beats.patterns import RATE_HZ, drum_pattern, noise
from pipelines.cli import main
from tests.support.beat_networks import beat_network
from tests.support.synth import encode, sine
from tests.support.world import World, tag, tag_code
from transforms.features.parameters.spec import ParametersSpec
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Snapshot

TEMPI = {"slow": 76.0, "middle": 112.0, "fast": 150.0}
SILENT_BEATS = ("drone", "noise", "short")
HEARD = ("tempo_bpm", "tempo_confidence", "tempo_alternative_bpm", "tempo_alternative_weight", "metre_confidence")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of an imported network."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "own.onnx").write_bytes(beat_network())
    (folder / "text").write_text("The text of a licence.\n")
    words = ["--licence", "CC0-1.0", "--licence-file", str(folder / "text"), "--origin", "a test"]
    places = ["--onnx", str(folder / "own.onnx"), "--output", str(folder / "bundle")]
    assert main(["import-model", "beats", *places, *words]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drums at three tempi, and what has no beat: a drone, noise, and two seconds of drums."""
    folder = tmp_path_factory.mktemp("drums")
    sounds = {name: drum_pattern(bpm, seconds=12.0) for name, bpm in TEMPI.items()}
    sounds |= {"drone": sine(6.0, RATE_HZ)[:, 0], "noise": noise(6.0), "short": drum_pattern(120.0, seconds=2.5)}
    for name, samples in sounds.items():
        (folder / f"{name}.flac").write_bytes(encode(samples[:, None], RATE_HZ, format="FLAC"))
    rows = {"track_id": list(sounds), "uri": [str(folder / f"{name}.flac") for name in sounds]}
    pq.write_table(pa.table(rows), folder / "catalog.parquet")
    return folder / "catalog.parquet"


def run(world: World, catalog: Path, table: Path, *flags: str) -> Snapshot:
    return tag(world, table, "--allow-root", str(catalog.parent), *flags, catalog=catalog)


def tracks(table: Path) -> dict[str, dict[str, object]]:
    return {row["track_id"]: row for row in open_snapshot(str(table)).scan("tracks").to_pylist()}


def counters(snapshot: Snapshot, stage: str) -> dict[str, int]:
    found: dict[str, dict[str, int]] = snapshot.run.measured["counters"]
    return found.get(stage, {})


@pytest.fixture(scope="module")
def plain(world: World, catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table without a network."""
    table = tmp_path_factory.mktemp("plain") / "table"
    run(world, catalog, table)
    return table


@pytest.fixture(scope="module")
def heard(world: World, catalog: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new table with a network."""
    table = tmp_path_factory.mktemp("heard") / "table"
    run(world, catalog, table, "--beats", str(network))
    return table


def test_tempi_and_metres_are_the_networks(heard: Path, network: Path) -> None:
    rows, bundle = tracks(heard), read_beat_bundle(str(network))
    spec = ParametersSpec(beats=bundle.spec)
    for name, bpm in TEMPI.items():
        assert rows[name]["tempo_bpm"] == pytest.approx(bpm, rel=0.01), name
        assert (rows[name]["beats_per_bar"], rows[name]["beat_unit"]) == (4, 4)
        assert rows[name]["tempo_alternative_bpm"] in (
            pytest.approx(rows[name]["tempo_bpm"] * octave, abs=0.02) for octave in (0.5, 2)
        )
    for name in SILENT_BEATS:
        assert all(rows[name][column] is None for column in (*HEARD, "beats_per_bar", "beat_unit")), name
    assert {row[PARAMETERS_ID] for row in rows.values()} == {spec.parameters_id}
    snapshot = open_snapshot(str(heard)).manifest
    assert snapshot.run.parameters == {"parameters_id": spec.parameters_id, **spec.to_json()}
    assert counters(snapshot, "extract") | {
        "tracks_heard": 5,
        "tracks_with_heard_tempo": 3,
        "tracks_with_heard_metre": 3,
    } == counters(snapshot, "extract")
