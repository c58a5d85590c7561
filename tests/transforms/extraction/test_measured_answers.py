"""Parameters in a child's answer are input like the rest: in their ranges and asked for, or the answer is garbled."""

import dataclasses
import json
import math

import pytest

from tests.support.synth import SPEC, encode, music
from tests.transforms.extraction.test_answers import FEATURES, LIMITS, NUMBER, body
from transforms.extraction.answers import parse_answer
from transforms.extraction.protocol import Garbled
from transforms.extraction.sandbox import Sandbox
from transforms.features.extract import extract
from transforms.features.parameters.record import Parameters
from transforms.features.parameters.spec import ParametersSpec
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
