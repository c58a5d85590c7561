"""From the reading of a track to its parameters."""

from transforms.features.parameters.measured import Sound, measure_parameters
from transforms.features.parameters.record import Measurement
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.reading import AudioFile, Reading, hear_again


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
    return measure_parameters(sound, spec)
