"""Samples by libsndfile: WAV, AIFF, CAF, AU, FLAC, MP3, Ogg."""

import io

import numpy as np
import soundfile

from transforms.audio.errors import DecodeError, ImplausibleHeader, TrackError, UnsupportedCodec
from transforms.audio.samples import Float32


# soundfile has no stubs: its classes are Any.
class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read straight on.

    Called seekable, soundfile seeks to where it is after every read, which some decoders pay for and others fail at.
    """

    def seekable(self) -> bool:
        return False


_NOT_SOUGHT = ("DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N")
"""Codings that libsndfile says it seeks in, and fails to."""


class SoundFileSource:
    """Source on libsndfile: WAV, AIFF, CAF, AU, FLAC, MP3, Ogg."""

    lost_packets = 0

    def __init__(self, data: bytes) -> None:
        try:
            self._file = _Sequential(io.BytesIO(data))
        except soundfile.LibsndfileError as error:
            raise _open_error(error) from error
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.can_seek: bool = soundfile.SoundFile.seekable(self._file) and self._file.subtype not in _NOT_SOUGHT
        self._block = np.empty((0, self.channels), np.float32)
        claimed: int = self._file.frames
        self.frames = claimed if 0 < claimed < 1 << 62 else None

    def read(self, frames: int) -> Float32:
        """See Source."""
        if len(self._block) < frames:
            self._block = np.empty((frames, self.channels), np.float32)
        try:
            block: Float32 = self._file.read(frames, dtype="float32", out=self._block[:frames])
        except soundfile.LibsndfileError as error:
            raise DecodeError(error.error_string) from error
        return block

    def seek(self, frame: int) -> None:
        """See Source."""
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise DecodeError(f"seeking to frame {frame}: {error.error_string}") from error

    def close(self) -> None:
        """See Source."""
        self._file.close()


_UNIMPLEMENTED = ("unimplemented format", "unsupported encoding", "not supported")


def _open_error(error: soundfile.LibsndfileError) -> TrackError:
    text = str(error.error_string)
    if any(phrase in text for phrase in _UNIMPLEMENTED):
        return UnsupportedCodec(text)
    return ImplausibleHeader(text)
