"""Similar tracks among those of an export."""

from collections.abc import Sequence

from pipelines.serving.finding.searching import space_of
from pipelines.serving.routes.discovery import titled
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.discovery.exact import nearest_of
from transforms.discovery.similarity import shown_similarities
from transforms.discovery.vectors import track_vectors

MOST_SEARCHED = 20_000
"""Most tracks that are compared with one another: the time grows with the square of their number."""

SHOWN = 8


def similar_among(opened: OpenSnapshot, track_ids: Sequence[str]) -> dict[str, list[JsonRow]]:
    """Track id -> the most similar ones of the tracks, with titles, by an exact search. Embeddings that are not
    comparable are not compared.
    """
    titles = titled(opened, list(track_ids))
    found: dict[str, list[JsonRow]] = {track: [] for track in track_ids}
    for embedding_id in opened.reader.manifest.run.embedding_ids:
        ids, vectors = track_vectors(opened.reader, space_of(opened, embedding_id), sorted(track_ids))
        for track, near in zip(ids.to_pylist(), nearest_of([(ids, vectors)], vectors, SHOWN + 1), strict=True):
            values = shown_similarities(near.similarities)
            pairs = [one for one in zip(near.track_ids, values, strict=True) if one[0] != track][:SHOWN]
            found[track] = [titles[other] | {"similarity": float(str(value))} for other, value in pairs]
    return found
