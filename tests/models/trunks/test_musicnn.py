"""The published MusiCNN networks against golden scores of the package's own graph.

`golden_musicnn.json` holds training set -> clip -> patch -> score of each output. It was made in an environment of its
own: tensorflow-cpu 2.21.0, tf_keras and librosa, `pip install --no-deps musicnn-0.1.0-py3-none-any.whl`, and
`TF_USE_LEGACY_KERAS=1`. The graph of `musicnn.models.define_model`, with the wheel's checkpoint, was given the float32
patches of `tests.support.clips` in place of the package's own float16 spectrogram, which overflows on the first two of
these clips (every tag then is NaN). Its own spectrogram in float32 gives the same scores to 3e-7.
"""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.scoring.heads import sigmoid
from models.trunks.loading import load_embedder
from models.trunks.musicnn_package import CATEGORIES, DATASETS, SPEAKS_FOR, PackageError, read_package, taxonomy_of
from pipelines.cli import main
from tests.support.clips import clips, patches
from tests.support.synth import encode
from transforms.taxonomy.derived_tags import derived_tags
from transforms.taxonomy.tag_ids import slug

WHEELS = Path(__file__).parents[3] / ".tools" / "musicnn"
DEV = Path(__file__).parents[4] / "shared" / "data" / "dev"
GOLDEN = json.loads(Path(__file__).with_name("golden_musicnn.json").read_text())

with_package = pytest.mark.skipif(
    not list(WHEELS.glob("musicnn-*.whl")), reason="`make musicnn` fetches the package that these tests read"
)


@pytest.fixture(scope="module")
def checkpoints():
    return {one.dataset: one for one in read_package(WHEELS)}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Both bundles as the command writes them."""
    folder = tmp_path_factory.mktemp("musicnn")
    assert main(["import-model", "musicnn", "--package", str(WHEELS), "--output", str(folder)]) == 0
    return {name: load_bundle(str(folder / f"musicnn-{name}")) for name in DATASETS}


@with_package
@pytest.mark.parametrize("dataset", DATASETS)
def test_the_network_gives_the_packages_scores(checkpoints, dataset):
    from models.trunks.musicnn import SPEC, load_network

    model, weights, bias = load_network(checkpoints[dataset])
    heard = np.concatenate([patches(samples, SPEC) for samples in clips().values()])
    scores = sigmoid(np.asarray(model(heard, training=False)) @ weights + bias)
    assert np.abs(scores - np.concatenate([GOLDEN[dataset][name] for name in clips()])).max() < 1e-5


@with_package
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_bundle_scores_tracks_nearly_as_the_package_does(bundles, checkpoints, dataset):
    """Float16 patches, and the output layer on the mean embedding instead of the mean of scores."""
    from transforms.audio.limits import Limits
    from transforms.features.extract import extract

    bundle, embedder = bundles[dataset], load_embedder(bundles[dataset].url)
    _, outputs = taxonomy_of(checkpoints[dataset].labels)
    files = [encode(samples[:, None], 16_000, subtype="FLOAT") for samples in clips().values()]
    heard = [extract(file, bundle.spec, Limits()).patches for file in files]
    for name, found in zip(clips(), bundle.score(embedder.embed(heard)), strict=True):
        wanted = np.mean(GOLDEN[dataset][name], axis=0)[outputs]
        assert np.abs(found - wanted).max() < 0.1, name
        assert len(set(np.argsort(-found)[:10]) & set(np.argsort(-wanted)[:10])) >= 8, name


@with_package
def test_a_bundle_is_complete(bundles):
    for name, bundle in bundles.items():
        card = Path(bundle.url, "MODEL_CARD.md").read_text()
        assert len(bundle.tags) == 50 and DATASETS[name] in card and "ISC" in card and "not calibrated" in card
        assert "Permission to use" in Path(bundle.url, "LICENSE.musicnn.txt").read_text()
        (trunk,) = bundle.trunks
        assert (trunk.patch_dim, trunk.learned) == (200, False)
        assert trunk.licence.startswith("ISC\n") and "Permission to use" in trunk.licence
    assert {"voice/female_vocal", "genre/rock"} <= set(bundles["mtt"].taxonomy.tag_ids)


def test_tags_of_the_package_say_by_rule_whether_there_are_vocals():
    taxonomy, _ = taxonomy_of(("rock", "female vocalists", "instrumental", "Mellow"))
    assert [tag.id for tag in taxonomy.rule_tags] == ["vocals/present", "vocals/absent"]
    scores = {
        "voice/female_vocalists": np.array([0.3, 0.01, 0.04, 0.0]),
        "voice/instrumental": np.array([0.1, 0.03, 0.16, 0.0]),
    }
    found = derived_tags(taxonomy.rules, pa.table({"x": [0] * 4}), scores)
    assert found.scores.tolist() == [[0.75, 0.25], [0, 0], [0.2, 0.8], [0, 0]]
    assert found.known.tolist() == [[True, True], [False, False], [True, True], [False, False]]
    assert taxonomy_of(("rock", "vocal"))[0].rules == (), "nothing speaks against vocals"


@with_package
def test_every_tag_of_the_rules_is_one_of_the_package(checkpoints):
    listed = {name for names in SPEAKS_FOR.values() for name in names.split()}
    known = {slug(label) for one in checkpoints.values() for label in one.labels}
    assert listed <= known
    for one in checkpoints.values():
        voices = {slug(label) for label in one.labels if slug(label) in CATEGORIES["voice"].split()}
        assert voices <= listed, "a tag about voices that the rules leave out"


@pytest.mark.long
@with_package
@pytest.mark.skipif(not DEV.exists(), reason="there are no real recordings here")
def test_voices_are_told_from_instruments_without_any_label(bundles):
    """Real recordings of voices against rendered instruments; the least score was chosen on the same files."""
    from transforms.audio.limits import Limits
    from transforms.features.extract import extract

    said = {"absent": [], "present": []}
    with (DEV / "manifest.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            voices = {tag.partition("---")[2] for tag in row["tags"].split("|") if tag.startswith("voice---")}
            if voices and not row["path"].startswith("speech8k"):
                said["absent" if voices == {"instrumental"} else "present"].append(DEV / row["path"])
    bundle, embedder = bundles["mtt"], load_embedder(bundles["mtt"].url)
    shares = {}
    for side, files in said.items():
        heard = [extract(file.read_bytes(), bundle.spec, Limits()).patches for file in files]
        scores = bundle.score(embedder.embed(heard)).round(4)
        named = {tag: scores[:, place] for tag, place in bundle.taxonomy.index.items()}
        shares[side] = derived_tags(bundle.taxonomy.rules, pa.table({"x": [0] * len(files)}), named)
    assert (len(said["absent"]), len(said["present"])) == (40, 11)
    assert shares["present"].positives[:, 0].all()
    assert shares["absent"].known[:, 0].mean() >= 0.85 and shares["absent"].positives[:, 1].mean() >= 0.7


@with_package
def test_the_unpacked_package_is_read_too(checkpoints, tmp_path):
    (wheel,) = WHEELS.glob("musicnn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    for place in (wheel, tmp_path, tmp_path / "musicnn"):
        assert {one.dataset: one for one in read_package(place)} == checkpoints


@pytest.mark.parametrize("place", ["nowhere", "empty", "broken.whl"])
def test_other_folders_are_refused(tmp_path, capsys, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.whl").write_bytes(b"no zip")
    assert main(["import-model", "musicnn", "--package", str(tmp_path / place), "--output", str(tmp_path / "out")]) == 1
    assert str(tmp_path / place) in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_tag_of_another_version_is_refused():
    with pytest.raises(PackageError, match="'polka'"):
        taxonomy_of(("rock", "polka"))
