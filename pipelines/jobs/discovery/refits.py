"""Whether a job starts from the earlier index of a snapshot: its space and cells are kept while few tracks changed."""

import dataclasses
from typing import Any

from transforms import storage
from transforms.discovery.index.manifest import read_index_manifest
from transforms.discovery.similarity import SimilaritySpec
from transforms.table.neighbours import tracks_of
from transforms.table.snapshots import Run, Snapshot

REFIT_SHARE = 0.2
"""New cells are fitted if more than this share of the tracks changed since the cells were fitted."""


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a job starts.

    Attributes:
      index: path of the manifest of the earlier index.
      fitted: what its model was fitted to.
    """

    index: str
    fitted: dict[str, Any]


def kept_start(root: str, run: Run, spec: SimilaritySpec, settings: dict[str, Any]) -> Start | None:
    """The earlier index from which a job starts; None if everything is to be computed.

    The snapshot must have the index, with the same settings and similarity, and the tagger and taxonomy of the
    embedding must be those that its model was fitted to. The tracks that changed since, divided by the tracks that it
    was fitted to, must be at most `REFIT_SHARE`. Earlier runs of `neighbours` counted those that changed until the last
    of them. Of the time since then, the runs of `tag` know how many tracks they tagged and removed, and how many tracks
    have the embedding.

    Args:
      root: folder or gs:// prefix of the table.
      run: that of the snapshot.
      spec: what similarity means.
      settings: of the command.

    Raises:
      TableError: the manifest of the index is damaged.
    """
    record = run.neighbours
    if not record or not record["index"] or not _same(record["settings"], settings):
        return None
    own = next((one for one in record["sets"] if one["embedding_id"] == spec.embedding_id), None)
    if own is None or own["similarity"] != dataclasses.asdict(spec):
        return None
    fitted = own["fitted"]
    if (fitted["tagger_id"], fitted["taxonomy_id"]) != _taggers(run, spec.embedding_id):
        return None
    growth = abs(tracks_of(run, spec.embedding_id) - own["tracks"])
    is_own = spec.embedding_id == run.ids.embedding_id
    since = max(growth, record["analysed"] + record["removed"]) if is_own else growth
    if fitted["changed"] + since > REFIT_SHARE * fitted["tracks"]:
        return None
    try:
        read_index_manifest(root, record["index"])
    except storage.NotFound:  # a rollback can name an index that `gc` has removed
        return None
    return Start(record["index"], fitted)


def _same(settings: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether both are equal but for the embeddings, which are compared one by one."""
    names = ("version", "neighbours", "probes")
    return all(settings.get(name) == others.get(name) for name in names)


def fit_record(snapshot: Snapshot, embedding_id: str) -> dict[str, Any]:
    """What a new model says that it was fitted to."""
    run = snapshot.run
    tagger_id, taxonomy_id = _taggers(run, embedding_id)
    ids = {"tagger_id": tagger_id, "taxonomy_id": taxonomy_id}
    return {"snapshot": snapshot.number, **ids, "tracks": tracks_of(run, embedding_id), "changed": 0}


def _taggers(run: Run, embedding_id: str) -> tuple[str, str]:
    """Ids of the tagger of most tracks with an embedding, and of the taxonomy of the snapshot."""
    others = (one.ids.tagger_id for one in run.earlier if one.ids.embedding_id == embedding_id)
    own = run.ids.tagger_id if embedding_id == run.ids.embedding_id else next(others, "")
    return own, run.ids.taxonomy_id
