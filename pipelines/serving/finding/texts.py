"""Words in titles and artists: the texts of a bucket are indexed once, and the index stays in the cache."""

from pipelines.serving.rows import KeptReader
from transforms.discovery.search.texts import TEXT_COLUMNS, TextIndex, joined_texts
from transforms.table.reader import SnapshotReader


def text_index(snapshot: KeptReader, bucket: int) -> TextIndex:
    """The index of the titles and artists of a bucket's tracks. The columns themselves are not kept."""
    key = ("texts", bucket, *snapshot.manifest.content("tracks", bucket))

    def make() -> TextIndex:
        columns = [name for name in TEXT_COLUMNS if name in snapshot.schema("tracks").names]
        return TextIndex.of(joined_texts(SnapshotReader.scan(snapshot, "tracks", columns, bucket=bucket)))

    return snapshot.kept.get(key, make, lambda found: found.nbytes)
