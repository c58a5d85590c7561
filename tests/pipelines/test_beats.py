"""`import-model beats` and `tag --beats`: a network that the project makes itself hears tempo and metre in a table."""

import json
import shutil
import signal
import subprocess
import sys
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
from transforms.features.parameters import spec as spec_of_parameters
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


@pytest.mark.long
def test_a_network_that_comes_later_is_planned_and_embeds_nothing(
    world: World,
    catalog: Path,
    plain: Path,
    heard: Path,
    network: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = open_snapshot(str(plain)).manifest.run
    assert set(before.parameters) == {"parameters_id", "measures", "loudness"}, "as in earlier versions"
    table = tmp_path / "table"
    shutil.copytree(plain, table)
    flags = ("--allow-root", str(catalog.parent), "--beats", str(network))
    capsys.readouterr()
    assert tag_code(world, table, *flags, "--plan", "--measure", "6", "--json", catalog=catalog) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["tracks"]["stale"]["parameters"], plan["tracks"]["actions"]["extract"]) == (6, 6)
    assert plan["tracks"]["without_parameters"] == 6 and plan["cost"]["core_hours"] > 0
    then = run(world, catalog, table, "--beats", str(network))
    assert (counters(then, "embed").get("tracks", 0), then.run.counts["carried"]) == (0, 6)
    assert then.run.content_hash == open_snapshot(str(heard)).manifest.run.content_hash
    assert main(["verify", str(table)]) == 0 and main(["describe", str(table), "--parameters"]) == 0
    assert ParametersSpec(beats=read_beat_bundle(str(network)).spec).parameters_id in capsys.readouterr().out
    assert tag_code(world, table, "--allow-root", str(catalog.parent), "--plan", catalog=catalog) == 2
    assert "give its bundle as --beats, or --beats none" in capsys.readouterr().err
    back = run(world, catalog, table, "--beats", "none")
    assert back.run.content_hash == before.content_hash


def test_an_upgrade_decodes_no_table_again_that_needs_the_flag(
    world: World,
    catalog: Path,
    plain: Path,
    heard: Path,
    network: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both tables were measured one version before that of the program."""
    monkeypatch.setattr(spec_of_parameters, "PARAMETERS_VERSION", spec_of_parameters.PARAMETERS_VERSION + 1)
    flags = ("--allow-root", str(catalog.parent), "--beats", str(network), "--plan", "--json")
    for table, given, extracted in (
        (heard, (), 0),
        (heard, ("--parameters", "default"), 6),
        (heard, ("--loudness", "full"), 6),
        (plain, (), 6),
    ):
        capsys.readouterr()
        assert tag_code(world, table, *flags, *given, catalog=catalog) == 0
        found = json.loads(capsys.readouterr().out)["tracks"]
        assert (found["without_parameters"], found["actions"]["extract"]) == (6, extracted), given
        assert (found["stale"]["parameters"], found["unchanged"]) == (extracted, 6 - extracted)


def test_an_upgrade_with_a_network_keeps_the_rows(
    world: World, catalog: Path, heard: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, before = tmp_path / "table", open_snapshot(str(heard)).manifest.run
    shutil.copytree(heard, table)
    monkeypatch.setattr(spec_of_parameters, "PARAMETERS_VERSION", spec_of_parameters.PARAMETERS_VERSION + 1)
    then = run(world, catalog, table, "--beats", str(network))
    assert counters(then, "extract").get("tracks_read", 0) == 0 and then.run.content_hash == before.content_hash
    assert then.run.parameters["parameters_id"] != before.parameters["parameters_id"]


@pytest.mark.long
def test_rows_do_not_depend_on_chunks_and_workers(
    world: World, catalog: Path, heard: Path, network: Path, tmp_path: Path
) -> None:
    flags = ("--beats", str(network), "--buckets", "2", "--chunk-tracks", "1", "--direct_num_workers", "1")
    run(world, catalog, tmp_path / "table", *flags)
    assert tracks(tmp_path / "table") == tracks(heard)


@pytest.mark.long
def test_a_killed_run_resumes(world: World, catalog: Path, heard: Path, network: Path, tmp_path: Path) -> None:
    table, flags = tmp_path / "table", ["--beats", str(network), "--buckets", "2"]
    words = ["tag", "--catalog", str(catalog), "--model", str(world.bundle), "--table", str(table), *flags]
    further = ["--allow-root", str(catalog.parent), "--max-reject-ratio", "0.9", "--direct_num_workers", "1"]
    killed = [sys.executable, "-m", "tests.support.killed_tag", "1", *words, *further]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    assert list(table.glob("work/bucket=*/*.parquet")), "one wave of extraction has left its part files"
    then = run(world, catalog, table, *flags, "--chunk-tracks", "3", "--direct_num_workers", "2")
    wanted = tracks(heard)
    assert counters(then, "extract")["tracks_read"] == 3, "the bucket of the first wave is not read again"
    assert tracks(table) == wanted


def test_flags_that_do_not_fit(
    world: World, catalog: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, code, message in (
        (("--beats", str(network), "--parameters", "none"), 2, "no parameters are measured: add --parameters default"),
        (
            ("--beats", str(world.bundle)),
            1,
            "holds no network of beats: give the output of `catalog-tagger import-model",
        ),
        (("--beats", str(tmp_path / "nowhere")), 1, "no such folder"),
        (("--model", str(network)), 1, "holds a network of beats, not a trunk: give it to `tag --beats`"),
    ):
        assert tag_code(world, tmp_path / "table", *flags, "--plan", catalog=catalog) == code, flags
        assert message in capsys.readouterr().err
    assert not (tmp_path / "table").exists()
