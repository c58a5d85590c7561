"""From the reading of a track to its parameters."""

from transforms.features.parameters.measured import Sound, measure_parameters
from transforms.features.parameters.record import Measurement
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.reading import AudioFile, Reading, hear_again
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.beat_mels import beat_mels


def measure_track(track: AudioFile, reading: Reading, spec: ParametersSpec) -> Measurement:
    """The parameters of a track that was read for them. For the loudness of a whole file, the rest of it is decoded."""
    gather, recorder = reading.gather, reading.recorder
    if recorder is None:
        raise ValueError("the track was read without an excerpt")
    if recorder.lacks_whole:
        hear_again(track, recorder)
    sound = Sound(
        mono=gather.excerpt(),
        patches=gather.sounding(),
        covers_ends=gather.covers_ends(),
        mono_hz=track.spec.sample_rate,
        channels=recorder.excerpt(),
        rate_hz=reading.rate_hz,
        whole=recorder.whole(),
    )
    found = measure_parameters(sound, spec)
    if spec.beats is not None:
        weights = None if track.channels is None else track.channels.weights
        _add_beat_mels(found, sound, spec.beats.input, weights)
    return found


def _add_beat_mels(found: Measurement, sound: Sound, given: BeatInput, weights: tuple[float, ...] | None) -> None:
    try:
        found.beat_mels = beat_mels(sound.channels, sound.rate_hz, given, weights)
    except Exception as error:  # noqa: BLE001 (whatever fails here, the track keeps its tags)
        found.failures.append(f"beats: {type(error).__name__}: {error}"[:200])
