"""Columns of `tracks` and of part files with what a track sounds like, and the ranges of their values."""

import pyarrow as pa

from transforms.schemas.columns import column

PARAMETERS_ID = "parameters_id"
"""Column with the id of the spec that the row's parameters were measured by; null where nothing was measured."""

_ABSENT = "Null where nothing can be said"


def _number(name: str, sentence: str) -> pa.Field:
    return column(name, pa.float32(), sentence, nullable=True)


PARAMETER_COLUMNS = (
    _number(
        "tempo_bpm",
        f"Felt beats per minute of the excerpt, 40 to 240; in compound metre, of dotted notes. {_ABSENT}: silence, "
        "noise, sound without a pulse, less than 4 s.",
    ),
    _number("tempo_confidence", "Calibrated probability that the tempo is right to within 4 %, 0 to 1."),
    _number("tempo_alternative_bpm", "Half or twice the tempo, whichever is more probable, 20 to 480."),
    _number("tempo_alternative_weight", "Belief in the alternative tempo, 0 to 1."),
    column("beats_per_bar", pa.int16(), "Upper number of the time signature: 3, 4, 5 or 6.", nullable=True),
    column("beat_unit", pa.int16(), "Lower number of the time signature: 4, or 8 in compound metre.", nullable=True),
    _number("metre_confidence", "Calibrated probability that the metre is right, 0 to 1."),
    column(
        "key",
        pa.string(),
        f"Tonic and mode, e.g. `A minor`. {_ABSENT}: silence, noise, drums alone, one drone.",
        nullable=True,
    ),
    _number("key_confidence", "Probability that the key is right, 0 to 1."),
    column("key_second", pa.string(), "The next probable key.", nullable=True),
    column("camelot", pa.string(), "Code of `key` on the Camelot wheel, e.g. `8A`.", nullable=True),
    _number("tuning_cents", "Deviation of the tuning from A4 = 440 Hz in equal temperament, -50 to 50 cents."),
    _number(
        "loudness_lufs",
        "Integrated loudness by ITU-R BS.1770-4 in LUFS, -70 and more. Null below the gate of -70, and under 0.4 s.",
    ),
    _number("loudness_range_lu", "Loudness range by EBU Tech 3342 in LU, 0 and more. Null under 3 s."),
    _number("true_peak_dbtp", "True peak in dB of full scale. Null for silence."),
    column(
        "loudness_of",
        pa.string(),
        "What the three columns of loudness were measured on: `excerpt`, or `full` for the whole file.",
        nullable=True,
    ),
    _number("silence_ratio", "Share of blocks of 0.05 s below -60 dB of full scale, 0 to 1, in the planned patches."),
    _number("leading_silence_s", "Time until the first sample of -60 dB, in seconds, at most the first patch."),
    _number(
        "trailing_silence_s", "Time from the last sample of -60 dB to the end, in seconds, at most the last patch."
    ),
    _number("onset_rate_hz", "Onsets of notes, chords and strokes per second in the excerpt."),
    _number(
        "danceability",
        "How regularly the beat repeats, 0 to 1: it rises with regularity and with a regular bass, and falls with the "
        "distance of the tempo from 120. Null without a tempo.",
    ),
    _number(
        "energy",
        "Loudness (half), brightness and onset rate (a quarter each), 0 to 1; it never falls as one of them rises. "
        "Null without loudness.",
    ),
    _number("clipped_ratio", "Share of samples in runs of three and more at full scale, 0 to 1, in the excerpt."),
    _number(
        "stereo_width",
        "Share of the side signal in the power of mid and side, 0 (equal channels) to 1 (inverted ones). Null for one "
        "channel and for silence.",
    ),
    column(
        "phase_inverted",
        pa.bool_(),
        "Whether the channels cancel when they are mixed to mono. Such a track is tagged from one channel.",
        nullable=True,
    ),
    column(
        PARAMETERS_ID,
        pa.string(),
        "Id of how the parameters of the row were measured. Null where they were not; snapshots without parameters "
        "have none of these columns.",
        nullable=True,
    ),
)
"""What a track sounds like: fields of `Parameters` with these names, and the id of their spec."""

PARAMETER_NAMES = tuple(field.name for field in PARAMETER_COLUMNS)
