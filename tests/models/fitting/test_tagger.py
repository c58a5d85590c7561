"""Heads, calibration, thresholds and metrics put together, without TensorFlow."""

import functools
import json

import numpy as np
import pytest

from models.embedding.blocks import whole
from models.fitting.baselines import mel_moments, prevalence
from models.fitting.labelled import LabelledRows
from models.fitting.rows import SplitRows, embed_split
from models.fitting.tagger import RATED, build_tagger
from models.scoring.heads import layout_of
from models.scoring.metrics import MEASURES
from tests.support.tiny import SPEC, TAXONOMY, example
from transforms.splits.by_artist import SPLITS

LAYOUT = layout_of(TAXONOMY)


class MelEmbedder:
    """Mean of each band: all that `embed_split` asks of an embedder."""

    dim = mels = SPEC.n_mels

    def embed(self, patches):
        return np.array([track.astype(np.float32).mean(axis=(0, 1)) for track in patches])


def split_rows(numbers: range) -> SplitRows:
    return embed_split([example(n) for n in numbers], MelEmbedder(), 8, len(numbers), "test")


@functools.cache
def build(train: int = 60, validation: int = 20, test: int = 20):
    ends = np.cumsum([0, train, validation, test])
    splits = {name: split_rows(range(*ends[i : i + 2])) for i, name in enumerate(SPLITS)}
    return build_tagger(splits, LAYOUT, TAXONOMY.tag_ids, whole(SPEC.n_mels))


def test_rows_hold_ids_embeddings_and_labels():
    rows = split_rows(range(70))
    assert rows.groups[69] == "artist-34" and rows.durations_s[69] == example(69).duration_s
    assert rows.track_ids[69] == "track-069" and rows.embedded.embeddings.shape == (70, SPEC.n_mels)
    np.testing.assert_array_equal(rows.embedded.targets[3], example(3).targets)
    np.testing.assert_array_equal(rows.moments.embeddings[3], mel_moments(example(3).patches))


def test_report_compares_with_both_baselines():
    report = build().metrics
    assert set(report["macro"]) == {"tagger", "prevalence", "logistic_mel_moments"}
    assert report["tracks"] == {"train": 60, "validation": 20, "test": 20}
    assert report["macro"]["tagger"]["test"]["roc_auc"] > report["macro"]["prevalence"]["test"]["roc_auc"]


def test_report_has_the_calibration_error_of_the_test_split_before_and_after():
    tagger = build()
    found = tagger.metrics["calibration_error"]
    assert found["after"] == pytest.approx(tagger.metrics["macro"]["tagger"]["test"]["ece"])
    assert found["before"] != found["after"]


def test_report_is_json_without_nan():
    json.dumps(build().metrics, allow_nan=False)


def test_the_same_tracks_give_the_same_heads():
    assert build.__wrapped__().heads.digest == build().heads.digest


def test_multiclass_has_an_accuracy():
    found = build().metrics["categories"]["tagger"]["test"]["genre"]["accuracy"]
    assert found is not None and 0 <= found <= 1


def test_facts_say_what_a_threshold_rests_on():
    facts = {fact.tag: fact for fact in build().tags}
    assert facts["genre/high"].threshold_rule == "highest"
    assert facts["voice/instrumental"].threshold_rule == "complement"
    assert (facts["mood/never"].threshold_rule, facts["mood/never"].threshold) == ("default", 0.5)
    carried = sum(example(n).targets[0] > 0 for n in range(60))
    assert facts["voice/vocal"].support == carried
    # Cross-validated heads were rated on training tracks too, by heads that had not seen them.
    assert facts["voice/vocal"].validation_support == sum(example(n).targets[0] > 0 for n in range(80))


@pytest.mark.parametrize("empty", ["validation", "test"])
def test_a_split_may_be_empty(empty):
    tagger = build(**{empty: 0})
    assert tagger.metrics["macro"]["tagger"][empty] == {**dict.fromkeys(MEASURES), "tags": 0}
    assert set(tagger.tags[0].metrics) == set(RATED)


def test_prevalence_is_the_share_of_known_tracks():
    targets = np.array([[1, 0, 1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]], np.float32)
    mask = np.array([[1] * 8, [1, 1, 0, 0, 0, 1, 1, 1]], np.float32)
    found = prevalence(LabelledRows(embeddings=np.zeros((2, 1), np.float32), targets=targets, mask=mask), LAYOUT)
    np.testing.assert_allclose(found[[0, 2, 5, 7]], [1.5 / 3, (1 + 1 / 3) / 2, 1.5 / 3, 0.5 / 3])


def test_prevalence_of_a_category_adds_up_to_one():
    shares = prevalence(split_rows(range(40)).embedded, LAYOUT)
    assert shares[2:5].sum() == pytest.approx(1, abs=1e-6)
