"""Tracks of an unfinished chunk whose decoding process the machine ended: written for the next run of `prepare`."""

import dataclasses
import json

from transforms import storage
from transforms.dataset.plan import ChunkReport, LabelledChunk
from transforms.dataset.shards import WORK_FOLDER
from transforms.extraction.kill_history import KILLED
from transforms.extraction.source import Chunk, Source
from transforms.formats.hashing import json_bytes


def sources_of(chunk: LabelledChunk, fingerprint: str, dataset: str) -> Chunk:
    """The sources of a chunk, each with its history."""
    told = _read(_url(fingerprint, dataset))
    return Chunk(bucket=0, tracks=tuple(_with_history(track.source, told) for track in chunk.tracks))


def note_killed(report: ChunkReport, dataset: str) -> None:
    """Writes the histories of the tracks that the next run tries again. Without such tracks, nothing is written."""
    told = {
        outcome.track_id: outcome.detail
        for outcome in report.outcomes
        if outcome.detail is not None and outcome.detail.startswith(KILLED)
    }
    if told:
        storage.write_bytes(_url(report.fingerprint, dataset), json_bytes(told))


def _with_history(source: Source, told: dict[str, str]) -> Source:
    history = told.get(source.track_id, "")
    return dataclasses.replace(source, history=history) if isinstance(history, str) else source


def _url(fingerprint: str, dataset: str) -> str:
    return storage.join(dataset, WORK_FOLDER, f"{fingerprint}-killed.json")


def _read(url: str) -> dict[str, str]:
    """The histories by track_id; none if the file is missing or damaged."""
    try:
        told = json.loads(storage.read_bytes(url))
    except (storage.StorageError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
