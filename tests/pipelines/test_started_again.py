"""Commands that make one output: started again after they finished, they change nothing and succeed."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import load_bundle
from pipelines.cli import main
from pipelines.synthesis.catalog import make_tracks
from tests.support.published import catalog_rows, fake_bundle, publish_table
from tests.support.world import World
from transforms.features.spec import FeatureSpec

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A catalog without audio, with a bundle and a table."""
    world = World(tmp_path_factory.mktemp("again"))
    fake_bundle(world.bundle)
    pq.write_table(catalog_rows(make_tracks(24, 0)), world.catalog)
    taxonomy = load_bundle(str(world.bundle)).taxonomy
    (world.folder / "taxonomy.yaml").write_text(taxonomy.to_yaml())
    publish_table(world.folder / "table", load_bundle(str(world.bundle)))
    return world


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def commands(world: World, output: Path) -> dict[str, list[str]]:
    folder = world.folder
    catalog = ["--catalog", str(world.catalog)]
    taxonomy = ["--taxonomy", str(folder / "taxonomy.yaml")]
    published = ["--table", str(folder / "table"), "--model", str(world.bundle)]
    return {
        "refit": ["refit", *published, *catalog, "--output", str(output / "bundle")],
        "evaluate": ["evaluate", *published, *catalog, "--resamples", "20", "--output", str(output / "evaluation")],
        "split": [
            "split",
            *catalog,
            *taxonomy,
            "--output",
            str(output / "split.parquet"),
            "--report",
            str(output / "split.json"),
        ],
        "labels": ["labels", *catalog, *taxonomy, "--output", str(output / "labels")],
    }


@pytest.mark.parametrize("name", ["refit", "evaluate", "split", "labels"])
def test_a_finished_command_can_be_started_again(
    made: World, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = commands(made, tmp_path)[name]
    assert main(command) == 0
    first, answer = content(tmp_path), capsys.readouterr().out
    assert main(command) == 0
    told = capsys.readouterr().out
    assert content(tmp_path) == first and answer.splitlines()[-1] in told


@pytest.mark.parametrize("name", ["refit", pytest.param("evaluate", marks=pytest.mark.long), "split"])
def test_another_command_never_overwrites_an_output(
    made: World, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = commands(made, tmp_path)[name]
    other = {"refit": ["--balance", "inverse"], "evaluate": ["--resamples", "21"], "split": ["--column", "side"]}[name]
    assert main(command) == 0
    first = content(tmp_path)
    capsys.readouterr()
    assert main([*command, *other]) == 1
    assert "choose another" in capsys.readouterr().err
    assert content(tmp_path) == first


@pytest.mark.parametrize("kept", ["nothing", "marker", "some files"])
def test_a_refit_that_was_killed_while_it_wrote_is_completed(made: World, tmp_path: Path, kept: str) -> None:
    command = commands(made, tmp_path)["refit"]
    assert main(command) == 0
    whole, bundle = content(tmp_path), tmp_path / "bundle"
    names = [str(path.relative_to(bundle)) for path in sorted(bundle.rglob("*")) if path.is_file()]
    (bundle / "bundle.json").unlink()
    names.remove("bundle.json")
    (bundle / "bundle.unfinished").write_text(str(names).replace("'", '"'))
    for name in names if kept == "marker" else names[:2] if kept == "some files" else []:
        (bundle / name).unlink()
    assert main(command) == 0
    assert content(tmp_path) == whole


def test_an_import_that_fails_writes_nothing(world: World, tmp_path: Path) -> None:
    """The files have no genre, so there is no taxonomy to write."""
    words = ["import", "folder", str(world.folder / "audio"), "--max-lost-ratio", "1"]
    outputs = ["--output", str(tmp_path / "catalog.parquet"), "--taxonomy", str(tmp_path / "taxonomy.yaml")]
    assert main([*words, *outputs]) == 1
    assert content(tmp_path) == {}


def test_the_same_bundle_is_written_once(made: World, tmp_path: Path) -> None:
    taxonomy, spec = load_bundle(str(made.bundle)).taxonomy, FeatureSpec(patches_per_track=4)
    first = write_fake_bundle(str(tmp_path / "bundle"), taxonomy, spec)
    before = content(tmp_path)
    again = write_fake_bundle(str(tmp_path / "bundle"), taxonomy, spec)
    assert again.tagger_id == first.tagger_id and content(tmp_path) == before
