"""Files whose samples are frames of a codec: DTS on CD, AC-3 and others as a digital output sends them."""

import contextlib
import dataclasses

import numpy as np

from transforms.audio.containers.coded_pcm import coded_frames, swapped
from transforms.audio.containers.contents import inspect
from transforms.audio.containers.kinds import kind_named
from transforms.audio.errors import DecodeError, UnsupportedCodec
from transforms.audio.limits import MIB
from transforms.features.reading import AudioFile
from transforms.features.sample_reader import BLOCK_FRAMES, as_pcm

_MOST_BYTES = 256 * MIB
"""Most bytes of samples that are read as frames: 25 minutes of a CD."""


def unwrapped(track: AudioFile) -> AudioFile:
    """The frames within the samples of a track, as a file of their own. Raises UnsupportedCodec."""
    pcm = bytearray()
    with track.open() as source, contextlib.suppress(DecodeError):
        while len(block := source.read(BLOCK_FRAMES)):
            pcm += as_pcm(block).tobytes()
            if len(pcm) > _MOST_BYTES:
                raise UnsupportedCodec(f"its samples are frames of a codec, and more than {_MOST_BYTES >> 20} MiB")
    coded = coded_frames(np.frombuffer(bytes(pcm), "<i2"))
    if coded is None:
        raise UnsupportedCodec("its samples begin like frames of a codec, but are not")
    kind = kind_named(coded.kind)
    contents = inspect(swapped(pcm)[coded.at :] if coded.is_swapped else bytes(pcm[coded.at :]), kind)
    notes = (*track.contents.notes, f"coded: the samples are frames of {coded.shown}", *contents.notes)
    contents = dataclasses.replace(contents, notes=notes)
    return dataclasses.replace(track, contents=contents, kind=dataclasses.replace(kind, name=track.kind.name))
