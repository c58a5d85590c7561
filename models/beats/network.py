"""Runs a beat-tracking network on excerpts: chunks of frames in, logits of beats and downbeats out."""

import concurrent.futures
import functools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models.bundles.trunk_bundle import BundleError
from models.trunks.onnx_trunk import OnnxNetwork
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.beats import HeardRhythm, decode
from transforms.telemetry.cpu import counted_here


class Ends(NamedTuple):
    """Names of the network's input and of its two outputs."""

    input: str = "spect"
    beat: str = "beat"
    downbeat: str = "downbeat"


class _Piece(NamedTuple):
    """A chunk of a track: its frames with borders. Its output counts from frame `first` of the track on."""

    track: int
    start: int
    first: int
    frames: np.ndarray


class _BeatRunner(OnnxNetwork):
    what, rows = "network of beats", "chunks"


class BeatNetwork:
    """A network that ONNX Runtime runs on the processor. Equal excerpts give equal bits, whatever shares their batch.

    Chunks of one length go through the network `batch` at a time, padded with zeros. An excerpt shorter than a chunk
    keeps its length, unless the file has a fixed one.

    Args:
      onnx: bytes of the file.
      given: what the network takes.
      ends: names of its input and outputs.
      batch: chunks that go through it at once.
      parallel: batches that are computed at the same time. The bits do not depend on it.

    Raises:
      BundleError: ONNX Runtime is not installed or cannot run this file, or it has no ends of these names.
    """

    def __init__(self, onnx: bytes, given: BeatInput, ends: Ends, batch: int = 1, *, parallel: int = 1) -> None:
        self._session, self._given, self._ends, self._batch = _BeatRunner(onnx), given, ends, batch
        self._check_names()
        self.shape = tuple(next(one.shape for one in self._session.inputs if one.name == ends.input))
        self._is_fixed = len(self.shape) == 3 and isinstance(self.shape[1], int)
        self._threads = concurrent.futures.ThreadPoolExecutor(parallel, thread_name_prefix="beats")

    def _check_names(self) -> None:
        for kind, has, wanted in (
            ("input", self._session.inputs, (self._ends.input,)),
            ("output", self._session.outputs, (self._ends.beat, self._ends.downbeat)),
        ):
            names = [one.name for one in has]
            for name in wanted:
                if name not in names:
                    raise BundleError(
                        f"the network has no {kind} {name!r:.60}, but {', '.join(names)[:300]}: name it in --spec"
                    )
        if extra := [one.name for one in self._session.inputs if one.name != self._ends.input]:
            raise BundleError(f"the network has further inputs, {', '.join(extra)[:300]}: it must have one")

    @property
    def kinds(self) -> dict[str, str]:
        """Name of each end -> its type, as ONNX Runtime writes it: `tensor(float)`."""
        ends = (*self._session.inputs, *self._session.outputs)
        return {one.name: one.type for one in ends if one.name in self._ends}

    def hear(self, excerpts: Sequence[np.ndarray]) -> list[HeardRhythm | None]:
        """Tempo and metre of excerpts, float16 [frames, mels] each; None where the network hears no regular beat."""
        return [decode(beat, downbeat, self._given) for beat, downbeat in self.logits(excerpts)]

    def logits(self, excerpts: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Logits of beats and of downbeats, float32 [frames] each, of excerpts, float16 [frames, mels] each."""
        found = [(np.empty(len(one), np.float32), np.empty(len(one), np.float32)) for one in excerpts]
        by_length: defaultdict[int, list[_Piece]] = defaultdict(list)
        for track, excerpt in enumerate(excerpts):
            for piece in self._pieces(track, excerpt):
                by_length[len(piece.frames)].append(piece)
        run = counted_here(functools.partial(self._run, found))
        groups = [some[at : at + self._batch] for some in by_length.values() for at in range(0, len(some), self._batch)]
        for done in [self._threads.submit(run, group) for group in groups]:
            done.result()
        return found

    def _pieces(self, track: int, excerpt: np.ndarray) -> Iterator[_Piece]:
        """Chunks whose kept parts cover the excerpt. The last one begins earlier, so that it is whole, too."""
        given, count = self._given, len(excerpt)
        kept = min(count, given.kept_frames)
        for first in range(0, count, kept):
            start = min(first, count - kept)
            size = given.chunk_frames if self._is_fixed else kept + 2 * given.border_frames
            frames = np.zeros((size, given.n_mels), np.float32)
            low, high = max(0, start - given.border_frames), min(count, start + kept + given.border_frames)
            to = given.border_frames - (start - low)
            frames[to : to + high - low] = excerpt[low:high]
            yield _Piece(track, start, first, frames)

    def _run(self, found: list[tuple[np.ndarray, np.ndarray]], pieces: Sequence[_Piece]) -> None:
        batch = np.zeros((self._batch, *pieces[0].frames.shape), np.float32)
        for place, piece in enumerate(pieces):
            batch[place] = piece.frames
        outputs = self._session.run({self._ends.input: batch}, self._ends[1:])
        given = self._given
        for place, piece in enumerate(pieces):
            for values, whole in zip(outputs, found[piece.track], strict=True):
                own = _frames_of(values, batch.shape[:2])[place]
                end = min(len(whole), piece.start + given.kept_frames)
                move = given.border_frames - piece.start
                whole[piece.first : end] = own[piece.first + move : end + move]


def _frames_of(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An output as float32 [n, frames]; exporters may leave a last axis of 1.

    Raises:
      BundleError: it has another shape.
    """
    if values.shape not in (shape, (*shape, 1)):
        raise BundleError(
            f"an output for {shape[0]} chunks of {shape[1]} frames has shape {values.shape}: a network of beats must "
            f"return {shape}"
        )
    return values.reshape(shape).astype(np.float32, copy=False)
