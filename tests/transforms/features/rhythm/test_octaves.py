"""The octave of the tempo, and the metre, of patterns of styles: a walking bass under a ride is no half tempo."""

import pytest

from tests.support.drums import RATE_HZ, SIX, WALTZ, pattern
from transforms.features.rhythm.measuring import measure_rhythm

WALKING = ("Kh", ".", ".", "Kh", ".", "h")
BOSSA = ("Kh", "h", "h", "KSh", "Kh", "h", "Sh", "Kh")
CLAVE = ("Kh", "h", "h", "KSh", "h", "h", "Sh", "h", "h", "h", "Sh", "h", "h", "Sh", "h", "h")


@pytest.mark.parametrize(
    ("strokes", "steps", "bpm", "signature"),
    [
        (WALKING, 3, 190, (4, 4)),
        (BOSSA, 2, 156, (4, 4)),
        (CLAVE, 2, 140, (4, 4)),
        (WALTZ, 2, 150, (3, 4)),
        (SIX, 3, 90, (6, 8)),
    ],
    ids=["walking bass", "bossa nova", "clave", "waltz", "six eighths"],
)
def test_tempo_and_metre_of_a_style(strokes, steps, bpm, signature):
    found = measure_rhythm(pattern(bpm, strokes, steps, seconds=12.0), RATE_HZ)
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.003)
    assert (found.beats_per_bar, found.beat_unit) == signature
