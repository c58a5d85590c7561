"""Words in titles and artists: the texts of a bucket are indexed once, and the index stays in the cache."""

import numpy as np
import pyarrow as pa

from pipelines.serving.filters import Conditions, listed_condition
from pipelines.serving.finding.deadlines import Deadline
from pipelines.serving.rows import KeptReader
from pipelines.serving.snapshots import OpenSnapshot
from transforms.discovery.search.texts import TEXT_COLUMNS, TextIndex, joined_texts, text_words
from transforms.table.reader import SnapshotReader


def text_index(snapshot: KeptReader, bucket: int) -> TextIndex:
    """The index of the titles and artists of a bucket's tracks. The columns themselves are not kept."""
    key = ("texts", bucket, *snapshot.manifest.content("tracks", bucket))

    def make() -> TextIndex:
        columns = [name for name in TEXT_COLUMNS if name in snapshot.schema("tracks").names]
        return TextIndex.of(joined_texts(SnapshotReader.scan(snapshot, "tracks", columns, bucket=bucket)))

    return snapshot.kept.get(key, make, lambda found: found.nbytes)


def text_conditions(opened: OpenSnapshot, text: str | None) -> Conditions:
    """Tracks whose title and artist have all words of a text, as `search --text` finds them; None or spaces: all.

    Raises:
      DiscoveryError: the text has no letters or digits.
      Problem: the time is over.
    """
    if text is None or not text.strip():
        return []
    words, deadline, found = text_words(text), Deadline(opened.query_s), []
    for bucket in range(opened.reader.buckets):
        deadline.check()
        mask = text_index(opened.reader, bucket).mask(words)
        if mask.any():
            found.append(opened.reader.bucket_ids(bucket).take(pa.array(np.flatnonzero(mask))))
    return [listed_condition("track_id", pa.chunked_array(found, pa.string()))]
