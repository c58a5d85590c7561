"""Assembles the tables of one bucket from its catalog rows, the outcomes of its tracks and a tagger."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.fusion.policy import Policy
from transforms.fusion.pooling import MODEL, ORIGINS, FusedScores, fuse
from transforms.schemas.catalog import FILE, ROW
from transforms.schemas.fusion import EXPERTS_TYPE, FUSED_COLUMNS, SAID, SAID_ID
from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.schemas.rule_columns import RULE_SOURCES
from transforms.schemas.tables import EMBEDDINGS, FACT_NAMES, LEDGER, TAG_SCORE, TRACK_TAGS, TRACKS
from transforms.table.snapshots import DEFERRED
from transforms.tagging.tagger import Tagger
from transforms.taxonomy.derived_tags import DerivedTags, derived_tags
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import RULE

METADATA = ("artist_id", "album_id", "title", "artist", "year", "country", "language")
NOT_PUBLISHED = frozenset({"track_id", "uri", "source_version", "tags", FILE, ROW, SAID, SAID_ID})


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedRows:
    """Which rows of `track_tags` are published; recorded in the run and in the snapshot.

    Attributes:
      min_score: lowest score of a published row; 0 publishes all.
      top_k: largest number of rows per track and category; None publishes all.
    """

    min_score: float = 0.0
    top_k: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score={self.min_score} is not between 0 and 1")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k={self.top_k} is not positive")

    def to_json(self) -> dict[str, Any]:
        """The options as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, obj: Mapping[str, float | None]) -> Self:
        """The options that `to_json` returned."""
        top_k = obj.get("top_k")
        return cls(min_score=obj.get("min_score") or 0.0, top_k=None if top_k is None else int(top_k))

    def keeps(self, scores: np.ndarray, ranks: np.ndarray) -> npt.NDArray[np.bool_]:
        """Which rows with these scores and ranks are published; all arrays have one shape."""
        keep: npt.NDArray[np.bool_] = scores >= self.min_score
        return keep if self.top_k is None else keep & (ranks <= self.top_k)


class ScoredTracks(NamedTuple):
    """The tracks of a bucket that have an embedding, in the order of the catalog rows.

    Attributes:
      rows: their catalog rows.
      outcomes: their outcomes.
      scores: float64 [tracks, tags], multiples of 0.0001; in a fused run, combined with what sources say.
      positives: bool [tracks, tags].
      model_scores: the scores of the model.
      fused: how they were combined; None in a run without sources.
    """

    rows: pa.Table
    outcomes: pa.Table
    scores: npt.NDArray[np.float64]
    positives: npt.NDArray[np.bool_]
    model_scores: npt.NDArray[np.float64]
    fused: FusedScores | None = None


def score_bucket(rows: pa.Table, outcomes: pa.Table, tagger: Tagger, policy: Policy | None = None) -> ScoredTracks:
    """Scores the tracks of a bucket, see `assemble_bucket`. With a policy, the rows say what sources say."""
    embedded = pc.is_valid(outcomes["embedding"])
    kept_rows, kept = rows.filter(embedded), outcomes.filter(embedded)
    own = np.round(_score(kept["embedding"], tagger), 4)
    fused = None if policy is None else fuse(own, kept_rows, policy, tagger.taxonomy)
    scores = own if fused is None else fused.scores
    return ScoredTracks(kept_rows, kept, scores, tagger.positives(scores), own, fused)


def assemble_bucket(
    rows: pa.Table,
    outcomes: pa.Table,
    duplicates: dict[str, str],
    tagger: Tagger,
    run_id: str,
    publication: PublishedRows,
    scored: ScoredTracks | None = None,
    policy: Policy | None = None,
    *,
    parameters: bool = False,
) -> dict[str, pa.Table]:
    """Returns `tracks`, `track_tags`, `embeddings` and `ledger` of one bucket.

    Args:
      rows: catalog rows sorted by track_id, one per id.
      outcomes: one outcome per row, in the same order.
      duplicates: track_id -> smallest id among the tracks with the same bytes.
      scored: what `score_bucket` returns for them, if it was called before.
      policy: how scores are combined with what sources say; None in a run without sources. The tables of a fused run
        have the columns `FUSED_COLUMNS`.
      parameters: whether `tracks` has the columns `PARAMETER_COLUMNS`.
    """
    scored = score_bucket(rows, outcomes, tagger, policy) if scored is None else scored
    ledger = _ledger(rows, outcomes, duplicates, tagger, run_id)
    names = FACT_NAMES + PARAMETER_NAMES if parameters else FACT_NAMES
    derived = _derived(scored, tagger.taxonomy, names)
    return {
        "tracks": _tracks(scored, tagger, names, derived),
        "track_tags": _track_tags(scored, tagger, publication, policy, derived),
        "embeddings": _embeddings(scored.outcomes, tagger),
        "ledger": ledger if policy is None else _with_fusion_ids(ledger, rows),
    }


def _score(embeddings: pa.ChunkedArray, tagger: Tagger) -> np.ndarray:
    if len(embeddings) == 0:
        return np.zeros((0, len(tagger.taxonomy.tags)))
    values = embeddings.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return tagger.score(values.reshape(len(embeddings), -1).astype(np.float32, copy=False))


def _derived(scored: ScoredTracks, taxonomy: Taxonomy, names: tuple[str, ...]) -> DerivedTags:
    """The tags of rules, from those columns of the outcomes that are published."""
    columns = scored.outcomes.select([name for name in names if name in RULE_SOURCES])
    needed = {name for category in taxonomy.rules for name in category.named_tags}
    return derived_tags(taxonomy.rules, columns, {name: scored.scores[:, taxonomy.index[name]] for name in needed})


def _tracks(scored: ScoredTracks, tagger: Tagger, names: tuple[str, ...], derived: DerivedTags) -> pa.Table:
    """Rows of `tracks`, with these columns of the outcomes."""
    facts = {name: scored.outcomes[name] for name in names}
    scores, positives = (
        np.hstack(pair) for pair in ((scored.scores, derived.scores), (scored.positives, derived.positives))
    )
    facts["top_tags"] = _top_tags(scores, positives, list(tagger.taxonomy.published))
    facts["tagger_id"] = pa.array([tagger.tagger_id] * scored.rows.num_rows, pa.string())
    return rows_of_tracks(scored.rows, facts)


def rows_of_tracks(rows: pa.Table, facts: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """Rows of `tracks` from catalog rows, and from the columns that are not in the catalog, those of parameters if they
    are given.
    """
    lacking = () if PARAMETERS_ID in facts else PARAMETER_NAMES
    further = [name for name in rows.column_names if name not in NOT_PUBLISHED and name not in METADATA]
    columns = {name: rows[name] for name in ("track_id", *METADATA)} | dict(facts)
    declared = [field for field in TRACKS if field.name not in lacking]
    schema = pa.schema([*declared, *(pa.field(name, rows.schema.field(name).type) for name in further)])
    values = [columns[field.name] for field in declared]
    return pa.table([*values, *(rows[name] for name in further)], names=schema.names).cast(schema)


def _top_tags(scores: np.ndarray, positives: np.ndarray, tag_ids: list[str]) -> pa.Array:
    """The positive tags of each track, best score first; tags with equal scores are in the taxonomy's order."""
    order = np.argsort(-scores, axis=1, kind="stable")
    chosen = np.take_along_axis(positives, order, axis=1)
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int32)
    tags = pa.array(tag_ids, pa.string()).take(pa.array(order[chosen]))
    values = pa.array(np.take_along_axis(scores, order, axis=1)[chosen].astype(np.float32))
    structs = pa.StructArray.from_arrays([tags, values], fields=list(TAG_SCORE))
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=TRACKS.field("top_tags").type)


def _embeddings(kept: pa.Table, tagger: Tagger) -> pa.Table:
    ids = pa.array([tagger.embedding_id] * kept.num_rows, pa.string())
    return pa.table([kept["track_id"], ids, kept["embedding"]], names=EMBEDDINGS.names).cast(EMBEDDINGS)


def _track_tags(
    scored: ScoredTracks, tagger: Tagger, publication: PublishedRows, policy: Policy | None, derived: DerivedTags
) -> pa.Table:
    """All tags of all tracks, sorted by (category, tag, score desc, track_id)."""
    rows, scores, positives = scored.rows, scored.scores, scored.positives
    taxonomy = tagger.taxonomy
    ranks = np.zeros(scores.shape, np.int16)
    for category in taxonomy.categories:
        columns = sorted(
            taxonomy.index[tag.id] for tag in category.tags
        )  # of equal scores, the first tag has the better rank
        order = np.argsort(-scores[:, columns], axis=1, kind="stable")
        ranks[:, columns] = np.argsort(order, axis=1, kind="stable") + 1
    track_ids = rows["track_id"].combine_chunks()
    weights = _expert_weights(rows, taxonomy)
    schema = TRACK_TAGS if policy is None else pa.schema([*TRACK_TAGS, *FUSED_COLUMNS["track_tags"]])
    categories = {tag.id: category.name for category in taxonomy.categories for tag in category.tags}
    parts = _derived_rows(derived, track_ids, publication, schema)
    for tag in sorted(categories, key=lambda tag: (categories[tag], tag)):
        column = taxonomy.index[tag]
        order = np.argsort(-scores[:, column], kind="stable")
        order = order[publication.keeps(scores[order, column], ranks[order, column])]
        score = pa.array(scores[order, column].astype(np.float32))
        values = {
            "track_id": track_ids.take(pa.array(order)),
            "category": pa.repeat(categories[tag], len(order)),
            "tag": pa.repeat(tag, len(order)),
            "score": score,
            "rank": pa.array(ranks[order, column]),
            "is_positive": pa.array(positives[order, column]),
            "source": pa.repeat(MODEL, len(order)),
            "model_score": score,
            "expert_weight": pa.array(weights[column][order], from_pandas=True)
            if column in weights
            else pa.nulls(len(order), pa.float32()),
        }
        if scored.fused is not None and policy is not None:
            values |= _fused_values(scored, column, order, policy, weights.get(column))
        parts[(categories[tag], tag)] = pa.table(values).cast(schema)
    # Keep one Arrow chunk per tag: a contiguous copy would double the memory of the largest table.
    return pa.concat_tables([parts[key] for key in sorted(parts)]) if parts else schema.empty_table()


def _derived_rows(
    derived: DerivedTags, track_ids: pa.Array, publication: PublishedRows, schema: pa.Schema
) -> dict[tuple[str, str], pa.Table]:
    """(category, tag of a rule) -> its rows: those of tracks of which something is known."""
    parts = {}
    for column, tag in enumerate(derived.tags):
        order = np.argsort(-derived.scores[:, column], kind="stable")
        order = order[derived.known[order, column]]
        order = order[publication.keeps(derived.scores[order, column], derived.ranks[order, column])]
        values = {
            "track_id": track_ids.take(pa.array(order)),
            "category": pa.repeat(tag.category, len(order)),
            "tag": pa.repeat(tag.id, len(order)),
            "score": pa.array(derived.scores[order, column].astype(np.float32)),
            "rank": pa.array(derived.ranks[order, column]),
            "is_positive": pa.array(derived.positives[order, column]),
            "source": pa.repeat(RULE, len(order)),
        }
        lacking = {name: pa.nulls(len(order)) for name in schema.names if name not in values}
        parts[(tag.category, tag.id)] = pa.table({**values, **lacking}).cast(schema)
    return parts


def _fused_values(
    scored: ScoredTracks, column: int, order: np.ndarray, policy: Policy, annotated: np.ndarray | None
) -> dict[str, pa.Array]:
    """The columns of a tag that differ in a fused run. Where no source says anything, the catalog's weight is kept."""
    fused = scored.fused
    assert fused is not None
    weights = fused.expert_weights[:, column]
    weights = weights if annotated is None else np.where(np.isnan(weights), annotated, weights)
    return {
        "source": pa.array(ORIGINS, pa.string()).take(pa.array(fused.origins[order, column])),
        "model_score": pa.array(scored.model_scores[order, column].astype(np.float32)),
        "expert_weight": pa.array(weights[order], from_pandas=True),
        "experts": _experts(fused, column, policy).take(pa.array(order)),
    }


def _experts(fused: FusedScores, column: int, policy: Policy) -> pa.Array:
    """What each source says about a tag, for each track; null where none says anything."""
    begin, end = np.searchsorted(fused.entries.tag, [column, column + 1])
    track, _, source, weight = (values[begin:end] for values in fused.entries)
    counts = np.bincount(track, minlength=len(fused.scores))
    names = pa.array(policy.names, pa.string()).take(pa.array(source))
    values = pa.StructArray.from_arrays([names, pa.array(weight)], fields=list(EXPERTS_TYPE.value_type))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values, type=EXPERTS_TYPE, mask=pa.array(counts == 0))


def _expert_weights(rows: pa.Table, taxonomy: Taxonomy) -> dict[int, np.ndarray]:
    """Tag index -> annotated weight of each row, NaN if the row lacks the tag; a tag without a weight counts as 1."""
    weights: dict[int, np.ndarray] = {}
    for row, tags in enumerate(rows["tags"].to_pylist()):
        for entry in tags or ():
            tag = taxonomy.resolve(entry["tag"])
            if tag is not None:
                column = weights.setdefault(taxonomy.index[tag], np.full(rows.num_rows, np.nan, np.float32))
                column[row] = 1.0 if entry["weight"] is None else entry["weight"]
    return weights


def _ledger(rows: pa.Table, outcomes: pa.Table, duplicates: dict[str, str], tagger: Tagger, run_id: str) -> pa.Table:
    found = pc.or_(pc.is_valid(outcomes["embedding"]), pc.is_valid(outcomes["kept_embedding_id"]))
    status = pc.if_else(found, pc.if_else(outcomes["carried"], "carried", "tagged"), DEFERRED)
    status = pc.if_else(pc.is_valid(outcomes["reason"]), "rejected", status)
    columns = {
        "track_id": rows["track_id"],
        "uri": rows["uri"],
        "status": status,
        **{name: outcomes[name] for name in ("reason", "detail", "stage")},
        "duplicate_of": pa.array([duplicates.get(i) for i in rows["track_id"].to_pylist()], pa.string()),
        **{name: outcomes[name] for name in ("source_version", "source_bytes", "source_sha256", "decoded_fraction")},
        **{
            name: pc.fill_null(outcomes[f"kept_{name}"], getattr(tagger, name))
            for name in ("feature_id", "embedding_id", "tagger_id")
        },
        "run_id": pc.fill_null(outcomes["run_id"], run_id),
    }
    return pa.table(columns).cast(LEDGER)


def _with_fusion_ids(ledger: pa.Table, rows: pa.Table) -> pa.Table:
    """The ledger with the ids of what sources say about its tagged tracks."""
    ids = pc.if_else(pc.is_null(ledger["reason"]), rows[SAID_ID], pa.scalar(None, pa.string()))
    return ledger.append_column(FUSED_COLUMNS["ledger"][0], ids)
