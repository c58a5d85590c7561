"""The child process that tries a network of beats within limits, and answers with one JSON object.

Arguments: the declaration as JSON, and the bytes of address space. The network is on stdin.
"""

import functools
import json
import sys
from typing import Any

import numpy as np

from models.beats.network import BeatNetwork, Ends
from models.beats.patterns import PATTERN_BPM, RATE_HZ, drum_pattern, noise
from models.bundles.trunk_bundle import BundleError
from models.trunks.onnx_child import answer_within
from models.trunks.onnx_trunk import told
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.beat_mels import beat_mels
from transforms.features.rhythm.beats import SAME_TEMPO, HeardRhythm, decode

LOGIT_TOLERANCE = 1e-3
"""Largest change of a logit with the other chunks of its batch."""

MOST_BATCH = 64
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")
_NOISE_S = 31.0


def beats_heard(onnx: bytes, given: BeatInput, ends: Ends) -> dict[str, Any]:
    """What running a network shows: its batch, and on how many patterns of drums it is right.

    Raises:
      BundleError: its ends or its values are not those of a network of beats. The message has the difference.
    """
    network = BeatNetwork(onnx, given, ends)
    batch = _checked_batch(network, given, ends)
    network = BeatNetwork(onnx, given, ends, batch)
    excerpts = _excerpts(given)
    try:
        logits = network.logits(excerpts)
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(f"the network fails on a chunk of {given.chunk_frames} frames: {told(error)}") from error
    _check_values(logits, given)
    if batch > 1:
        _check_alone(network, excerpts, logits)
    heard = [decode(beat, downbeat, given) for beat, downbeat in logits]
    right = [_is_right(one, bpm) for one, bpm in zip(heard[1:], PATTERN_BPM, strict=True)]
    if not any(right):
        raise BundleError(_nothing_heard(logits[1:]))
    metres = sum(one is not None and one.signature == (4, 4) for one in heard[1:])
    facts = {"patterns": len(PATTERN_BPM), "right_tempi": sum(right), "right_metres": metres}
    return {"batch": batch, **facts, "hears_noise": heard[0] is not None}


@functools.lru_cache(maxsize=1)
def _excerpts(given: BeatInput) -> list[np.ndarray]:
    """The network's input for noise and for each pattern, float16 [frames, mels] each."""
    sounds = [noise(_NOISE_S), *map(drum_pattern, PATTERN_BPM)]
    return [mels for sound in sounds if (mels := beat_mels(sound[:, None], RATE_HZ, given)) is not None]


def _checked_batch(network: BeatNetwork, given: BeatInput, ends: Ends) -> int:
    kinds = network.kinds
    if kinds[ends.input] != "tensor(float)":
        raise BundleError(f"the input {ends.input!r:.60} is {kinds[ends.input]}: tensor(float) is needed")
    for name in ends[1:]:
        if kinds[name] not in _FLOATS:
            raise BundleError(f"the output {name!r:.60} is {kinds[name]}: floating-point logits are needed")
    shape = network.shape
    wanted = (given.chunk_frames, given.n_mels)
    fits = len(shape) == 3 and all(
        not isinstance(size, int) or size == own for size, own in zip(shape[1:], wanted, strict=True)
    )
    if not fits:
        raise BundleError(
            f"the input {ends.input!r:.60} has shape {list(shape)}, but [n, {wanted[0]}, {wanted[1]}] is declared: "
            "give the network's chunk_frames and n_mels in --spec"
        )
    batch = shape[0] if isinstance(shape[0], int) else 1
    if not 1 <= batch <= MOST_BATCH:
        raise BundleError(
            f"the network takes {batch} chunks at once: export it for 1 to {MOST_BATCH}, or for any number"
        )
    return int(batch)


def _check_values(logits: list[tuple[np.ndarray, np.ndarray]], given: BeatInput) -> None:
    for name in range(2):
        values = np.concatenate([one[name] for one in logits])
        if not np.isfinite(values).all():
            raise BundleError(
                "the network's output for noise and drums is not finite: check its weights and its export"
            )
        if name == 0 and values.max() == values.min():
            raise BundleError(f"the network's logits of beats are all {values[0]:.4g}: check its export")


def _check_alone(network: BeatNetwork, excerpts: list[np.ndarray], logits: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for excerpt, together in zip(excerpts, logits, strict=True):
        (alone,) = network.logits([excerpt])
        change = max(float(np.abs(one - other).max()) for one, other in zip(alone, together, strict=True))
        if change > LOGIT_TOLERANCE:
            raise BundleError(
                f"a logit changes by {change:.3g} with the other chunks of its batch: export the network for "
                "inference, with fixed statistics of its normalisations"
            )


def _is_right(heard: HeardRhythm | None, bpm: float) -> bool:
    """Whether the tempo is right, or half or twice the right one."""
    return heard is not None and any(abs(heard.tempo_bpm / (bpm * octave) - 1) <= SAME_TEMPO for octave in (0.5, 1, 2))


def _nothing_heard(logits: list[tuple[np.ndarray, np.ndarray]]) -> str:
    highest = max(float(beat.max()) for beat, _ in logits)
    return (
        f"the network hears the tempo of none of {len(PATTERN_BPM)} patterns of drums at {PATTERN_BPM[0]:g} to "
        f"{PATTERN_BPM[-1]:g} bpm; "
        f"its highest logit of a beat is {highest:.3g}: check that --spec declares the input that it was trained on"
    )


def _main(declared: str, memory: str) -> None:
    obj = json.loads(declared)
    given, ends = BeatInput.from_json(obj["input"]), Ends(*obj["ends"])
    answer_within(memory, lambda onnx: beats_heard(onnx, given, ends))


if __name__ == "__main__":
    _main(*sys.argv[1:])
