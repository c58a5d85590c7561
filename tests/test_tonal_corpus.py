"""Pieces of known key: what notation states, and sound made more like recordings."""

import numpy as np
import pytest

from benchmarks import tonal_corpus, tonal_sounds
from benchmarks.rhythmic import notation

TUNE = """X:1
T:A tune
M:4/4
L:1/4
K:{key}
ABcA|ABcA|ABcA|ABcA|ABcA|ABcA|ABcA|A4|
"""
SCORE = """<score-partwise><part id="P1"><measure number="1"><attributes><divisions>1</divisions>
<key><fifths>{fifths}</fifths><mode>{mode}</mode></key><time><beats>4</beats><beat-type>4</beat-type></time></attributes>
<note><pitch><step>E</step><octave>4</octave></pitch><duration>2</duration></note>
<note><pitch><step>{last}</step><octave>3</octave></pitch><duration>2</duration></note></measure></part>
</score-partwise>"""


@pytest.mark.parametrize(
    ("key", "tonic", "mode"),
    [("A", 9, "major"), ("Am", 9, "minor"), ("Ddor", 2, "minor"), ("Bb", 10, "major"), ("F#min", 6, "minor")],
)
def test_the_key_of_a_tune(tmp_path, key, tonic, mode):
    (tmp_path / "tune.abc").write_text(TUNE.format(key=key))
    (tune,) = notation.tunes(tmp_path / "tune.abc")
    assert (tune.tonic, tune.mode) == (tonic, mode)


@pytest.mark.parametrize(
    ("fifths", "mode", "last", "key"),
    [
        (0, "major", "C", "C major"),
        (0, "major", "A", "A minor"),  # The mode is a default of the program that wrote it.
        (0, "minor", "A", "A minor"),
        (0, "minor", "C", None),
        (0, "major", "G", None),
        (-1, "major", "F", "F major"),
    ],
)
def test_the_key_of_a_score_is_that_of_its_last_note(tmp_path, fifths, mode, last, key):
    path = tmp_path / "score.xml"
    path.write_text(SCORE.format(fifths=fifths, mode=mode, last=last))
    assert tonal_corpus.score_key(path) == key


def test_tunes_that_are_kept_are_others(tmp_path):
    folder = tmp_path / "collection"
    folder.mkdir()
    titled = [TUNE.format(key="A").replace("A tune", f"Tune {number}") for number in range(20)]
    (folder / "tunes.abc").write_text("\n".join(titled))
    fitted, kept = (
        {piece.piece.name for piece in tonal_corpus.from_tunes(tmp_path, 0, 20, kept=kept)} for kept in (False, True)
    )
    assert fitted and kept and not fitted & kept and len(fitted | kept) == 20


def test_sound_like_a_recording_is_drawn_by_its_seed():
    time = np.arange(16_000) / 16_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    noise = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    changed = 0
    for seed in range(30):
        sound = tonal_sounds.roughened(tone, seed, [noise])
        np.testing.assert_array_equal(sound, tonal_sounds.roughened(tone, seed, [noise]))
        assert sound.dtype == np.float32 and np.isfinite(sound).all() and 0.05 < np.abs(sound).max() <= 1
        changed += len(sound) != len(tone) or not np.array_equal(sound, tone)
    assert 18 <= changed < 30
