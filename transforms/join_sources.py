"""JoinSources: reads the sources of a fused run, and joins what they say to the catalog rows of each bucket."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import CatalogError, Problem
from transforms.formats.arrow import concat, from_ipc, group_numbers, numbered_parts, to_ipc
from transforms.fusion.joining import join_bucket, key_pairs, spread_statements
from transforms.fusion.settings import Fusion
from transforms.fusion.source_files import SUBJECT_KEYS, SourceShard, read_statements
from transforms.fusion.tally import RowTally, add_tallies


class JoinedSources(NamedTuple):
    """Output of `JoinSources`.

    Attributes:
      rows: (bucket, Arrow IPC of its catalog rows with the columns `SAID` and `SAID_ID`).
      tally: what became of the rows of all sources, as one element.
      digest: digest of what the run records about the sources, which is part of its id.
      problems: files of sources that cannot be read.
    """

    rows: beam.PCollection[tuple[int, bytes]]
    tally: beam.PCollection[RowTally]
    digest: beam.PCollection[str]
    problems: beam.PCollection[Problem]


class JoinSources(beam.PTransform[beam.PCollection[tuple[int, bytes]], JoinedSources]):
    """Takes (bucket, Arrow IPC of its catalog rows sorted by track_id), returns `JoinedSources`.

    Rows of sources are shuffled by bucket. Rows about artists or albums are first shuffled by artist or album, together
    with the ids of their tracks.
    """

    def __init__(self, fusion: Fusion, buckets: int) -> None:
        super().__init__()
        self._fusion, self._buckets = fusion, buckets

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, rows: beam.PCollection[tuple[int, bytes]]) -> JoinedSources:
        """Shuffles the rows of the sources once, or twice if they are about artists or albums."""
        fusion, buckets = self._fusion, self._buckets
        shards = rows.pipeline | "ListSources" >> beam.Create(list(fusion.shards)) | "SpreadSources" >> beam.Reshuffle()
        outputs = beam.FlatMap(_read, fusion, buckets).with_outputs("tally", "problems", *SUBJECT_KEYS[1:], main="said")
        read = shards | "ReadSources" >> outputs
        tallies = [read.tally]
        about = [read.said]
        for key in fusion.group_keys:
            pairs = rows | f"PairTracks-{key}" >> beam.FlatMap(_pairs, key, buckets)
            together = {"said": read[key], "pairs": pairs} | f"GroupBy-{key}" >> beam.CoGroupByKey()
            spreading = beam.FlatMap(_spread, key, buckets).with_outputs("tally", main="spread")
            found = together | f"GiveTracks-{key}" >> spreading
            about.append(found.spread)
            tallies.append(found.tally)
        groups = {"rows": rows, **{str(place): said for place, said in enumerate(about)}}
        joining = beam.FlatMap(_join, fusion).with_outputs("tally", main="rows")
        joined = groups | "GroupSaid" >> beam.CoGroupByKey() | "JoinSaid" >> joining
        tally = (
            (*tallies, joined.tally)
            | "GatherTallies" >> beam.Flatten()
            | "AddTallies" >> beam.CombineGlobally(add_tallies)
        )
        digest = tally | "DigestTally" >> beam.Map(fusion.record_digest)
        return JoinedSources(joined.rows, tally, digest, read.problems)


def _read(shard: SourceShard, fusion: Fusion, buckets: int) -> Iterator[Any]:
    try:
        for said, tally in read_statements(shard, fusion.policy, fusion.taxonomy):
            yield beam.pvalue.TaggedOutput("tally", tally)
            for part in numbered_parts(said, group_numbers(said["key"].to_pylist(), buckets)):
                yield part if shard.key == SUBJECT_KEYS[0] else beam.pvalue.TaggedOutput(shard.key, part)
    except CatalogError as error:
        yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in error.problems)


def _pairs(item: tuple[int, bytes], key: str, buckets: int) -> Iterator[tuple[int, bytes]]:
    pairs = key_pairs(from_ipc(item[1]), key)
    return numbered_parts(pairs, group_numbers(pairs[key].to_pylist(), buckets))


def _spread(item: tuple[int, dict[str, Any]], key: str, buckets: int) -> Iterator[Any]:
    said, pairs = (concat(list(item[1][name])) if item[1][name] else None for name in ("said", "pairs"))
    found, tally = spread_statements(key, said, pairs, buckets)
    yield beam.pvalue.TaggedOutput("tally", tally)
    yield from numbered_parts(found.drop_columns("bucket"), found["bucket"].to_numpy())


def _join(item: tuple[int, dict[str, Any]], fusion: Fusion) -> Iterator[Any]:
    bucket, group = item
    of_tracks, *of_groups = (_tables(group[str(place)]) for place in range(len(group) - 1))
    further = [table for tables in of_groups for table in tables]
    for data in group["rows"] or [None]:
        rows = None if data is None else from_ipc(data)
        joined, tally = join_bucket(rows, of_tracks, further, fusion.policy, fusion.taxonomy)
        yield beam.pvalue.TaggedOutput("tally", tally)
        if joined is not None:
            yield bucket, to_ipc(joined)


def _tables(streams: Any) -> list[pa.Table]:
    return [from_ipc(stream) for stream in streams]
