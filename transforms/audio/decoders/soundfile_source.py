"""AudioSource on libsndfile: WAV, AIFF, CAF, AU, FLAC, MP3, Ogg."""

import io

import numpy as np
import soundfile

from transforms.audio.errors import DecodeError, ImplausibleHeader, TrackError, UnsupportedCodec
from transforms.audio.samples import Float32


# soundfile has no stubs: its classes are Any.
class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that reports that it cannot seek.

    In a seekable file, soundfile seeks to the current position after every read. This slows some decoders down and
    fails in others.
    """

    def seekable(self) -> bool:
        return False


_NOT_SOUGHT = ("DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N")
"""Codings for which libsndfile claims to seek, but fails."""


class SoundFileSource:
    """See AudioSource. Reads WAV, AIFF, CAF, AU, FLAC, MP3 and Ogg."""

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
        """See AudioSource."""
        if len(self._block) < frames:
            self._block = np.empty((frames, self.channels), np.float32)
        try:
            block: Float32 = self._file.read(frames, dtype="float32", out=self._block[:frames])
        except soundfile.LibsndfileError as error:
            raise DecodeError(error.error_string) from error
        return block

    def seek(self, frame: int) -> None:
        """See AudioSource."""
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise DecodeError(f"seeking to frame {frame}: {error.error_string}") from error

    def close(self) -> None:
        """See AudioSource."""
        self._file.close()


_UNIMPLEMENTED = ("unimplemented format", "unsupported encoding", "not supported")


def _open_error(error: soundfile.LibsndfileError) -> TrackError:
    text = str(error.error_string)
    if any(phrase in text for phrase in _UNIMPLEMENTED):
        return UnsupportedCodec(text)
    return ImplausibleHeader(text)
