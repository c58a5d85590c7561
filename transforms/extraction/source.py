"""What is extracted: a track's source, and chunks of them."""

import dataclasses

CHUNK_TRACKS = 64
"""Most tracks of a chunk: the unit of work and of retry."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One track to be read: its key, where its audio is, and which version of it was planned.

    Attributes:
      retried: the last snapshot holds it as one that could not be read.
      history: `detail` of earlier runs in which the machine ended its decoding process; empty if there are none.
      known_sha256: SHA-256 of the bytes whose outcome is known and is kept; empty if none is.
      lacks_parameters: whether the outcome that is known lacks the parameters of the run: they are measured, and the
        embedding is kept.
      keeps_outcome: whether the track keeps its outcome of the last snapshot if this extraction fails.
    """

    track_id: str
    uri: str
    source_version: str
    retried: bool = False
    history: str = ""
    known_sha256: str = ""
    lacks_parameters: bool = False
    keeps_outcome: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """A group of tracks of one bucket, in hash order."""

    bucket: int
    tracks: tuple[Source, ...]
