"""Key and tuning: all keys made of chords, detuned and transposed; and sounds that have none."""

import functools
import subprocess
import sys
import warnings

import numpy as np
import pytest

from transforms.features.parameters.key import Tonality, measure_key
from transforms.features.parameters.keys import KEY_NAMES, MAJOR_NAMES, MINOR_NAMES, camelot, key_name, mirex_score

pytestmark = pytest.mark.long

RATE = 16_000
CADENCES = {
    "major": ((0, 4, 7), (5, 9, 0), (7, 11, 2), (0, 4, 7), (9, 0, 4), (2, 5, 9), (7, 11, 2), (0, 4, 7)),
    "minor": ((0, 3, 7), (5, 8, 0), (7, 11, 2), (0, 3, 7), (8, 0, 3), (5, 8, 0), (7, 11, 2), (0, 3, 7)),
}


def cadence(tonic: int, mode: str, *, cents: float = 0.0, octave: int = 4, seconds: float = 8.0) -> np.ndarray:
    """Eight chords of a cadence over their bass notes, four partials to a note, float32 [n] at 16 kHz."""
    count = round(seconds * RATE / 8)
    time = np.arange(count) / RATE
    fade = np.minimum(1, np.arange(count)[::-1] / 800)
    chords = []
    for steps in CADENCES[mode]:
        notes = [12 * (octave + 1) + (tonic + step) % 12 for step in steps]
        hertz = [440 * 2 ** ((note + cents / 100 - 69) / 12) for note in (*notes, notes[0] - 12)]
        chords.append(fade * sum(np.sin(2 * np.pi * hz * part * time) / part for hz in hertz for part in range(1, 5)))
    return (0.05 * np.concatenate(chords)).astype(np.float32)


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    return cadence(9, "minor")


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_all_keys(tonic: int, mode: str) -> None:
    found = measure_key(cadence(tonic, mode), RATE)
    assert found.key == key_name(tonic, mode)
    assert found.camelot == camelot(found.key)
    assert found.key_confidence is not None
    assert 0.5 < found.key_confidence <= 1
    assert found.key_second not in (None, found.key)
    assert found.tuning_cents == pytest.approx(0, abs=3)


@pytest.mark.parametrize("cents", [-40, -20, 20, 40])
@pytest.mark.parametrize("tonic", [1, 8])
def test_detuned_music_keeps_its_key(tonic: int, cents: float) -> None:
    found = measure_key(cadence(tonic, "minor", cents=cents), RATE)
    assert found.key == key_name(tonic, "minor")
    assert found.tuning_cents == pytest.approx(cents, abs=5)


@pytest.mark.parametrize("octave", [3, 5])
def test_register_does_not_change_the_key(octave: int) -> None:
    assert measure_key(cadence(2, "major", octave=octave), RATE).key == "D major"


def test_level_offset_and_clipping_do_not_change_the_key(tune: np.ndarray) -> None:
    plain = measure_key(tune, RATE)
    assert plain.key == "A minor"
    for changed in (tune * np.float32(0.05), tune * np.float32(3)):
        assert measure_key(changed, RATE).key_confidence == pytest.approx(plain.key_confidence, abs=0.01)
    for changed in (tune + np.float32(0.4), np.clip(tune * 8, -1, 1)):
        assert measure_key(changed, RATE).key == "A minor"


def test_noise_under_the_music_does_not_change_the_key(tune: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, len(tune)).astype(np.float32)
    assert measure_key(tune + noise, RATE).key == "A minor"


def test_excerpts_and_rates_agree(tune: np.ndarray) -> None:
    excerpts = [tune[start : start + 2 * RATE] for start in range(0, len(tune), 2 * RATE)]
    assert measure_key(excerpts, RATE).key == "A minor"
    assert measure_key(np.ascontiguousarray(tune[::2]), RATE // 2).key == "A minor"


def test_the_same_bits_every_time_and_order_of_excerpts_is_heard_only_in_arrivals(tune: np.ndarray) -> None:
    assert measure_key(tune, RATE) == measure_key(tune.copy(), RATE)
    halves = [tune[: 4 * RATE], tune[4 * RATE :]]
    forward, backward = measure_key(halves, RATE), measure_key(halves[::-1], RATE)
    assert forward.key == backward.key
    assert forward.key_confidence == pytest.approx(backward.key_confidence, abs=1e-3)


@functools.cache
def hostile() -> dict[str, np.ndarray]:
    rng, n = np.random.default_rng(3), 10 * RATE
    time = np.arange(n) / RATE
    click = np.zeros(n)
    click[5_000] = 1.0
    clicks = np.zeros(n)
    clicks[::8_000] = 1.0
    hits = np.convolve(clicks, np.exp(-np.arange(2_000) / 300) * rng.standard_normal(2_000))[:n]
    broken = rng.normal(0, 0.1, n)
    broken[::7] = np.nan
    syllables = np.maximum(0, np.sin(2 * np.pi * 3 * time)) * np.sin(
        2 * np.pi * np.cumsum(150 + 60 * np.sin(2 * np.pi * 1.3 * time) + 30 * np.sin(2 * np.pi * 0.31 * time)) / RATE
    )
    return {
        "silence": np.zeros(n),
        "nothing": np.zeros(0),
        "white noise": rng.normal(0, 0.1, n),
        "pink noise": np.cumsum(rng.normal(0, 0.01, n)) * 0.1,
        "one click": click,
        "clicks": clicks,
        "drum hits": hits,
        "sine": 0.3 * np.sin(2 * np.pi * 220 * time),
        "drone": 0.1 * sum(np.sin(2 * np.pi * 110 * part * time) / part for part in range(1, 16)),
        "one chord": 0.1 * sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6)),
        "gliding voice": 0.3 * syllables,
        "0.3 s of music": cadence(0, "major")[: round(0.3 * RATE)],
        "offset": np.full(n, 0.5),
        "not finite": np.full(n, np.nan),
        "noise with gaps that are not finite": broken,
    }


@pytest.mark.parametrize("name", hostile())
def test_nothing_is_said_where_there_is_no_key(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure_key(hostile()[name].astype(np.float32), RATE) == Tonality()


def test_low_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="rate_hz=7999"):
        measure_key(np.zeros(8_000, np.float32), 7_999)


def test_camelot_codes_go_round_by_fifths() -> None:
    assert [camelot(k) for k in ("A minor", "C major", "E minor", "G major", "G# minor", "B major", "Db major")] == (
        ["8A", "8B", "9A", "9B", "1A", "1B", "3B"]
    )
    assert len({camelot(key) for key in KEY_NAMES}) == 24
    for tonic in range(12):
        up = (tonic + 7) % 12
        for names, mode in ((MAJOR_NAMES, "major"), (MINOR_NAMES, "minor")):
            here, there = camelot(f"{names[tonic]} {mode}"), camelot(f"{names[up]} {mode}")
            assert int(there[:-1]) == int(here[:-1]) % 12 + 1


@pytest.mark.parametrize(
    ("estimate", "score"),
    [("C major", 1.0), ("G major", 0.5), ("F major", 0.5), ("A minor", 0.3), ("C minor", 0.2), ("D major", 0.0)],
)
def test_mirex_scores(estimate: str, score: float) -> None:
    assert mirex_score("C major", estimate) == score
    assert mirex_score(estimate, "C major") == score
    assert mirex_score("C major", None) == 0.0


def test_nothing_heavy_is_imported() -> None:
    """The sandbox child measures: no librosa, numba, soxr or scipy.signal, which cost it seconds and memory."""
    names = ["key", "loudness", "loudness_excerpt", "levels"]
    code = "import sys\n" + "".join(f"import transforms.features.parameters.{name}\n" for name in names)
    code += "print(sorted({'librosa', 'numba', 'scipy.signal', 'soxr'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
