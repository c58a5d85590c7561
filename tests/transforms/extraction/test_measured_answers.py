"""Parameters in a child's answer are input like the rest: in their ranges and asked for, or the answer is garbled."""

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.support.synth import SPEC, encode, music
from tests.transforms.extraction.test_answers import FEATURES, LIMITS, NUMBER, body
from transforms.extraction.answers import most_body_bytes, parse_answer
from transforms.extraction.protocol import Garbled
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import extract
from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.rhythm.beat_input import BeatSpec
from transforms.schemas.parameter_ranges import PARAMETER_RANGES
from transforms.schemas.parameters import PARAMETER_COLUMNS, PARAMETERS_ID

DEFAULT = ParametersSpec()
SOUND = Parameters(
    tempo_bpm=120.0,
    tempo_confidence=0.9,
    beats_per_bar=3,
    beat_unit=4,
    key="A minor",
    key_second="C major",
    camelot="8A",
    loudness_lufs=-14.2,
    loudness_of="excerpt",
    phase_inverted=False,
)


def parsed(parameters, spec=DEFAULT):
    head = FEATURES | ({} if parameters is None else {"parameters": parameters})
    return parse_answer(NUMBER, json.loads(json.dumps(head)), body(), SPEC, LIMITS, spec).parameters


@pytest.mark.parametrize("sound", [Parameters(), SOUND])
def test_a_true_answer_is_what_the_child_found(sound):
    assert parsed(dataclasses.asdict(sound)) == sound


FORGED = {
    "a tempo that is not finite": {"tempo_bpm": math.nan},
    "an infinite loudness": {"loudness_lufs": math.inf},
    "a tempo out of range": {"tempo_bpm": 1e9},
    "a tempo as text": {"tempo_bpm": "120"},
    "a whole tempo": {"tempo_bpm": 120},
    "half a beat": {"beats_per_bar": 3.5},
    "a truth value as a number of beats": {"beats_per_bar": True},
    "a confidence above 1": {"key_confidence": 1.01},
    "a key that does not exist": {"key": "H minor", "camelot": None},
    "the code of another key": {"camelot": "8B"},
    "a code without a key": {"key": None},
    "a list for a key": {"key_second": ["A minor"]},
    "the whole file, which was not asked for": {"loudness_of": "full"},
    "a number as a truth value": {"phase_inverted": 1},
    "a further parameter": {"mood": 0.5},
}


@pytest.mark.parametrize("name", FORGED)
def test_parameters_that_cannot_be_true_are_garbled(name):
    with pytest.raises(Garbled):
        parsed(dataclasses.asdict(SOUND) | FORGED[name])


@pytest.mark.parametrize(("parameters", "spec"), [(None, DEFAULT), ({}, None), ([], DEFAULT), ("x", DEFAULT)])
def test_parameters_are_there_if_and_only_if_they_were_asked_for(parameters, spec):
    with pytest.raises(Garbled):
        parsed(parameters, spec)


def test_every_parameter_has_a_column_of_its_type():
    kinds = {"float | None": "float", "int | None": "int16", "bool | None": "bool", "str | None": "string"}
    fields = {field.name: str(field.type) for field in dataclasses.fields(Parameters)}
    found = {column.name: str(column.type) for column in PARAMETER_COLUMNS if column.name != PARAMETERS_ID}
    assert found == {name: kinds.get(_text(name), "string") for name in fields}
    assert set(PARAMETER_RANGES) == {name for name, kind in found.items() if kind in ("float", "int16")}


def _text(name):
    return Parameters.__annotations__[name].__str__()


def test_children_measure_what_this_process_does():
    data = encode(music(6.0), format="FLAC")
    with Sandbox(SPEC, LIMITS, children=1, parameters=DEFAULT) as sandbox:
        found, without = sandbox.submit(data).result(), sandbox.submit(data, measured=False).result()
    assert found.parameters == extract(data, SPEC, LIMITS, DEFAULT).parameters != Parameters()
    assert without.parameters is None and (without.patches == found.patches).all()


HEARING = ParametersSpec(beats=BeatSpec(beats_id="be-0"))
BANDS = HEARING.beats.input.n_mels


def heard(frames, values, spec=HEARING, cut=0):
    """Parses an answer with mels for a network of beats; `frames` is what its head claims."""
    head = FEATURES | {"parameters": dataclasses.asdict(SOUND), "beat_frames": frames}
    data = body() + np.asarray(values, "<f2").tobytes()
    return parse_answer(NUMBER, json.loads(json.dumps(head)), data[: len(data) - cut], SPEC, LIMITS, spec)


def test_mels_for_a_network_follow_the_patches():
    mels = np.arange(3 * BANDS, dtype=np.float16).reshape(3, BANDS) / 64
    found = heard(3, mels)
    np.testing.assert_array_equal(found.beat_mels, mels)
    assert found.parameters == SOUND and found.patches.shape == (1, *SPEC.patch_shape)
    most = HEARING.beats.input.most_frames(HEARING.excerpt_s)
    assert most_body_bytes(SPEC, HEARING) == most_body_bytes(SPEC) + 2 * most * BANDS


@pytest.mark.parametrize(
    ("frames", "count", "change"),
    [
        (3, 2, {}),
        (2, 3, {}),
        (0, 0, {}),
        (-1, 0, {}),
        (True, 1, {}),
        (1.0, 1, {}),
        (1_489, 1_489, {}),
        (10**12, 1, {}),
        (2, 2, {"cut": 1}),
        (2, 2, {"spec": DEFAULT}),
        (2, 2, {"spec": None}),
    ],
)
def test_mels_that_cannot_be_true_are_garbled(frames, count, change):
    with pytest.raises(Garbled):
        heard(frames, np.zeros((count, BANDS)), **change)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_mels_that_are_not_finite_are_garbled(value):
    mels = np.zeros((2, BANDS))
    mels[1, -1] = value
    with pytest.raises(Garbled, match="not finite"):
        heard(2, mels)


def test_children_make_the_mels_that_this_process_does():
    data, short = (encode(music(seconds), format="FLAC") for seconds in (6.0, 3.0))
    with Sandbox(SPEC, LIMITS, children=1, parameters=HEARING) as sandbox:
        found, few, without = (
            sandbox.submit(data).result(),
            sandbox.submit(short).result(),
            sandbox.submit(data, measured=False).result(),
        )
    np.testing.assert_array_equal(found.beat_mels, extract(data, SPEC, LIMITS, HEARING).beat_mels)
    assert found.beat_mels.shape == (301, BANDS) and found.beat_mels.astype(np.float32).std() > 0.5
    assert few.beat_mels is without.beat_mels is None and few.parameters is not None
    plain = extract(data, SPEC, LIMITS, DEFAULT)
    assert plain.beat_mels is None and plain.parameters == found.parameters
    np.testing.assert_array_equal(plain.patches, found.patches)
