"""Lets a network hear the beats of extracted tracks, and puts its answers among their parameters."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from transforms.features.rhythm.beats import HeardRhythm, with_heard
from transforms.telemetry.counters import BEAT_METRES, BEAT_TEMPI, BEAT_TRACKS, EXTRACT_CORE
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.work import Work

if TYPE_CHECKING:  # it reads storage, which decoding processes do not
    from transforms.extraction.chunk_extractor import ExtractedTrack


class BeatListener(Protocol):
    """A network of beats. What it says about a track does not depend on the other tracks."""

    def hear(self, excerpts: Sequence[np.ndarray]) -> list[HeardRhythm | None]:
        """Tempo and metre of excerpts, float16 [frames, mels] each; None where there is no regular beat."""
        ...


def with_beats(tracks: "Sequence[ExtractedTrack]", network: BeatListener, work: Work) -> "list[ExtractedTrack]":
    """The tracks with what the network hears, and without its input. Its processor time counts as extraction."""
    asked = [excerpt for excerpt in map(excerpt_of, tracks) if excerpt is not None]
    with CoreTime() as core:
        answers = network.hear(asked) if asked else []
    heard = iter(answers)
    told = [_told(track, heard) for track in tracks]
    work.add_all(
        {
            BEAT_TRACKS: len(asked),
            BEAT_TEMPI: sum(one is not None for one in answers),
            BEAT_METRES: sum(one is not None and one.signature is not None for one in answers),
            EXTRACT_CORE: core.microseconds,
        }
    )
    return told


def excerpt_of(track: "ExtractedTrack") -> np.ndarray | None:
    """What the network gets of a track; None if there is nothing to hear."""
    return None if track.features is None else track.features.beat_mels


def _told(track: "ExtractedTrack", heard: Iterator[HeardRhythm | None]) -> "ExtractedTrack":
    features = track.features
    if features is None or features.beat_mels is None:
        return track
    answer = next(heard)
    parameters = None if features.parameters is None else with_heard(features.parameters, answer)
    return dataclasses.replace(track, features=dataclasses.replace(features, parameters=parameters, beat_mels=None))
