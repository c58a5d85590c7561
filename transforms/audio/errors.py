"""Why a track has no features: one class per reason.

Stages: `read` (bytes from storage), `probe` (what the bytes claim to be), `decode` (samples), `features` (patches).
A rejected track is retried if its source, the feature spec or the extractor changes, or on request. A track whose
error is `due_again` is retried in every run.
"""

from typing import ClassVar, Literal

Stage = Literal["read", "probe", "decode", "features"]


class TrackError(Exception):
    """One track has no features: recorded in the ledger, never retried within a run.

    Class attributes:
      reason: value of the ledger's `reason` column.
      stage: step from bytes to patches at which the error occurs.
      due_again: whether every run retries the track, even if its source has not changed.
      sentence: explanation for analysts.

    Attributes:
      core_us: processor time that was spent on the track in a child process, microseconds.
    """

    reason: ClassVar[str]
    stage: ClassVar[Stage]
    due_again: ClassVar[bool] = False
    sentence: ClassVar[str]
    core_us: int = 0

    @property
    def detail(self) -> str:
        """What was found in this track, in words; may be empty."""
        return str(self)


class SourceNotFound(TrackError):
    """The uri names no object."""

    reason, stage, due_again = "not_found", "read", True
    sentence = "No file exists under the uri that the catalog gives."


class SourceUnavailable(TrackError):
    """Storage refused or failed, retries included: not the track's fault."""

    reason, due_again = "unavailable", True
    stage: ClassVar[Stage] = "read"
    sentence = (
        "The storage refused or failed, or the machine ended the decoding process, also after retries; the track is "
        "due again in the next run."
    )


class MachineFault(SourceUnavailable):
    """The machine ended the track's decoding processes or did not let them start: not the track's fault.

    Attributes:
      tries: what happened to each process.
      was_killed: whether the last one, which ran alone, was killed while it had the track.
    """

    stage = "decode"

    def __init__(self, detail: str, tries: tuple[str, ...] = (), *, was_killed: bool = False) -> None:
        super().__init__(detail)
        self.tries, self.was_killed = tries, was_killed


class Empty(TrackError):
    """No bytes at all."""

    reason, stage = "empty", "read"
    sentence = "The file has no bytes."


class SourceTooLarge(TrackError):
    """More bytes than the limit."""

    reason, stage = "too_large", "read"
    sentence = "The file has more bytes than the limit allows."


class UnknownFormat(TrackError):
    """The first bytes match no known format."""

    reason, stage = "unknown_format", "probe"
    sentence = "The first bytes match no format that is recognised. Plain text is an example."


class FormatNotAllowed(TrackError):
    """A known format that is not on the list of audio containers, such as a playlist or a picture."""

    reason, stage = "format_not_allowed", "probe"
    sentence = (
        "The file is not read as audio: a playlist, picture, document, archive, program, MIDI file or tracker module, "
        "Ogg without a known audio codec or without its beginning, or a reference to another file."
    )


class UnsupportedCodec(TrackError):
    """A supported container with an unsupported codec."""

    reason, stage = "unsupported_codec", "probe"
    sentence = "No decoder reads the format or the codec; in a damaged file the header may be wrong."


class UnsupportedChannels(TrackError):
    """A channel count out of bounds."""

    reason, stage = "unsupported_channels", "probe"
    sentence = "The file has more channels than are read."


class UnsupportedRate(TrackError):
    """A sample rate out of bounds."""

    reason, stage = "unsupported_rate", "probe"
    sentence = "The sample rate is lower or higher than the rates that are read."


class ImplausibleHeader(TrackError):
    """A header that contradicts itself or the file."""

    reason, stage = "implausible_header", "probe"
    sentence = "The header is broken, contradicts itself or cannot be true for a file of this size."


class NoAudio(TrackError):
    """A media file without an audio stream."""

    reason, stage = "no_audio", "probe"
    sentence = "The file contains no audio stream."


class NoFrames(TrackError):
    """A valid file without samples."""

    reason, stage = "no_frames", "decode"
    sentence = "The file decodes without an error but contains no samples."


class DecodeError(TrackError):
    """The decoder failed, and it had decoded too little."""

    reason, stage = "decode_error", "decode"
    sentence = "The audio data are damaged and too little of them could be decoded."


class Truncated(TrackError):
    """The file ends before its audio does, and too little of it could be decoded."""

    reason, stage = "truncated", "decode"
    sentence = "The file ends before its audio does and too little of it could be decoded."


class Timeout(TrackError):
    """Decoding ran longer than the limit."""

    reason, stage = "timeout", "decode"
    sentence = "Decoding took longer than the time limit and was ended."


class MemoryLimit(TrackError):
    """Decoding requested more memory than the limit allows."""

    reason, stage = "memory_limit", "decode"
    sentence = "Decoding asked for more memory than the limit allows."


class Crash(TrackError):
    """The decoding process died."""

    reason, stage = "crash", "decode"
    sentence = "The decoder crashed on this file; only this track was lost."


class ResourceLimit(TrackError):
    """Decoding exceeded the limit on open files, processes or written bytes."""

    reason, stage = "resource_limit", "decode"
    sentence = "Decoding ran into the limit on open files, child processes or written bytes."


class NonFinite(TrackError):
    """Too many samples are NaN or infinite."""

    reason, stage = "non_finite", "features"
    sentence = "Too many samples are not numbers (NaN or infinity)."


class TooShort(TrackError):
    """Less audio than the feature spec's minimum."""

    reason, stage = "too_short", "features"
    sentence = "The audio is shorter than the minimum length for features."


class TooLong(TrackError):
    """More audio than the limit."""

    reason, stage = "too_long", "probe"
    sentence = "The audio is longer than the limit allows."


class Silent(TrackError):
    """No patch is louder than digital silence."""

    reason, stage = "silent", "features"
    sentence = "The audio decodes but is digital silence: there is nothing to tag."


class Unknown(TrackError):
    """An error without a more specific reason: a fault of the extractor, which blocks publishing."""

    reason, stage = "unknown", "decode"
    sentence = "An unexpected error. Nothing is published until the extractor gives it a specific reason."


def _subclasses() -> dict[str, type[TrackError]]:
    return {error.reason: error for error in TrackError.__subclasses__()}


REASONS: dict[str, type[TrackError]] = _subclasses()
"""Every reason of the ledger, in the order of the stages."""

DUE_AGAIN = frozenset(reason for reason, error in REASONS.items() if error.due_again)
"""Reasons of tracks that every run tries again."""
