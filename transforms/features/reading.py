"""Reads the samples of one track: decides on its length and on sequential reading or seeking."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

import numpy as np

from transforms.audio.channels import ChannelChoice
from transforms.audio.containers.contents import UNVERIFIED, Contents
from transforms.audio.containers.kinds import AudioKind
from transforms.audio.decoders.opening import open_packets, open_source
from transforms.audio.decoders.source import AudioSource
from transforms.audio.errors import DecodeError, NoFrames, TooLong, TooShort, TrackError
from transforms.audio.limits import Limits
from transforms.audio.samples import Float32
from transforms.features.excerpt import ExcerptRecorder, middle_range
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.patch_samples import MOST_PEAK, PatchSamples
from transforms.features.patches import plan_patches
from transforms.features.sample_reader import (
    BLOCK_FRAMES,
    LAST_PACKET,
    SMALL_BLOCK_FRAMES,
    DecodeTally,
    Resampler,
    SpanReader,
    read_straight,
)
from transforms.features.spec import FeatureSpec

if TYPE_CHECKING:
    from transforms.audio.decoders.mpeg_source import MpegSource

_KEPT_S = 1800
"""Seconds of audio that are kept while a track of unknown length is measured. A longer one is decoded twice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioFile:
    """A file and the settings for reading it. `channels` are read instead of all channels.

    With `parameters`, an excerpt is read besides the patches.
    """

    contents: Contents
    kind: AudioKind
    spec: FeatureSpec
    limits: Limits
    channels: ChannelChoice | None = None
    parameters: ParametersSpec | None = None

    @contextlib.contextmanager
    def open(self) -> Iterator[AudioSource]:
        """Opens a decoder at the track's start."""
        with open_source(self.contents.data, self.kind, self.limits, self.contents.links) as source:
            yield source

    def claimed_frames(self, source: AudioSource) -> int | None:
        """Length that the header claims, in source frames; None if it claims none or an impossible one."""
        frames = source.frames
        if frames is None or frames > (self.contents.most_samples or frames):
            return None
        claimed, most = int(frames * self.contents.stretch), int(self.limits.max_duration_s * source.rate_hz)
        if claimed > most and not (self.contents.is_counted or self.has(most)):
            return None
        return claimed

    def has(self, frame: int) -> bool:
        """Whether there is audio at this frame."""
        with self.open() as source:
            try:
                source.seek(frame)
                return len(source.read(1)) > 0
            except TrackError:
                return False

    def by_ffmpeg(self) -> Self:
        """The same track, read by ffmpeg's libraries, which continue after damage that stops libsndfile."""
        return dataclasses.replace(self, kind=dataclasses.replace(self.kind, decoder="av"))

    def tally(self, recorder: ExcerptRecorder | None = None) -> DecodeTally:
        """Counts for one reading of this track."""
        return DecodeTally(weights=self.channels.weights if self.channels else None, recorder=recorder)

    def recorder(self, frames: int, rate_hz: int, channels: int) -> ExcerptRecorder | None:
        """What takes the channels of the excerpt of a track of `frames` source frames; None without parameters."""
        return None if self.parameters is None else ExcerptRecorder(frames, rate_hz, channels, self.parameters)

    def samples(self, frames: int, rate_hz: int) -> int:
        """Converts a length in source frames to samples at the spec's rate. Raises TooShort, TooLong."""
        samples = frames * self.spec.sample_rate // rate_hz
        duration_s = samples / self.spec.sample_rate
        if duration_s < self.spec.min_duration_s:
            raise TooShort(f"{duration_s:.3f} s, at least {self.spec.min_duration_s} s are needed")
        if duration_s > self.limits.max_duration_s:
            raise TooLong(f"{duration_s:.0f} s, the limit is {self.limits.max_duration_s:.0f} s")
        return samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """The result of reading a track. `frames` is the length in source frames that the patches were planned for."""

    gather: PatchSamples
    tally: DecodeTally
    frames: int
    duration_s: float
    rate_hz: int
    channels: int
    notes: tuple[str, ...] = ()
    recorder: ExcerptRecorder | None = None


def _planned(track: AudioFile, frames: int, rate_hz: int) -> tuple[PatchSamples, bool]:
    """Buffers for the patches of a track of `frames` source frames, and whether they cover less than half of it."""
    samples, excerpt = track.samples(frames, rate_hz), None
    if track.parameters is not None:
        excerpt = middle_range(samples, round(track.parameters.excerpt_s * track.spec.sample_rate))
    gather = PatchSamples(plan_patches(samples, track.spec), samples, track.spec, excerpt)
    return gather, 2 * sum(len(buffer.samples) for buffer in gather.buffers) < samples


def _reading(
    source: AudioSource,
    gather: PatchSamples,
    tally: DecodeTally,
    frames: int,
    decoded: int,
    notes: tuple[str, ...],
    recorder: ExcerptRecorder | None,
) -> Reading:
    return Reading(
        gather=gather,
        tally=tally,
        frames=frames,
        duration_s=decoded / source.rate_hz,
        rate_hz=source.rate_hz,
        channels=source.channels,
        notes=notes,
        recorder=recorder,
    )


def read_packets(track: AudioFile) -> Reading | None:
    """Reads a clean MP3 packet by packet, the fastest way. Returns None for any other file, and after any error.

    If the patches cover less than half of the track, they are sought. Of a cut file, libsndfile looks for the end.
    """
    packets = track.contents.packets
    if packets is None or track.channels is not None:
        return None
    gather, is_sparse = _planned(track, packets.frames, packets.head.rate_hz)
    if is_sparse and packets.there < packets.frames:
        return None
    tally = track.tally()
    try:
        with open_packets(track.contents.data, packets, track.limits) as source:
            recorder = track.recorder(packets.frames, source.rate_hz, source.channels)
            source.listener = None if recorder is None else recorder.hear
            if is_sparse:
                reader = SpanReader(gather=gather, frames=packets.frames, tally=tally, spec=track.spec)
                _visit(source, reader, gather.missing())
            else:
                read_straight(source, gather, packets.frames, track.spec, tally)
            if not _is_clean(source, gather, tally):
                return None
            if is_sparse:
                _visit_gaps(track, source, gather, packets.frames, None)  # the source's listener hears all channels
    except DecodeError:
        return None
    decoded = packets.frames if is_sparse else tally.frames
    notes = _notes(packets.frames, decoded, 0, gather)
    return _reading(source, gather, tally, packets.frames, decoded, notes, recorder)


def _is_clean(source: "MpegSource", gather: PatchSamples, tally: DecodeTally) -> bool:
    """Whether nothing speaks against what was read packet by packet.

    A level that no recording has is most likely the noise of a damaged frame, which every decoder makes in its own way.
    """
    if tally.failure is not None or tally.bad or source.energy.choice() is not None:
        return False
    return gather.peak() <= MOST_PEAK


def read_planned(track: AudioFile, source: AudioSource, frames: int) -> Reading:
    """Reads a track of known length: by seeking if the patches cover less than half of it, else sequentially."""
    gather, is_sparse = _planned(track, frames, source.rate_hz)
    seeks = source.can_seek and is_sparse
    recorder = track.recorder(frames, source.rate_hz, source.channels)
    tally = track.tally(recorder)
    if seeks:
        _visit(source, SpanReader(gather=gather, frames=frames, tally=tally, spec=track.spec), gather.missing())
    else:
        read_straight(source, gather, frames, track.spec, tally)
    decoded, lost = frames if seeks else tally.frames, source.lost_packets
    if seeks and tally.failure is None:
        _visit_gaps(track, source, gather, frames, recorder)
    if tally.failure is not None and source.can_seek:
        lost += _visit_afresh(track, gather, frames, tally)
        decoded = frames
    if decoded == frames and gather.lacks_end():
        decoded = _end_of_audio(track, gather, frames, source.rate_hz)
    return _reading(source, gather, tally, frames, decoded, _notes(frames, decoded, lost, gather), recorder)


def _visit_gaps(
    track: AudioFile, source: AudioSource, gather: PatchSamples, frames: int, recorder: ExcerptRecorder | None
) -> None:
    """Reads what the excerpt lacks by seeking, until something fails. Counts and failures are no part of the outcome:
    a track has the same patches with an excerpt and without one.
    """
    runs, tally = gather.missing_gaps(), track.tally(recorder)
    _visit(source, SpanReader(gather=gather, frames=frames, tally=tally, spec=track.spec, of_gaps=True), runs)


def _end_of_audio(track: AudioFile, gather: PatchSamples, frames: int, rate_hz: int) -> int:
    """Length of a cut file in source frames, by bisection from the last frame that was decoded."""
    there, missing = gather.decoded_to() * rate_hz // track.spec.sample_rate, frames
    while missing - there > 1:
        middle = (there + missing) // 2
        there, missing = (middle, missing) if track.has(middle) else (there, middle)
    return missing


def _visit(source: AudioSource, reader: SpanReader, runs: list[tuple[int, int]]) -> None:
    """Reads run after run by seeking, until one fails. Every run that was tried is removed from `runs`."""
    while runs:
        try:
            reader.read(source, runs.pop(0))
        except TrackError as error:
            reader.tally.failure = reader.tally.failure or error
            return


def _visit_afresh(track: AudioFile, gather: PatchSamples, frames: int, tally: DecodeTally) -> int:
    """Reads all incomplete runs by seeking, with a new decoder after each failure. Returns the packets lost."""
    runs, lost = gather.missing(), 0
    reader = SpanReader(gather=gather, frames=frames, tally=tally, spec=track.spec, block_frames=SMALL_BLOCK_FRAMES)
    while runs:
        with track.open() as source:
            _visit(source, reader, runs)
            lost += source.lost_packets
    return lost


def _notes(frames: int, decoded: int, lost: int, gather: PatchSamples) -> tuple[str, ...]:
    notes = []
    if decoded < frames - LAST_PACKET:
        notes.append(f"truncated: {decoded} of {frames} samples")
    elif decoded == frames and gather.missing():
        notes.append("truncated: not all that was sought is there")
    if lost:
        notes.append(f"lost_packets: {lost}")
    return tuple(notes)


def read_measured(track: AudioFile, source: AudioSource) -> Reading:
    """Reads a track whose length is known only after decoding. `source` must be at its start."""
    tally, kept = _measure(track, source)
    if not tally.frames:
        raise tally.failure or NoFrames("the file decodes to nothing")
    gather, _ = _planned(track, tally.frames, source.rate_hz)
    if kept is not None:
        gather.add(kept)
    else:
        with track.open() as again:
            read_straight(again, gather, tally.frames, track.spec, track.tally())
    notes = () if track.contents.shows_end else (UNVERIFIED,)
    if source.lost_packets:
        notes = (*notes, f"lost_packets: {source.lost_packets}")
    recorder = track.recorder(tally.frames, source.rate_hz, source.channels)
    if recorder is not None:
        hear_again(track, recorder, recorder.last_frame)
    return _reading(source, gather, tally, tally.frames, tally.frames, notes, recorder)


def hear_again(track: AudioFile, recorder: ExcerptRecorder, last: int | None = None) -> None:
    """Decodes a track from its start for its recorder alone, to source frame `last` or to the end or a failure."""
    tally = track.tally(recorder)
    with contextlib.suppress(TrackError), track.open() as source:
        while (last is None or tally.frames < last) and len(block := source.read(BLOCK_FRAMES)):
            tally.mono(block)


def _measure(track: AudioFile, source: AudioSource) -> tuple[DecodeTally, Float32 | None]:
    """Decodes to the end. Returns the tally, and the resampled track unless it is too long to keep."""
    tally, resampler = track.tally(), Resampler(source.rate_hz, track.spec.sample_rate)
    kept: list[Float32] = []
    most = track.limits.max_duration_s * source.rate_hz
    while tally.frames <= most:
        try:
            block = source.read(BLOCK_FRAMES)
        except TrackError as error:
            tally.failure = error
            break
        if not len(block):
            break
        samples = resampler.push(tally.mono(block))
        if tally.frames <= _KEPT_S * source.rate_hz:
            kept.append(samples.copy())
    if tally.frames > _KEPT_S * source.rate_hz:
        return tally, None
    kept.append(resampler.push(np.empty(0, np.float32), last=True))
    return tally, np.concatenate(kept)
