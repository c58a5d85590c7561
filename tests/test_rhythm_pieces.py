"""The pieces that rhythm is fitted on: their truths are what their notes are."""

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.rhythmic import descent, notation, scores, styles, tables

JIG = "X:1\nT:A jig\nR:jig\nM:6/8\nL:1/8\nQ:3/8=110\nK:G\n" + "GAB dBG|AGE c3|" * 4 + "\n"
WALTZ = "X:2\nT:A waltz\nM:3/4\nL:1/4\nK:Dm\n" + '"Dm"D F A|^c>d e|(3f/e/d/ c B|' * 3 + "\n"
BROKEN = "X:3\nT:Bars of another length\nM:4/4\nL:1/4\nK:C\n" + "C D E|" * 8 + "\n"


@pytest.fixture
def tunes(tmp_path):
    (tmp_path / "tunes.abc").write_text(JIG + "\n" + WALTZ + "\n" + BROKEN)
    return list(notation.tunes(tmp_path / "tunes.abc"))


def test_tunes_whose_bars_have_another_length_are_left_out(tunes):
    assert [tune.title for tune in tunes] == ["A jig", "A waltz"]


def test_lengths_pitches_and_bars_of_a_tune(tunes):
    jig, waltz = tunes
    assert [pitch for _, _, pitch in jig.notes[:7]] == [67, 69, 71, 74, 71, 67, 69]
    assert jig.bars[:3] == [0, Fraction(6, 8), Fraction(12, 8)]
    lengths = [length * 4 for _, length, _ in waltz.notes[3:9]]
    assert lengths == [Fraction(3, 2), Fraction(1, 2), 1, Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)]
    assert [pitch for _, _, pitch in waltz.notes[3:5]] == [73, 74]
    assert waltz.chords[0] == (0, 2, True)


def test_a_stated_tempo_is_kept_and_accents_fall_on_dotted_beats(tunes):
    piece = next(
        made
        for made in (notation.piece(tunes[0], seed) for seed in range(40))
        if {note.velocity > 95 for note in made.notes if note.channel == 0} == {True, False}
    )
    assert (piece.bpm, piece.beats_per_bar, piece.beat_unit) == (110, 6, 8)
    loud = sorted(note.start_s for note in piece.notes if note.channel == 0 and note.velocity > 100)
    beats = np.array(loud) / (60 / 110)
    assert np.abs(beats[:8] - beats[:8].round()).max() < 0.1


@pytest.mark.parametrize("style", styles.STYLES, ids=lambda style: style.name)
def test_bass_notes_of_a_style_are_on_its_grid(style):
    piece = styles.make(style, 3, length_s=20)
    assert piece == styles.make(style, 3, length_s=20)
    assert style.low_bpm <= piece.bpm <= style.high_bpm
    if piece.steady and not style.swing:
        starts = np.array([note.start_s for note in piece.notes if note.channel == styles.BASS])
        steps = (starts - starts[0]) / (60 / piece.bpm / style.steps)
        assert np.median(np.abs(steps - steps.round())) < 0.25


SCORE = """<score-partwise><part><measure><attributes><divisions>2</divisions><time><beats>3</beats>
<beat-type>4</beat-type></time></attributes><sound tempo="96"/>{}</measure></part></score-partwise>"""
NOTE = "<note><pitch><step>{}</step><octave>4</octave></pitch><duration>{}</duration>{}</note>"


def test_a_score_gives_tempo_metre_and_tied_notes(tmp_path):
    pair = NOTE.format("A", 1, '<tie type="start"/>') + NOTE.format("A", 1, '<tie type="stop"/>')
    path = tmp_path / "score.xml"
    path.write_text(SCORE.format((pair + NOTE.format("C", 1, "")) * 31))
    (piece,) = scores.pieces([path])
    assert (piece.bpm, piece.beats_per_bar, piece.beat_unit) == (96, 3, 4)
    assert {round(note.length_s / 0.95 / (60 / 96), 2) for note in piece.notes} == {0.5, 1.0}
    assert {note.pitch for note in piece.notes} == {60, 69}


def test_accuracy_one_and_two():
    first, second = tables.accuracy(np.array([100, 103.9, 104.1, 50, 300, np.nan]), np.full(6, 100.0))
    assert first.tolist() == [True, True, False, False, False, False]
    assert second.tolist() == [True, True, False, True, True, False]


def test_descent_learns_what_one_hidden_layer_can_tell():
    inputs = np.random.default_rng(0).choice([-1, 1], (400, 3)).astype(np.float32)
    inputs[:, 2] = 1
    right = np.eye(2, dtype=np.float32)[(inputs[:, 0] * inputs[:, 1] > 0).astype(int)]
    model = descent.fit(inputs, right, np.ones(400, np.float32), descent.Setting(units=6, step=0.05, decay=1e-4), 2)
    assert (model.scores(inputs).argmax(1) == right.argmax(1)).all()


def test_pieces_are_rendered_at_their_own_time(tmp_path):
    from benchmarks.rhythmic import render

    if not all((render.FOLDER / font).exists() for font in render.SOUND_FONTS):
        pytest.skip("sound fonts are not installed")
    notes = [render.Note(at, 0.1, render.DRUMS, 38, 110) for at in (0.5, 1.0)]
    piece = render.Piece("two strokes", "test", 120, 4, 4, {}, notes)
    renderer = render.Renderer("TimGM6mb.sf2")
    first, again = renderer.render(piece, 2), renderer.render(piece, 2)
    loud = np.abs(first) > 0.3 * np.abs(first).max()
    assert np.flatnonzero(loud)[0] / render.RATE_HZ == pytest.approx(0.5, abs=0.02)
    assert not np.abs(first[: int(0.48 * render.RATE_HZ)]).max() > 1e-3
    np.testing.assert_allclose(np.abs(first).max(), np.abs(again).max(), rtol=0.2)
