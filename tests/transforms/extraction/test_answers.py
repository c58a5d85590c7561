"""Whatever a child answers, the parent gets features in their ranges, a reject in printable words, or `Garbled`."""

import itertools
import json
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import poison
from tests.support.synth import SPEC
from transforms.audio.errors import TrackError
from transforms.audio.limits import Limits
from transforms.extraction.answers import (
    MOST_HEAD_BYTES,
    MOST_TEXT,
    PARENTS_REASONS,
    most_body_bytes,
    parse_answer,
    plain_text,
)
from transforms.extraction.protocol import Garbled, receive

LIMITS, NUMBER = Limits(), 7
COST = {"decode_ms": 1, "features_ms": 1, "peak_bytes": 1, "core_us": 1}
FACTS = {
    "duration_s": 3.0,
    "sample_rate": 44_100,
    "channels": 1,
    "format": "wav",
    "decoded_fraction": 1.0,
    "damage": None,
}
FEATURES = {"number": NUMBER, "shape": [1, *SPEC.patch_shape], "facts": FACTS, "cost": COST}
REJECT = {"number": NUMBER, "reason": "silent", "detail": "x", "core_us": 0}


def body(starts=(0.0,), patch=0.0):
    patches = np.full((len(starts), *SPEC.patch_shape), patch, "<f2")
    return np.array(starts, "<f4").tobytes() + patches.tobytes()


def parsed(head, data=None):
    return parse_answer(NUMBER, json.loads(json.dumps(head)), body() if data is None else data, SPEC, LIMITS)


@pytest.mark.parametrize("forgery", poison.FORGERIES)
def test_an_answer_that_cannot_be_true_is_garbled(forgery, monkeypatch):
    """As it comes out of the pipe that a child writes it to; `test_sandbox.py` lets children do so."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "argv", ["child", "0", str(writing)])
    monkeypatch.setattr(poison, "_NUMBERS", [NUMBER])
    with ThreadPoolExecutor(1) as child:
        sent = child.submit(poison.FORGERIES[forgery])
        try:
            with pytest.raises(Garbled):
                answer = receive(reading, most_head=MOST_HEAD_BYTES, most_body=most_body_bytes(SPEC))
                parse_answer(NUMBER, *answer, SPEC, LIMITS)
        finally:
            os.close(reading)
        assert sent.exception() is None or isinstance(sent.exception(), BrokenPipeError)
    os.close(writing)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        ["silent", "crash", "unavailable", "a\u2028b", "\u202egpj", "\ud800", "x" * 3000, 1 << 53, 1e308]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*FACTS, *COST, "1", "x"]), inner),
    max_leaves=6,
)


@st.composite
def heads(draw):
    """A true head in which one to three values, at any depth, are something else or missing."""
    head = json.loads(json.dumps(draw(st.sampled_from([FEATURES, REJECT]))))
    for _ in range(draw(st.integers(1, 3))):
        inner = draw(st.sampled_from([head, *(value for value in head.values() if isinstance(value, dict))]))
        name = draw(st.sampled_from([*inner, "reason", "damage", "another"]))
        if name in inner and draw(st.booleans()):
            del inner[name]
        else:
            inner[name] = draw(ANYTHING)
    return head


@given(heads())
@settings(max_examples=200, deadline=None)
def test_any_head(head):
    try:
        features = parse_answer(NUMBER, head, body(), SPEC, LIMITS)
    except Garbled as error:
        assert len(str(error)) <= MOST_TEXT
    except TrackError as error:
        assert head["number"] == NUMBER and error.reason not in PARENTS_REASONS
        assert len(str(error)) <= MOST_TEXT and plain_text(str(error)) == str(error)
        assert 0 <= error.core_us * 1_000_000 < 1 << 63
    else:
        facts, cost = features.facts, features.cost
        assert head["number"] == NUMBER and 0 <= facts.duration_s <= LIMITS.max_duration_s
        assert 0 <= facts.decoded_fraction <= 1 <= facts.channels <= LIMITS.max_channels
        assert LIMITS.min_rate_hz <= facts.sample_rate <= LIMITS.max_rate_hz
        assert all(plain_text(text) == text for text in (facts.format, facts.damage) if text is not None)
        assert cost is None or all(0 <= value * 1_000_000 < 1 << 63 for value in vars(cost).values())


@given(st.lists(st.floats(width=32), min_size=1, max_size=4), st.floats(width=16))
@settings(max_examples=200, deadline=None)
def test_any_numbers(starts, patch):
    head = FEATURES | {"shape": [len(starts), *SPEC.patch_shape]}
    rising = all(a < b for a, b in itertools.pairwise(starts)) and starts[0] >= 0
    good = rising and starts[-1] <= LIMITS.max_duration_s and math.isfinite(patch)
    try:
        features = parsed(head, body(starts, patch))
    except Garbled:
        assert not good
    else:
        assert good and (features.patches == np.float16(patch)).all()


@given(st.binary(max_size=200), st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_any_length_of_the_body(more, fewer):
    data = body()[: len(body()) - fewer] + more
    if len(data) == len(body()):
        return
    with pytest.raises(Garbled, match="bytes for 1 patches"):
        parsed(FEATURES, data)


@pytest.mark.parametrize("number", [None, -1, NUMBER - 1, NUMBER + 1, float(NUMBER), str(NUMBER), True, [NUMBER]])
def test_an_answer_to_another_request(number):
    for head in (FEATURES, REJECT):
        with pytest.raises(Garbled, match="number is"):
            parsed(head | {"number": number})
