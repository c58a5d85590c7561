"""`evaluate --bless` and `tag --require-blessed`: which bundle may tag, and what it passed."""

import dataclasses
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.bundles.blessing import read_blessing
from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BundleError
from pipelines.cli import main
from pipelines.synthesis.catalog import make_tracks
from tests.support.published import catalog_rows, fake_bundle, publish_table
from tests.support.world import World, tag_code

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Two bundles with other heads, a table of each, and labels for both: `first` and `second`."""
    from models.bundles.fake import write_fake_bundle

    folder = tmp_path_factory.mktemp("blessing")
    first = fake_bundle(folder / "first")
    write_fake_bundle(str(folder / "second"), first.taxonomy, first.spec, head_seed=1)
    for name in ("first", "second"):
        publish_table(folder / f"{name}-table", load_bundle(str(folder / name)), tracks=60)
    pq.write_table(catalog_rows(make_tracks(60, 0)), folder / "catalog.parquet")
    return folder


def bless(made: Path, name: str, output: Path, *flags: str, split: str = "test") -> int:
    words = ["evaluate", "--model", str(made / name), "--table", str(made / f"{name}-table"), "--split", split]
    words += ["--catalog", str(made / "catalog.parquet"), "--output", str(output), "--resamples", "0"]
    return main([*words, *flags])


@pytest.fixture(autouse=True)
def unblessed(made: Path):
    yield
    for name in ("first", "second"):
        (made / name / "blessing.json").unlink(missing_ok=True)


def test_a_bundle_that_reaches_its_floors_is_blessed(made: Path, tmp_path: Path, capsys) -> None:
    before = {path.name: path.read_bytes() for path in (made / "first").iterdir()}
    floors = ["--floor", "pr_auc=0.05", "--floor", "mood/roc_auc=0.1"]
    assert bless(made, "first", tmp_path / "out", "--bless", *floors) == 0
    assert f"{made / 'first'} is blessed" in capsys.readouterr().out
    blessing, bundle = read_blessing(str(made / "first")), load_bundle(str(made / "first"))
    averages = json.loads((tmp_path / "out" / "evaluation.json").read_text())["averages"]
    macro = {
        row["category"]: row["metrics"]
        for row in averages
        if (row["model"], row["slice"], row["average"]) == ("tagger", "all", "macro")
    }
    assert blessing.tagger_id == bundle.tagger_id and blessing.tracks > 20 and "@" in blessing.by
    assert blessing.floors == {
        "pr_auc": {"floor": 0.05, "value": macro["all"]["pr_auc"]["value"]},
        "mood/roc_auc": {"floor": 0.1, "value": macro["mood"]["roc_auc"]["value"]},
    }
    assert blessing.labels["split"] == "test" and blessing.labels["labels"].endswith("catalog.parquet")
    after = {path.name: path.read_bytes() for path in (made / "first").iterdir()}
    assert after.keys() - before.keys() == {"blessing.json"} and {n: after[n] for n in before} == before
    assert main(["verify", str(made / "first")]) == 0


def test_a_bundle_below_a_floor_is_not_blessed(made: Path, tmp_path: Path, capsys) -> None:
    assert bless(made, "first", tmp_path / "out", "--bless", "--floor", "roc_auc=0.99", "--floor", "f1=0") == 3
    assert "not blessed: roc_auc is 0." in (out := capsys.readouterr().out) and ", its floor 0.99" in out
    assert (tmp_path / "out" / "evaluation.json").exists()
    with pytest.raises(BundleError, match="is not blessed: run `catalog-tagger evaluate --bless"):
        read_blessing(str(made / "first"))


def test_of_two_bundles_exactly_the_better_one_is_blessed_against_the_other(made: Path, tmp_path: Path) -> None:
    codes = {
        name: bless(made, name, tmp_path / name, "--bless", "--against", str(made / f"{other}-table"))
        for name, other in (("first", "second"), ("second", "first"))
    }
    assert sorted(codes.values()) == [0, 3]
    (winner,) = (name for name, code in codes.items() if code == 0)
    against = read_blessing(str(made / winner)).against
    assert against["own"]["pr_auc"] > against["theirs"]["pr_auc"] and against["snapshot"] == 1
    assert against["tagger_id"] == load_bundle(str(made / ("second" if winner == "first" else "first"))).tagger_id
    evaluation = json.loads((tmp_path / winner / "evaluation.json").read_text())
    (own,) = (
        row["metrics"]["pr_auc"]["value"]
        for row in evaluation["averages"]
        if (row["model"], row["slice"], row["category"], row["average"]) == ("tagger", "all", "all", "macro")
    )
    assert against["own"]["pr_auc"] == pytest.approx(own) and against["tracks"] == evaluation["tracks"]["all"]


def test_a_bundle_does_not_beat_itself(made: Path, tmp_path: Path, capsys) -> None:
    assert bless(made, "first", tmp_path / "out", "--bless", "--against", str(made / "first-table")) == 3
    assert "that of snapshot 1 of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "split", "said"),
    [
        (["--bless"], "test", "--bless needs --floor or --against"),
        (["--floor", "f1=0.1"], "test", "--floor needs --bless"),
        (["--against", "x"], "test", "--against needs --bless"),
        (["--bless", "--floor", "f1=0.1"], "validation", "--bless needs --split test"),
        (["--bless", "--floor", "ece=0.1"], "test", "METRIC is roc_auc, pr_auc, f1, precision, recall"),
        (["--bless", "--floor", "f1=2"], "test", "'2' is not a number from 0 to 1"),
        (["--bless", "--floor", "f1"], "test", "'' is not a number from 0 to 1"),
        (["--bless", "--floor", "moods/f1=0.1"], "test", "no category 'moods'; categories are "),
    ],
)
def test_wrong_flags_are_usage_errors(made: Path, tmp_path: Path, flags, split, said, capsys) -> None:
    assert bless(made, "first", tmp_path / "out", *flags, split=split) == 2
    assert said in capsys.readouterr().err and not (made / "first" / "blessing.json").exists()


def test_tag_starts_only_with_blessed_bundles(world: World, made: Path, tmp_path: Path, capsys) -> None:
    """By flag and by the gates file; a blessing of another bundle, or one that was edited, is none."""
    other = dataclasses.replace(world, folder=tmp_path)
    shutil.copytree(world.bundle, other.bundle)
    refused = ["--catalog-root", str(world.folder)]

    def tag(*flags: str) -> int:
        return tag_code(other, tmp_path / "table", *refused, *flags, catalog=world.catalog)

    assert tag("--require-blessed") == 3
    assert "nothing was tagged: gate blessed: " in capsys.readouterr().err and not (tmp_path / "table").exists()
    assert bless(made, "first", tmp_path / "out", "--bless", "--floor", "f1=0") == 0
    shutil.copy(made / "first" / "blessing.json", other.bundle)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "gates.yaml").write_text("version: 1\nrequire_blessed: true\n")
    capsys.readouterr()
    assert tag() == 3
    assert "blesses another bundle" in capsys.readouterr().err
    shutil.rmtree(other.bundle)
    shutil.copytree(made / "first", other.bundle)
    assert tag("--dry_run=True") == 0
    text = (other.bundle / "blessing.json").read_text()
    (other.bundle / "blessing.json").write_text(text.replace('"tracks": ', '"tracks": 1'))
    capsys.readouterr()
    assert tag() == 3
    assert "was changed since it was written" in capsys.readouterr().err
