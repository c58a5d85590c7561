"""Examines the tables of one bucket for the gates, and compares them with the last snapshot."""

import dataclasses
import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.audio.errors import SourceUnavailable, Unknown
from transforms.comparison.drift import TagDrift, UnchangedPairs, measure_drift
from transforms.comparison.scores import SCORE_COLUMNS, ComparedTags, TagScores, read_scores, scores_of
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.bucket_faults import (
    KNOWN_TAGS,
    Fault,
    hierarchy_faults,
    id_faults,
    pair_faults,
    schema_faults,
    score_faults,
)
from transforms.tagging.evidence import OFFENDERS, Evidence, RejectedTrack
from transforms.tagging.outcomes.prior import PriorOutcomes

REJECTED, UNAVAILABLE, UNKNOWN, REMOVED = "rejected", "unavailable", "unknown", "removed"
"""Names of the gates that count tracks of the ledger."""

_LONGEST = 300
"""Characters that are kept of the uri and of the detail of an example."""

_LEDGER = ("track_id", "status", "source_version")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BucketExaminer:
    """Examines buckets of a run. A worker makes one, because all buckets need the taxonomies of both snapshots.

    Attributes:
      taxonomy: the run's `taxonomy` table.
    """

    known: PriorOutcomes
    publication: PublishedRows
    taxonomy: pa.Table

    @functools.cached_property
    def _tags(self) -> ComparedTags:
        """The tags of the last snapshot, if there is one, and of the run."""
        parent = self.known.snapshot
        return ComparedTags.of(self.taxonomy if parent is None else parent.scan("taxonomy"), self.taxonomy)

    @functools.cached_property
    def _common(self) -> np.ndarray:
        """Places of the tags that both have, without those of rules that differ: their scores are meant to."""
        return np.flatnonzero(self._tags.in_before & self._tags.in_after & self._tags.same_rule)

    @property
    def _comparable(self) -> bool:
        """Whether both publish the same selection of rows (`min_score`, `top_k`). If not, shares cannot be compared."""
        parent = self.known.snapshot
        return parent is not None and parent.manifest.run.options == self.publication.to_json()

    def examine(self, bucket: int, tables: dict[str, pa.Table]) -> Evidence:
        """The evidence of the four tables of one bucket."""
        tagged = _tagged(tables["ledger"])
        rows, strangers = self._known_rows(tables["track_tags"], tagged)
        scores = scores_of(rows.select(SCORE_COLUMNS).to_batches(), self._tags, tagged)
        faults = Evidence.of_faults(
            [
                *id_faults(tables, bucket, self.known.buckets),
                pair_faults(rows.num_rows, scores),
                *schema_faults(tables),
                *score_faults(tables["track_tags"]),
                *strangers,
                *hierarchy_faults(scores, self._tags.ids, self.taxonomy.to_pylist()),
            ]
        )
        return faults + _rejects(tables["ledger"]) + self._compare(bucket, tables["ledger"], tagged, scores)

    def examine_absent(self, bucket: int) -> Evidence:
        """The evidence of a bucket of the last snapshot of which the catalog has no track."""
        nobody = pa.array([], pa.string())
        ledger = pa.table(dict.fromkeys(_LEDGER, nobody))
        return self._compare(bucket, ledger, nobody, scores_of([], self._tags, nobody))

    def _known_rows(self, rows: pa.Table, tagged: pa.Array) -> tuple[pa.Table, list[Fault]]:
        """The rows of tags that the taxonomy has, and of tracks that are tagged; the others as faults."""
        known = pc.is_in(rows["tag"], value_set=self.taxonomy["tag"].combine_chunks())
        theirs = pc.is_in(rows["track_id"], value_set=tagged)
        faults = [
            Fault(gate=KNOWN_TAGS, count=row["counts"], what=row["values"])
            for row in pc.value_counts(rows["tag"].filter(pc.invert(known))).to_pylist()
        ]
        lost = rows["track_id"].filter(pc.invert(theirs))
        if len(lost):
            faults.append(Fault(gate=KNOWN_TAGS, count=len(lost), tracks=tuple(pc.unique(lost).to_pylist())))
        keep = pc.and_(known, theirs)
        return (rows.filter(keep) if faults else rows), faults

    def _compare(self, bucket: int, ledger: pa.Table, tagged: pa.Array, scores: TagScores) -> Evidence:
        parent = self.known.snapshot
        if parent is None:
            return Evidence()
        earlier = parent.scan("ledger", list(_LEDGER), bucket=bucket)
        gone = earlier["track_id"].filter(
            pc.invert(pc.is_in(earlier["track_id"], value_set=ledger["track_id"].combine_chunks()))
        )
        removed = Evidence(tracks={REMOVED: tuple(gone.take(pc.sort_indices(gone)[:OFFENDERS]).to_pylist())})
        return removed + Evidence(drift=self._drift(bucket, earlier, ledger, tagged, scores))

    def _kept(self, ledger: pa.Table) -> pa.Array:
        """Tracks that keep tags of another tagger. They are compared on neither side: their tags are not new."""
        if "embedding_id" not in ledger.column_names:
            return pa.array([], pa.string())
        others = pc.not_equal(ledger["embedding_id"], self.known.ids.embedding_id)
        return ledger["track_id"].filter(others).combine_chunks()

    def _drift(
        self, bucket: int, earlier: pa.Table, ledger: pa.Table, tagged: pa.Array, scores: TagScores
    ) -> TagDrift | None:
        parent = self.known.snapshot
        if parent is None or not self._comparable:
            return None
        before = _tagged(earlier)
        old = read_scores(parent, bucket, self._tags, before, is_earlier=True)
        if len(kept := self._kept(ledger)):
            (before, old), (tagged, scores) = _without(kept, before, old), _without(kept, tagged, scores)
        names = [self._tags.ids[place] for place in self._common]
        return measure_drift(
            names,
            self._of_common(old),
            self._of_common(scores),
            _unchanged(earlier, before, ledger, tagged),
            self._tags.ruled[self._common],
        )

    def _of_common(self, scores: TagScores) -> TagScores:
        if len(self._common) == len(self._tags.ids):
            return scores
        return TagScores(scores=scores.scores[self._common], positive=scores.positive[self._common])


def _tagged(ledger: pa.Table) -> pa.Array:
    """Ids of the tracks that have tags."""
    tagged = pc.is_in(ledger["status"], value_set=pa.array(["tagged", "carried"]))
    return ledger["track_id"].filter(tagged).combine_chunks()


def _without(kept: pa.Array, tracks: pa.Array, scores: TagScores) -> tuple[pa.Array, TagScores]:
    """Tracks and their scores without those that are kept."""
    own = pc.invert(pc.is_in(tracks, value_set=kept))
    mask = own.to_numpy(zero_copy_only=False)
    return tracks.filter(own), TagScores(scores=scores.scores[:, mask], positive=scores.positive[:, mask])


def _rejects(ledger: pa.Table) -> Evidence:
    """The first rejected tracks, with their reasons."""
    columns = ["track_id", "uri", "reason", "detail"]
    rows = ledger.select(columns).filter(pc.is_valid(ledger["reason"])).sort_by("track_id")
    chosen = {
        REJECTED: rows,
        UNAVAILABLE: rows.filter(pc.equal(rows["reason"], SourceUnavailable.reason)),
        UNKNOWN: rows.filter(pc.equal(rows["reason"], Unknown.reason)),
    }
    return Evidence(
        tracks={
            gate: tuple(f"{row['track_id']}: {row['reason']}" for row in found.slice(0, OFFENDERS).to_pylist())
            for gate, found in chosen.items()
        },
        rejects={reason: _examples(rows, reason) for reason in pc.unique(rows["reason"]).to_pylist()},
    )


def _examples(rejected: pa.Table, reason: str) -> tuple[RejectedTrack, ...]:
    found = rejected.filter(pc.equal(rejected["reason"], reason)).slice(0, OFFENDERS).to_pylist()
    return tuple(
        RejectedTrack(row["track_id"], *(_shortened(row[name] or "") for name in ("uri", "detail"))) for row in found
    )


def _shortened(text: str) -> str:
    """The beginning of a text of any length."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _unchanged(earlier: pa.Table, before: pa.Array, ledger: pa.Table, tagged: pa.Array) -> UnchangedPairs:
    """Places in `before` and in `tagged` of the tracks that are in both, with the same source version."""
    versions = [
        table["source_version"].take(pc.index_in(ids, value_set=table["track_id"].combine_chunks()))
        for table, ids in ((earlier, before), (ledger, tagged))
    ]
    place = pc.index_in(tagged, value_set=before)
    same = pc.fill_null(pc.equal(versions[1].combine_chunks(), versions[0].combine_chunks().take(place)), False)
    after = np.flatnonzero(same.to_numpy(zero_copy_only=False))
    return UnchangedPairs(place.take(pa.array(after)).to_numpy().astype(np.int64), after)
