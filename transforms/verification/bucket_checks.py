"""Checks that the tables of one bucket agree: conservation of tracks, complete tags, consistent scores."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from transforms.audio.errors import REASONS
from transforms.formats.hashing import bucket_of
from transforms.schemas.rule_columns import RULE_SOURCES
from transforms.table.snapshots import DEFERRED, Run
from transforms.taxonomy.derived_tags import derived_tags
from transforms.taxonomy.hierarchy import readable_name
from transforms.taxonomy.rules import RULE, RuleCategory, rules_from_json, rules_of_rows


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CheckedTags:
    """The taxonomy table in the form that the checks need; tags are in order of (category, tag).

    Attributes:
      ids: tag ids.
      kinds: kind of each tag's category.
      categories: category of each tag.
      thresholds: float32 [T], NaN for tags without a threshold.
      edges: (parent, child) pairs of positions in `ids`.
      derived: ids of the tags that follow from rules. The other attributes do not have them.
      rules: their rules.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    categories: tuple[str, ...]
    thresholds: NDArray[np.float32]
    edges: tuple[tuple[int, int], ...]
    derived: tuple[str, ...] = ()
    rules: tuple[RuleCategory, ...] = ()

    @classmethod
    def of(cls, taxonomy: pa.Table) -> Self:
        """Builds it from the `taxonomy` table."""
        every = sorted(taxonomy.to_pylist(), key=lambda row: (row["category"], row["tag"]))
        rows = [row for row in every if row.get("rule") is None]
        index = {row["tag"]: i for i, row in enumerate(rows)}
        return cls(
            ids=tuple(index),
            kinds=tuple(row["kind"] for row in rows),
            categories=tuple(row["category"] for row in rows),
            thresholds=np.array([np.nan if row["threshold"] is None else row["threshold"] for row in rows], np.float32),
            edges=tuple((index[parent], index[row["tag"]]) for row in rows for parent in row["parents"]),
            derived=tuple(row["tag"] for row in every if row.get("rule") is not None),
            rules=rules_from_json(rules_of_rows(row for row in every if row.get("rule") is not None), readable_name),
        )


def bucket_problems(
    tables: dict[str, pa.Table], tags: CheckedTags, run: Run, bucket: int, buckets: int
) -> Iterator[str]:
    """Yields one sentence per inconsistency in the four tables of a bucket."""
    problems = [
        *_ledger_problems(tables["ledger"], bucket, buckets),
        *_key_problems(tables),
        *_embedding_problems(tables["embeddings"], run),
        *_id_problems(tables, run),
        *_tag_row_problems(tables["track_tags"], tags, run.options),
    ]
    if not problems and _complete(run.options):
        problems += _score_problems(tables, tags, run)
    for problem in problems:
        yield f"bucket {bucket}: {problem}"


def _complete(options: dict[str, Any]) -> bool:
    """Whether all tags of all tracks are published."""
    return not options.get("min_score") and options.get("top_k") is None


def _ledger_problems(ledger: pa.Table, bucket: int, buckets: int) -> Iterator[str]:
    ids = ledger["track_id"].to_pylist()
    if len(set(ids)) != len(ids):
        yield f"ledger: {len(ids) - len(set(ids))} track ids occur more than once"
    strangers = [track for track in ids if bucket_of(track, buckets) != bucket]
    if strangers:
        yield f"ledger: {len(strangers)} tracks of other buckets, e.g. {strangers[0]!r}"
    for row in ledger.select(["track_id", "status", "reason"]).to_pylist():
        if row["status"] not in ("tagged", "carried", "rejected", DEFERRED):
            yield f"ledger: {row['track_id']!r} has status {row['status']!r}"
        elif (row["status"] == "rejected") != (row["reason"] is not None):
            yield f"ledger: {row['track_id']!r} is {row['status']} with reason {row['reason']!r}"
        elif row["reason"] is not None and row["reason"] not in REASONS:
            yield f"ledger: {row['track_id']!r} has the unknown reason {row['reason']!r}"


def _key_problems(tables: dict[str, pa.Table]) -> Iterator[str]:
    """Conservation: tracks and embeddings contain each track that was not rejected exactly once, and no other."""
    ledger = tables["ledger"]
    tagged = pc.is_in(ledger["status"], value_set=pa.array(["tagged", "carried"]))
    kept = sorted(ledger.filter(tagged)["track_id"].to_pylist())
    for name in ("tracks", "embeddings"):
        ids = tables[name]["track_id"].to_pylist()
        if sorted(ids) != kept:
            missing, extra = sorted(set(kept) - set(ids)), sorted(set(ids) - set(kept))
            yield f"{name}: {len(ids)} rows for {len(kept)} tracks; missing {missing[:3]}, not tagged {extra[:3]}"
    strangers = set(pc.unique(tables["track_tags"]["track_id"]).to_pylist()) - set(kept)
    if strangers:
        yield f"track_tags: {len(strangers)} tracks that the ledger does not list as tagged, e.g. {min(strangers)!r}"


def _embedding_problems(embeddings: pa.Table, run: Run) -> Iterator[str]:
    if embeddings.num_rows == 0:
        return
    for name in pc.unique(embeddings["embedding_id"]).to_pylist():
        own = embeddings.filter(pc.equal(embeddings["embedding_id"], name))["embedding"]
        lengths = pc.unique(pc.list_value_length(own)).to_pylist()
        if len(lengths) != 1:
            yield f"embeddings: different lengths {sorted(lengths)}"
    values = embeddings["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        yield f"embeddings: {int((~np.isfinite(values)).sum())} values are not finite"
    elif not np.array_equal(values, values.astype(np.float16).astype(np.float32)):
        yield "embeddings: values are not rounded to float16 precision"
    others = set(pc.unique(embeddings["embedding_id"]).to_pylist()) - {*run.embedding_ids}
    if others:
        yield f"embeddings: made with {sorted(others)}, the snapshot says {', '.join(run.embedding_ids)}"


def _id_problems(tables: dict[str, pa.Table], run: Run) -> Iterator[str]:
    """Checks that the tables name the same ids for each track, and only those of the snapshot."""
    ledger = tables["ledger"]
    for name, column in (("tracks", "tagger_id"), ("embeddings", "embedding_id")):
        places = pc.index_in(tables[name]["track_id"], value_set=ledger["track_id"].combine_chunks())
        if wrong := pc.sum(pc.not_equal(ledger[column].take(places), tables[name][column])).as_py():
            yield f"{name}: {wrong} tracks with another {column} than in the ledger"
    known = {run.ids.tagger_id, *(one.ids.tagger_id for one in run.earlier)}
    if others := set(pc.unique(ledger["tagger_id"]).to_pylist()) - known:
        yield f"ledger: made with {sorted(others)}, the snapshot says {', '.join(sorted(known))}"


def _tag_row_problems(track_tags: pa.Table, tags: CheckedTags, options: dict[str, Any]) -> Iterator[str]:
    """Checks each row alone: known tag, score from 0 to 1, rank from 1, limits of --min-score and --top-k."""
    if track_tags.num_rows == 0:
        return
    unknown = set(pc.unique(track_tags["tag"]).to_pylist()) - {*tags.ids, *tags.derived}
    if unknown:
        yield f"track_tags: tags that are not in the taxonomy: {sorted(unknown)[:3]}"
    for name, low, high in (
        ("score", options.get("min_score") or 0, 1),
        ("model_score", 0, 1),
        ("expert_weight", 0, 1),
        ("rank", 1, options.get("top_k") or len(tags.ids) + len(tags.derived)),
    ):
        bounds = pc.min_max(track_tags[name]).as_py()
        if bounds["min"] is not None and not low - 1e-6 <= bounds["min"] <= bounds["max"] <= high + 1e-6:
            yield f"track_tags: {name} from {bounds['min']:.6g} to {bounds['max']:.6g}, not within {low} to {high}"
    others = set(pc.unique(track_tags["source"]).to_pylist()) - {"model", "expert", "fused", RULE}
    if others:
        yield f"track_tags: unknown sources {sorted(others)}"
    ruled = pc.is_in(track_tags["tag"], value_set=pa.array(tags.derived, pa.string()))
    if wrong := pc.sum(pc.not_equal(ruled, pc.equal(track_tags["source"], RULE))).as_py():
        yield f"track_tags: {wrong} rows whose source is {RULE!r} without a rule of the tag, or the other way round"


def _score_problems(tables: dict[str, pa.Table], tags: CheckedTags, run: Run) -> Iterator[str]:
    """Checks for snapshots with all tags: one row per track and tag, parent >= child, positives follow thresholds."""
    tracks = tables["tracks"]["track_id"].to_pylist()
    rows = tables["track_tags"].sort_by([("category", "ascending"), ("tag", "ascending"), ("track_id", "ascending")])
    ruled = pc.is_in(rows["tag"], value_set=pa.array(tags.derived, pa.string()))
    derived, rows = rows.filter(ruled), rows.filter(pc.invert(ruled))
    if not _is_complete(rows, tracks, tags):
        yield f"track_tags: {rows.num_rows} rows, not one for each of {len(tracks)} tracks and {len(tags.ids)} tags"
        return
    shape = (len(tags.ids), len(tracks))
    scores = rows["score"].to_numpy().reshape(shape)
    positive = rows["is_positive"].to_numpy(zero_copy_only=False).reshape(shape)
    for parent, child in tags.edges:
        below = int((scores[parent] < scores[child]).sum())
        if below:
            yield f"track_tags: {tags.ids[parent]} scores below its child {tags.ids[child]} in {below} tracks"
    taggers = np.array(tables["tracks"]["tagger_id"].to_pylist())
    for tagger, own in _tags_of_taggers(tags, run):
        theirs = taggers == tagger
        yield from _positive_problems(scores[:, theirs], positive[:, theirs], own)
    yield from _rule_problems(derived, tables["tracks"], scores, tags)
    own = pc.value_counts(derived.filter(derived["is_positive"])["track_id"]).to_pylist()
    by_rule = {row["values"]: row["counts"] for row in own}
    listed = [len(entry) for entry in tables["tracks"]["top_tags"].to_pylist()]
    counts = zip(positive.sum(axis=0).tolist(), tracks, strict=True)
    if [count + by_rule.get(track, 0) for count, track in counts] != listed:
        yield "tracks: top_tags are not the positive tags of track_tags"


def _rule_problems(rows: pa.Table, tracks: pa.Table, scores: NDArray[np.float32], tags: CheckedTags) -> Iterator[str]:
    """Applies the rules again: yields the tags whose rows differ from what follows from `tracks` and other scores.

    Args:
      rows: rows of `track_tags` of tags of rules.
      tracks: the table `tracks`.
      scores: [tags, tracks] of the other tags.
      tags: the tags and rules.
    """
    if not tags.rules:
        return
    columns = tracks.select([name for name in RULE_SOURCES if name in tracks.column_names])
    place = {tag: i for i, tag in enumerate(tags.ids)}
    named = {name for category in tags.rules for name in category.named_tags}
    found = derived_tags(tags.rules, columns, {name: scores[place[name]].astype(np.float64).round(4) for name in named})
    ids = tracks["track_id"].combine_chunks()
    for column, tag in enumerate(found.tags):
        own = rows.filter(pc.equal(rows["tag"], tag.id))
        at = pc.index_in(own["track_id"], value_set=ids).to_numpy(zero_copy_only=False).astype(np.int64)
        known = np.zeros(len(ids), bool)
        known[at] = True
        differ = int((known != found.known[:, column]).sum())
        if not differ:
            stored = [own[name].to_numpy() for name in ("score", "rank", "is_positive")]
            follows = [part[at, column] for part in (found.scores.astype(np.float32), found.ranks, found.positives)]
            differ = int(np.any([a != b for a, b in zip(stored, follows, strict=True)], axis=0).sum())
        if differ:
            yield f"track_tags: {tag.id} of {differ} tracks does not follow from its rule"


def _tags_of_taggers(tags: CheckedTags, run: Run) -> Iterator[tuple[str, CheckedTags]]:
    """Each tagger of the snapshot, and the tags with its thresholds."""
    yield run.ids.tagger_id, tags
    for one in run.earlier:
        thresholds = np.array([one.thresholds.get(tag, np.nan) for tag in tags.ids], np.float32)
        yield one.ids.tagger_id, dataclasses.replace(tags, thresholds=thresholds)


def _is_complete(rows: pa.Table, tracks: list[str], tags: CheckedTags) -> bool:
    return bool(
        rows.num_rows == len(tags.ids) * len(tracks)
        and rows["tag"].to_pylist() == [tag for tag in tags.ids for _ in tracks]
        and rows["track_id"].to_pylist() == tracks * len(tags.ids)
    )


def _positive_problems(scores: NDArray[np.float32], positive: NDArray[np.bool_], tags: CheckedTags) -> Iterator[str]:
    """Multiclass: exactly one tag is positive, with the highest score. Other kinds: the score reaches the threshold."""
    for category in dict.fromkeys(tags.categories):
        members = [i for i, name in enumerate(tags.categories) if name == category]
        if tags.kinds[members[0]] == "multiclass":
            highest = scores[members].max(axis=0)
            chosen = np.where(positive[members], scores[members], -1).max(axis=0)
            wrong = int(((positive[members].sum(axis=0) != 1) | (chosen != highest)).sum())
        else:
            limits = tags.thresholds[members, None]
            # A score within 1e-6 of its threshold is not checked: float32 cannot distinguish the two.
            clear = np.abs(scores[members] - limits) > 1e-6
            wrong = int((clear & (positive[members] != (scores[members] >= limits))).sum())
        if wrong:
            yield f"track_tags: {wrong} tracks of category {category} are positive against its thresholds"
