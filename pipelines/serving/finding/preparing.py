"""What requests need of a snapshot, read before they get it, so that none of them waits for it.

What is read stays in the cache under digests of rows: what did not change since the snapshot before is there already,
and is not read again. At most half of the cache is filled, so that the rest is left to the snapshot that is served
meanwhile.
"""

import functools
from collections.abc import Callable, Iterator

from pipelines.serving.finding.scores import all_tags, kept_scores, scores_fit
from pipelines.serving.finding.searching import index_of
from pipelines.serving.finding.texts import text_index
from pipelines.serving.finding.track_tags import kept_tags
from pipelines.serving.snapshots import OpenSnapshot
from pipelines.serving.vocabulary import tag_ids_with_narrower, tag_names


def prepare_snapshot(opened: OpenSnapshot, check: Callable[[], None]) -> None:
    """Reads the taxonomy, opens the search index, and reads scores, tags, texts and rows, bucket by bucket, until half
    of the cache has them.

    Args:
      opened: the snapshot.
      check: called before each part; it may wait, and what it raises ends the preparation.

    Raises:
      Problem, StorageError, TableError: the snapshot cannot be read.
    """
    left = opened.reader.kept.most // 2
    for part in _parts(opened):
        check()
        left -= part()
        if left < 0:
            return


def _parts(opened: OpenSnapshot) -> Iterator[Callable[[], int]]:
    """The parts of the work; each returns the bytes that stay in the cache."""
    has_scores = scores_fit(opened)
    yield functools.partial(_open, opened)
    for bucket in range(opened.reader.buckets):
        if has_scores:
            yield functools.partial(_scores, opened, bucket)
            yield functools.partial(_tags, opened, bucket)
        yield functools.partial(_texts, opened, bucket)
        yield functools.partial(_rows, opened, bucket)


def _open(opened: OpenSnapshot) -> int:
    """Reads the names of tags, and opens the search index: what it keeps is not in the cache."""
    tag_names(opened)
    tag_ids_with_narrower(opened)
    for name in opened.reader.manifest.run.embedding_ids:
        index_of(opened, name)
    return 0


def _scores(opened: OpenSnapshot, bucket: int) -> int:
    return kept_scores(opened.reader, bucket, list(all_tags(opened))).nbytes


def _tags(opened: OpenSnapshot, bucket: int) -> int:
    return kept_tags(opened, bucket).nbytes


def _texts(opened: OpenSnapshot, bucket: int) -> int:
    return text_index(opened.reader, bucket).nbytes


def _rows(opened: OpenSnapshot, bucket: int) -> int:
    return opened.reader.bucket_rows("tracks", bucket).nbytes
