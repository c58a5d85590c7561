"""Tags of artists and albums, written as `tag` writes them, but without Beam."""

from collections.abc import Iterable

from transforms.aggregates.files import pieces_of_bucket, write_groups
from transforms.aggregates.pieces import split_pieces, tag_keys, with_numbers
from transforms.schemas.tables import GROUPED_BY
from transforms.table.snapshots import DataFile
from transforms.tagging.assembly import PublishedRows, ScoredTracks
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import Tagger


def group_files(
    known: PriorOutcomes,
    scored: Iterable[ScoredTracks],
    tagger: Tagger,
    publication: PublishedRows,
    run_id: str,
    buckets: int,
) -> list[DataFile]:
    """Writes the files of the tracks of all buckets."""
    streams = {}
    for own in scored:
        for name, pieces in pieces_of_bucket(own, tagger.taxonomy).items():
            for bucket, stream in split_pieces(with_numbers(pieces, buckets)):
                streams.setdefault(bucket, {name: [] for name in GROUPED_BY})[name].append(stream)
    tags = tag_keys(tagger.taxonomy)
    return [
        file
        for bucket, found in sorted(streams.items())
        for file in write_groups(known, bucket, found, tags, publication, run_id)
    ]
