"""The comparison of two published snapshots against the same comparison in plain pandas."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.published import fake_bundle, publish_table
from tests.support.rows import publish_rows
from tests.support.world import read_table
from transforms.comparison.buckets import Pair, compare
from transforms.comparison.report import document, to_text
from transforms.comparison.tag_changes import TagChanges, tag_changes_table
from transforms.comparison.track_changes import TrackCounts
from transforms.table.reader import open_snapshot
from transforms.table.versions import TableError
from transforms.tagging.assembly import PublishedRows

TAGS = ("mood/calm", "mood/dark", "genre/rock", "genre/jazz", "voice/vocal")


def compared(root, before=1, after=2, workers=2):
    """(document, rows of tracks.parquet) of a comparison."""
    pair = Pair(open_snapshot(str(root), before), open_snapshot(str(root), after))
    tracks, changes, rows = TrackCounts(), TagChanges.none(len(pair.tags().ids)), []
    for difference in compare(pair, workers):
        tracks, changes = tracks + difference.tracks, changes + difference.tags
        rows += difference.rows.to_pylist()
    return document(pair, tracks, tag_changes_table(pair.tags(), changes)), {row["track_id"]: row for row in rows}


class Oracle:
    """The same comparison by joins of whole tables in pandas."""

    def __init__(self, root, before, after):
        self.sides = [{name: read_table(root, s, name).to_pandas() for name in TABLES} for s in (before, after)]
        ledgers = [side["ledger"].set_index("track_id") for side in self.sides]
        self.ids = [set(ledger.index) for ledger in ledgers]
        self.ledgers = ledgers
        tagged = [set(ledger.index[ledger.status != "rejected"]) for ledger in ledgers]
        self.common = tagged[0] & tagged[1]
        self.positive = [
            {(r.track_id, r.tag) for r in side["track_tags"].itertuples() if r.is_positive} for side in self.sides
        ]
        self.scores = [side["track_tags"].set_index(["tag", "track_id"]).score for side in self.sides]

    def gained(self, track):
        return {tag for t, tag in self.positive[1] - self.positive[0] if t == track and t in self.common}

    def lost(self, track):
        return {tag for t, tag in self.positive[0] - self.positive[1] if t == track and t in self.common}

    def tags(self):
        return sorted(set(self.sides[0]["taxonomy"].tag) | set(self.sides[1]["taxonomy"].tag))

    def tag_row(self, tag):
        old, new = ({t for t, own in side if own == tag} for side in self.positive)
        common = self.common
        pairs = pd.concat([s[tag] if tag in s.index else pd.Series(dtype=float) for s in self.scores], axis=1).dropna()
        shift = (pairs.iloc[:, 1] - pairs.iloc[:, 0])[[track in common for track in pairs.index]].round(4)
        return {
            "positives_before": len(old),
            "positives_after": len(new),
            "kept": len(old & new & common),
            "gained": len((new - old) & common),
            "lost": len((old - new) & common),
            "entered": len(new - common),
            "left": len(old - common),
            "compared": len(shift),
            "shifted": int((shift != 0).sum()),
            "mean_shift": pytest.approx(shift.mean(), abs=1e-6) if len(shift) else None,
            "mean_distance": pytest.approx(shift.abs().mean(), abs=1e-6) if len(shift) else None,
            "max_distance": pytest.approx(shift.abs().max(), abs=1e-6) if len(shift) else None,
        }

    def outcome(self, side, track):
        row = self.ledgers[side].loc[track]
        return row.reason if row.status == "rejected" else "tagged"

    def differs(self, track):
        """Which kinds of changes a track of both snapshots has."""
        old, new = (ledger.loc[track] for ledger in self.ledgers)
        found = set()
        if any(self.is_other(track, name) for name in SOURCE) and not self.has_same_bytes(track):
            found.add("source")
        if self.outcome(0, track) != self.outcome(1, track):
            found.add("outcome")
        if old.uri != new.uri or (track in self.common and self.metadata(0, track) != self.metadata(1, track)):
            found.add("metadata")
        if self.gained(track) or self.lost(track):
            found.add("tags")
        if track in self.common and self.track_scores(0, track) != self.track_scores(1, track):
            found.add("scores")
        return found

    def is_other(self, track, name):
        old, new = (ledger.loc[track][name] for ledger in self.ledgers)
        return old != new and not (pd.isna(old) and pd.isna(new))

    def has_same_bytes(self, track):
        old, new = (ledger.loc[track].source_sha256 for ledger in self.ledgers)
        return not pd.isna(old) and old == new

    def is_touched(self, track):
        return self.has_same_bytes(track) and self.is_other(track, "source_version")

    def metadata(self, side, track):
        tracks = [side["tracks"].set_index("track_id") for side in self.sides]
        names = [name for name in tracks[0] if name in tracks[1] and name not in ("top_tags", "tagger_id")]
        return [None if pd.isna(value) else value for value in tracks[side].loc[track][names]]

    def track_scores(self, side, track):
        shared = set(self.sides[0]["taxonomy"].tag) & set(self.sides[1]["taxonomy"].tag)
        rows = self.sides[side]["track_tags"]
        own = rows[(rows.track_id == track) & rows.tag.isin(shared)]
        return dict(zip(own.tag, own.score, strict=True))


TABLES = ("tracks", "track_tags", "ledger", "taxonomy")
SOURCE = ("source_version", "source_sha256")


def check(root, before, after):
    oracle = Oracle(root, before, after)
    found, rows = compared(root, before.number, after.number)
    first, second = oracle.ids
    both = first & second
    kinds = {track: oracle.differs(track) for track in both}
    changed = {track for track in both if kinds[track]}
    assert {t for t, row in rows.items() if row["change"] == "added"} == second - first
    assert {t for t, row in rows.items() if row["change"] == "removed"} == first - second
    assert {t for t, row in rows.items() if row["change"] == "changed"} == changed
    for track in changed:
        row = rows[track]
        assert {kind for kind in KINDS if row[f"{kind}_changed"]} == kinds[track]
        assert (set(row["gained"]), set(row["lost"])) == (oracle.gained(track), oracle.lost(track))
    assert found["tracks"] == {
        "before": len(first),
        "after": len(second),
        "added": len(second - first),
        "removed": len(first - second),
        "changed": len(changed),
        "unchanged": len(both - changed),
        "touched": sum(map(oracle.is_touched, both)),
        **{kind: sum(kind in own for own in kinds.values()) for kind in KINDS},
        "retagged": sum(len({ledger.loc[track].tagger_id for ledger in oracle.ledgers}) > 1 for track in oracle.common),
    }
    outcomes = {(row["before"], row["after"]): row["tracks"] for row in found["outcomes"]}
    wanted = [tuple(oracle.outcome(i, t) if t in oracle.ids[i] else None for i in (0, 1)) for t in first | second]
    assert outcomes == {pair: wanted.count(pair) for pair in set(wanted)}
    assert [row["tag"] for row in sorted(found["tags"], key=lambda row: row["tag"])] == oracle.tags()
    for row in found["tags"]:
        wanted_row = oracle.tag_row(row["tag"])
        assert {name: row[name] for name in wanted_row} == wanted_row, row["tag"]
    assert to_text(found).startswith(f"# Snapshots {before.number} and {after.number}\n")
    return found


KINDS = ("source", "outcome", "metadata", "tags", "scores")


def test_other_bundle_other_catalog_other_limits(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    first = publish_table(tmp_path / "table", bundle, 36)
    second = publish_table(tmp_path / "table", bundle, 24, carried={"track-0001"})
    third = publish_table(tmp_path / "table", bundle, 30, publication=PublishedRows(min_score=0.4, top_k=2))
    assert check(tmp_path / "table", first, second)["tracks"]["removed"] == 12
    assert check(tmp_path / "table", second, third)["tracks"]["scores"] == 24
    assert check(tmp_path / "table", third, first)["tracks"]["added"] == 6


def test_equal_snapshots_have_no_difference(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 12)
    publish_table(tmp_path / "table", bundle, 12, carried={"track-0003"})
    found, rows = compared(tmp_path / "table")
    assert rows == {} and found["tracks"]["unchanged"] == 14
    assert {row["stability_index"] for row in found["tags"]} == {0.0}
    assert "- content: equal" in to_text(found)


tracks = st.fixed_dictionaries(
    {
        "reason": st.sampled_from([None, None, None, "empty", "not_found"]),
        "source_version": st.sampled_from(["1", "2"]),
        "source_sha256": st.sampled_from([None, "a", "b"]),
        "uri": st.sampled_from(["x.flac", "y.flac"]),
        "year": st.sampled_from([None, 1999, 2001]),
        "label": st.sampled_from([None, "", "blue"]),
    }
)
scored = st.tuples(st.integers(0, 10_000), st.booleans())
sides = st.tuples(
    st.sets(st.sampled_from(TAGS)),
    st.dictionaries(st.sampled_from([f"t{i}" for i in range(9)]), tracks, min_size=1),
    st.dictionaries(st.tuples(st.sampled_from([f"t{i}" for i in range(9)]), st.sampled_from(TAGS)), scored),
)


def publish_side(root, side, number):
    known, rows, scores = side
    return publish_rows(
        root,
        [{"tag": tag, "category": tag.split("/")[0], "threshold": 0.5} for tag in sorted(known)],
        [{"track_id": track, **row} for track, row in rows.items()],
        [
            {"track_id": track, "tag": tag, "score": score / 10_000, "is_positive": positive}
            for (track, tag), (score, positive) in scores.items()
            if tag in known and track in rows
        ],
        tagger_id=f"tg-{number}",
    )


@settings(max_examples=5, deadline=None)
@given(first=sides, second=sides)
def test_any_two_snapshots(tmp_path_factory, first, second):
    check_both_ways(tmp_path_factory, first, second)


@pytest.mark.long
@settings(max_examples=150, deadline=None)
@given(first=sides, second=sides)
def test_any_two_of_many_snapshots(tmp_path_factory, first, second):
    check_both_ways(tmp_path_factory, first, second)


def check_both_ways(tmp_path_factory, first, second):
    root = tmp_path_factory.mktemp("tables") / "table"
    before, after = (publish_side(root, side, number) for number, side in enumerate((first, second)))
    found = check(root, before, after)
    for row in found["tags"]:
        assert row["positives_before"] == row["kept"] + row["lost"] + row["left"]
        assert row["positives_after"] == row["kept"] + row["gained"] + row["entered"]
    back, _ = compared(root, 2, 1)
    for row, other in zip(found["tags"], back["tags"], strict=True):
        assert (row["gained"], row["lost"], row["entered"]) == (other["lost"], other["gained"], other["left"])
        assert row["stability_index"] == pytest.approx(other["stability_index"], abs=1e-9)


def test_workers_do_not_change_the_result(tmp_path):
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(tmp_path / "table", bundle, 12)
    publish_table(tmp_path / "table", bundle, 18, publication=PublishedRows(top_k=1))
    first, *others = [compared(tmp_path / "table", workers=workers) for workers in (1, 2, 5)]
    assert [other == first for other in others] == [True, True]


def test_a_tag_that_the_taxonomy_lacks_is_named(tmp_path, monkeypatch):
    row = {"track_id": "t", "tag": "mood/calm", "score": 0.5, "is_positive": True}
    taxonomy = [{"tag": "mood/calm", "category": "mood", "threshold": 0.5}]
    for _ in range(2):
        publish_rows(tmp_path / "table", taxonomy, [{"track_id": "t"}], [row])
    pair = Pair(open_snapshot(str(tmp_path / "table"), 1), open_snapshot(str(tmp_path / "table"), 2))
    tags = pair.tags()
    monkeypatch.setattr(Pair, "tags", lambda self: type(tags).of(*[self.before.scan("taxonomy").slice(0, 0)] * 2))
    with pytest.raises(TableError, match=r"unknown tag 'mood/calm'.*verify"):
        list(compare(pair))
