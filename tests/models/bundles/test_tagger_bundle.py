"""The bundle: complete, checked, refused when anything was changed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from models.bundles.fake import write_fake_bundle
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError, Embedding, MissingBundle, load_trunks, local_copy
from models.bundles.writing import write_trunk_bundle
from models.embedding.embedder import BATCH
from models.embedding.pooling import Pooling
from models.embedding.statistics import statistics_2
from models.trunks.loading import load_embedder
from tests.support.manifests import edit_manifest
from tests.support.processes import imported_by
from tests.support.tiny import SPEC, TAXONOMY
from transforms.features.spec import FeatureSpec
from transforms.schemas.tables import TAXONOMY as TAXONOMY_SCHEMA
from transforms.taxonomy.hierarchy import Taxonomy


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return write_fake_bundle(str(tmp_path / "bundle"), TAXONOMY, SPEC)


def edit(bundle: Bundle, change) -> None:
    edit_manifest(Path(bundle.url, BUNDLE_FILE), change)


def test_what_was_written_is_read(bundle):
    again = load_bundle(bundle.url)
    assert (again.spec, again.taxonomy, again.tags) == (SPEC, TAXONOMY, bundle.tags)
    assert (again.tagger_id, again.embedding_id) == (bundle.tagger_id, bundle.embedding_id)


def test_equal_bundles_have_equal_bytes(bundle, tmp_path):
    other = write_fake_bundle(str(tmp_path / "other"), TAXONOMY, SPEC)
    for name in (*bundle.files, BUNDLE_FILE):
        assert Path(bundle.url, name).read_bytes() == Path(other.url, name).read_bytes()


@pytest.mark.parametrize(
    ("change", "embedding", "tagger"),
    [
        ({"seed": 1}, False, False),
        ({"batch": 8}, False, False),
        ({"batch": 32}, True, True),
        ({"head_seed": 1}, True, False),
        ({"thresholds": [0.4] * 8}, True, False),
        ({"spec": FeatureSpec(n_mels=16, patch_frames=25)}, False, False),
        (
            {"taxonomy": Taxonomy.from_json(json.loads(json.dumps(TAXONOMY.to_json()).replace("High", "Hi")))},
            True,
            False,
        ),
        ({}, True, True),
    ],
)
def test_ids_change_with_what_they_name(bundle, tmp_path, change, embedding, tagger):
    arguments = {"taxonomy": TAXONOMY, "spec": SPEC, **change}
    other = write_fake_bundle(str(tmp_path / "other"), **arguments)
    assert (other.embedding_id == bundle.embedding_id, other.tagger_id == bundle.tagger_id) == (embedding, tagger)


@pytest.mark.parametrize("name", ["trunk.npz", "heads.npz", "MODEL_CARD.md"])
def test_changed_file_is_refused_by_name(bundle, name):
    path = Path(bundle.url, name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        load_bundle(bundle.url)


def test_missing_file_is_refused_by_name(bundle):
    Path(bundle.url, "trunk.npz").unlink()
    with pytest.raises(BundleError, match=r"trunk\.npz is missing"):
        load_bundle(bundle.url)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["tags"][0].update(threshold=0.1),
        lambda m: m["pooling"].update(statistics="mel"),
        lambda m: m["taxonomy"]["categories"][0]["tags"][0].update(name="Sung"),
        lambda m: m["trunks"][0].update(digest="0"),
        lambda m: m["trunks"].append({**m["trunks"][0], "name": "second"}),
        lambda m: m.update(tagger_id="tg-0"),
        lambda m: m["tags"][0].update(tag="voice/other"),
    ],
)
def test_changed_manifest_is_refused(bundle, change):
    edit(bundle, change)
    with pytest.raises(BundleError, match=r"bundle\.json was changed"):
        load_bundle(bundle.url)


def test_another_extractor_version_is_refused(bundle, monkeypatch):
    monkeypatch.setattr("transforms.features.spec.EXTRACTOR_VERSION", 999)
    with pytest.raises(BundleError, match="train again"):
        load_bundle(bundle.url)


def test_another_schema_version_is_refused(bundle):
    edit(bundle, lambda m: m.update(schema_version=99))
    with pytest.raises(BundleError, match="bundle schema 99"):
        load_bundle(bundle.url)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("models", "models is a folder of bundles: give one of them: models/musicnn-msd, models/musicnn-mtt"),
        ("models/musicn-msd", "models/musicn-msd: no such folder: did you mean models/musicnn-msd?"),
        ("models/x/", "models/x/: no such folder: the bundles there are models/musicnn-msd, models/musicnn-mtt"),
        ("nowhere", "nowhere: no such folder, or it is empty: give a bundle, the output of train, refit or"),
        ("table", "table is a table, not a bundle: give the output of train"),
        ("dataset", "dataset is a dataset, not a bundle: give the output of train"),
        ("notes.txt", "notes.txt is a file, not a bundle: give the folder of a bundle"),
        ("half", "half holds no bundle.json: not a bundle, or its training was interrupted"),
    ],
)
def test_what_is_there_instead_of_a_bundle_is_said(tmp_path, monkeypatch, place, message):
    monkeypatch.chdir(tmp_path)
    files = "models/musicnn-msd/bundle.json models/musicnn-mtt/bundle.json models/notes/a.txt table/table.json"
    for name in [*files.split(), "dataset/dataset.json", "notes.txt", "half/trunk.keras"]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    with pytest.raises(MissingBundle) as error:
        load_bundle(place)
    assert str(error.value).startswith(message)


def test_many_bundles_are_not_all_named(tmp_path):
    for number in range(8):
        (tmp_path / f"b{number}").mkdir()
        (tmp_path / f"b{number}" / "bundle.json").write_text("{}")
    with pytest.raises(MissingBundle, match=r"/b4 and 3 more$"):
        load_bundle(str(tmp_path))


def test_a_bundle_is_never_overwritten(bundle):
    with pytest.raises(BundleError, match="already holds a bundle"):
        write_fake_bundle(bundle.url, TAXONOMY, SPEC, seed=1)


def test_leftovers_are_not_mixed_with_a_new_bundle(bundle):
    Path(bundle.url, BUNDLE_FILE).unlink()
    with pytest.raises(BundleError, match="interrupted"):
        write_fake_bundle(bundle.url, TAXONOMY, SPEC)


def test_other_features_are_refused_naming_both(bundle):
    with pytest.raises(BundleError, match=f"{SPEC.feature_id}, not fs-other"):
        bundle.check_feature_id("fs-other")
    bundle.check_feature_id(SPEC.feature_id)


def test_taxonomy_rows_fit_the_table(bundle):
    rows = bundle.taxonomy_rows()
    without_rules = TAXONOMY_SCHEMA.remove(TAXONOMY_SCHEMA.get_field_index("rule"))
    assert rows.schema.equals(without_rules, check_metadata=True)
    assert rows["tag"].to_pylist() == list(TAXONOMY.tag_ids)
    assert rows["threshold"].to_pylist() == [0.5, 0.5, None, None, None, 0.5, 0.5, 0.5]


def test_tags_of_rules_follow_those_of_the_model_in_the_table(tmp_path):
    rules = [{"name": "mode", "kind": "binary", "tags": [{"id": "mode/minor", "when": {"mode": "minor"}}]}]
    ruled = Taxonomy.from_json({**TAXONOMY.to_json(), "rules": rules})
    plain, found = (write_fake_bundle(str(tmp_path / name), one, SPEC) for name, one in (("a", TAXONOMY), ("b", ruled)))
    assert found.tagger_id != plain.tagger_id and found.embedding_id == plain.embedding_id
    assert load_bundle(found.url).taxonomy == ruled
    rows = found.taxonomy_rows()
    assert rows.schema.equals(TAXONOMY_SCHEMA, check_metadata=True)
    assert rows.slice(0, 8).drop_columns("rule").equals(plain.taxonomy_rows())
    assert rows.slice(8).select(["tag", "category", "kind", "threshold", "support", "rule"]).to_pylist() == [
        {
            "tag": "mode/minor",
            "category": "mode",
            "kind": "binary",
            "threshold": 0.5,
            "support": None,
            "rule": '{"min_confidence": 0.5, "when": {"mode": ["minor"]}}',
        }
    ]


def test_scores_have_one_column_a_tag(bundle):
    scores = bundle.score(np.zeros((3, bundle.embedding_dim), np.float32))
    assert scores.shape == (3, 8) and bundle.positives(scores).shape == (3, 8)
    assert (scores[:, 5] >= scores[:, 6]).all()


def patches(*counts: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(-40, 10, (n, *SPEC.patch_shape)).astype(np.float16) for n in counts]


def test_embedding_does_not_depend_on_the_tracks_embedded_together(bundle):
    embedder, tracks = load_embedder(bundle.url), patches(1, 3, BATCH, BATCH + 9, 2)
    together = embedder.embed(tracks)
    assert together.tobytes() == np.concatenate([embedder.embed([track]) for track in tracks]).tobytes()
    assert together[::-1].tobytes() == embedder.embed(tracks[::-1]).tobytes()


def test_embedding_has_the_bundles_length(bundle):
    embedder = load_embedder(bundle.url)
    assert embedder.dim == bundle.embedding_dim == embedder.embed(patches(2)).shape[1]
    assert embedder.embed([]).shape == (0, embedder.dim)


def copied(bundle: Bundle, number: int) -> tuple:
    """The trunk of a fake bundle under another name, and its file."""
    (trunk,) = bundle.trunks
    name = f"{number}.npz"
    facts = dataclasses.replace(trunk, name=f"fake-{number}", files={"projection": name})
    return facts, {name: Path(bundle.url, "trunk.npz").read_bytes()}


def test_several_trunks_stand_side_by_side(bundle, tmp_path):
    other = write_fake_bundle(str(tmp_path / "other"), TAXONOMY, SPEC, seed=1, patch_dim=3)
    (one, first), (two, second) = copied(bundle, 1), copied(other, 2)
    together = Embedding(spec=SPEC, pooling=Pooling(), trunks=(one, two))
    both = write_trunk_bundle(str(tmp_path / "both"), together, {**first, **second})
    found = load_embedder(both.url).embed(patches(3, 2))
    one, two = (load_embedder(b.url).embed(patches(3, 2)) for b in (bundle, other))
    assert both.embedding_dim == found.shape[1]
    assert np.array_equal(found[:, :22], np.hstack([one[:, :8], two[:, :3], one[:, 8:], two[:, 3:]]))


def test_a_bundle_without_a_trunk_holds_the_statistics(tmp_path):
    url = str(tmp_path / "bundle")
    statistics = Embedding(spec=SPEC, pooling=Pooling(statistics="mel"), trunks=())
    write_trunk_bundle(url, statistics, {"README.md": b"none"})
    (track,) = patches(3)
    assert np.allclose(load_embedder(url).embed([track])[0], statistics_2(track, SPEC.compression), rtol=1e-3)


def test_a_bundle_without_tags_tags_nothing(bundle, tmp_path):
    facts, files = copied(bundle, 1)
    url = str(tmp_path / "trunk")
    write_trunk_bundle(url, Embedding(spec=SPEC, pooling=Pooling(), trunks=(facts,)), files)
    assert load_trunks(url).trunks == (facts,)
    with pytest.raises(BundleError, match="a trunk without tags: run `catalog-tagger train --trunk"):
        load_bundle(url)


@pytest.mark.parametrize("shape", [(0, *SPEC.patch_shape), (2, 5, SPEC.n_mels)])
def test_patches_of_another_shape_are_refused(bundle, shape):
    with pytest.raises(ValueError, match="patches of shape"):
        load_embedder(bundle.url).embed([np.zeros(shape, np.float16)])


def test_unknown_trunk_format_is_refused(bundle):
    edit(bundle, lambda m: m["trunks"][0].update(files={"pickle": "trunk.npz"}))
    with pytest.raises(BundleError, match="trunk 'fake' has formats pickle, but --inference auto runs"):
        load_embedder(bundle.url)


def test_a_trunk_whose_file_is_not_hashed_is_refused(bundle):
    edit(bundle, lambda m: m["trunks"][0].update(files={"projection": "other.npz"}))
    with pytest.raises(BundleError, match=r"lists no file of the trunk 'fake' at other\.npz"):
        load_bundle(bundle.url)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_files_outside_the_bundle_are_refused(bundle, name):
    edit(bundle, lambda m: m["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError, match=r"bundle\.json: .*path .* leads out of its folder"):
        load_bundle(bundle.url)


def test_bundles_of_the_first_schema_keep_their_ids(bundle):
    """The ids are those that the version before schema 2 gave this very bundle."""

    def as_before(manifest):
        trunk = manifest.pop("trunks")[0]
        kept = {name: trunk[name] for name in ("name", "digest", "patch_dim")}
        manifest.update(schema_version=1, trunk={**kept, "format": "projection", "file": "trunk.npz"})

    edit(bundle, as_before)
    again = load_bundle(bundle.url)
    assert (again.embedding_id, again.tagger_id) == ("em-5ab577f299136641", "tg-c8dbc9c08ee2343c")
    assert load_embedder(bundle.url).dim == again.embedding_dim


def test_which_files_a_trunk_has_plays_no_part_in_its_id(bundle):
    (trunk,) = bundle.trunks
    other = dataclasses.replace(trunk, files={"onnx": "trunk.onnx"}, learned=True, licence="ISC")
    assert Embedding(spec=SPEC, pooling=bundle.pooling, trunks=(other,)).embedding_id == bundle.embedding_id


def test_bundles_in_the_cloud(gcs):
    url = f"{gcs}/models/one"
    written = write_fake_bundle(url, TAXONOMY, SPEC)
    assert load_bundle(url).tagger_id == written.tagger_id
    with local_copy(url, written) as folder:
        assert sorted(path.name for path in folder.iterdir()) == sorted(written.files)
    assert load_embedder(url).dim == written.embedding_dim


def test_reading_a_bundle_needs_no_tensorflow(bundle):
    found = imported_by(f"from models.trunks.loading import load_embedder; load_embedder({bundle.url!r})")
    assert "models.bundles.trunk_bundle" in found and not found & {"tensorflow", "keras", "apache_beam"}
