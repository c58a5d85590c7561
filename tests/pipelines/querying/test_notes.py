"""Notes about tags that a snapshot lacks, and about a snapshot that has none before it."""

import contextlib
import json
import logging

import pytest

from pipelines.cli import main
from pipelines.exporting.chosen_tags import chosen_tags
from pipelines.querying.session import QueryLimits, Session
from pipelines.synthesis.catalog import taxonomy
from pipelines.terminal.errors import CommandFailed, UsageError
from tests.support.published import fake_bundle, publish_table
from transforms.comparison.tag_history import TagHistory, _first_without
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy

RENAMED = {"mood/warm": "mood/cosy", "instrument/drums": ["instrument/bongo", "instrument/kit"]}
REMEDY = "; tag_ids finds both ids: JOIN tag_ids USING (tag), and compare its column id"


def changed() -> Taxonomy:
    """The taxonomy with one tag renamed, one split and one removed."""
    document = json.loads(json.dumps(taxonomy()).replace("mood/warm", "mood/cosy"))
    for category in document["categories"]:
        ids = [tag for tag in category["tags"] if tag["id"] not in ("instrument/flute", "instrument/drums")]
        split = [tag for tag in category["tags"] if tag["id"] == "instrument/drums"]
        category["tags"] = ids + [{**tag, "id": new} for tag in split for new in RENAMED["instrument/drums"]]
    return Taxonomy.from_json({**document, "redirects": RENAMED})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three snapshots; since the second, the taxonomy is another one."""
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 4)
    later = fake_bundle(root / "later", changed())
    publish_table(root / "table", later, 4)
    publish_table(root / "table", later, 5)
    return str(root / "table")


CASES = [
    (
        "FROM track_tags WHERE tag = 'mood/warm'",
        ["mood/warm is now mood/cosy since snapshot 2" + REMEDY],
    ),
    (
        "SELECT 1 FROM track_tags WHERE tag IN ('mood/calm', 'instrument/drums')",
        ["instrument/drums is now instrument/bongo and instrument/kit since snapshot 2" + REMEDY],
    ),
    (
        "SELECT 1 FROM track_tags WHERE 'instrument/flute' = tag",
        ["snapshot 3 has no tag instrument/flute: it was removed in snapshot 2"],
    ),
    ("FROM track_tags WHERE tag = 'mood/calmm'", ["snapshot 3 has no tag mood/calmm: did you mean mood/calm?"]),
    ("FROM track_tags WHERE tag = 'Mood/Calm'", ["snapshot 3 has no tag Mood/Calm: did you mean mood/calm?"]),
    ("FROM track_tags WHERE tag = 'mood/zzzzzzzz'", ["snapshot 3 has no tag mood/zzzzzzzz"]),
    (
        "PIVOT (SELECT track_id, tag, score FROM track_tags) ON tag IN ('mood/warm') USING max(score)",
        ["mood/warm is now mood/cosy since snapshot 2" + REMEDY],
    ),
    ("SELECT list_contains(list(tag), 'mood/warmm') FROM track_tags", ["snapshot 3 has no tag mood/warmm"]),
    ("SELECT 1 FROM track_tags WHERE tag = 'calm'", ["no tag has the id calm: it is the name of mood/calm; compare"]),
    ("SELECT 1 FROM track_tags AS t WHERE 'Calm' = t.tag", ["no tag has the id Calm: it is the name of mood/calm"]),
    (
        "SELECT 1 FROM track_tags WHERE tag IN ('warm', 'mood/calm')",
        ["no tag has the id warm: it is the name of mood/cosy"],
    ),
    ("SELECT 1 FROM track_tags WHERE tag LIKE 'cal%'", ["no tag has the id cal: did you mean mood/calm?"]),
    ("SELECT 1 FROM track_tags WHERE tag ILIKE 'calm'", ["no tag has the id calm: it is the name of mood/calm"]),
    (
        "SELECT 1 FROM track_tags WHERE starts_with(tag, 'calm')",
        ["no tag has the id calm: it is the name of mood/calm"],
    ),
    ("SELECT 1 FROM snapshot_1_track_tags WHERE tag = 'warm'", ["no tag has the id warm: it is the name of mood/warm"]),
    ("SELECT 1 FROM track_tags WHERE tag = 'zzzzzzzz'", ["no tag has the id zzzzzzzz: an id is a category, / and a"]),
    ("FROM has_tag('mood/calmm')", ["snapshot 3 has no tag mood/calmm: did you mean mood/calm?"]),
    ("FROM has_tag('calm')", ["no tag has the id calm: it is the name of mood/calm"]),
    ("FROM weighted_search(MAP {'mood/calmm': 1})", ["snapshot 3 has no tag mood/calmm: did you mean mood/calm?"]),
    # Without a note: the pattern matches ids, or another column is compared.
    ("SELECT 1 FROM track_tags WHERE tag LIKE '%calm' OR tag LIKE '%calm%' OR tag LIKE 'mood%'", []),
    ("SELECT concat(tag, 'calm') FROM track_tags WHERE starts_with(tag, 'mo') OR contains(tag, 'calm')", []),
    ("SELECT 1 FROM track_tags WHERE source = 'calm' AND category = 'mood'", []),
    ("FROM has_tag('mood/warm')", []),
    # Without a note: the id is one of a snapshot that is read, or it is no tag that rows are compared with.
    ("SELECT 1 FROM track_tags JOIN tag_ids USING (tag) WHERE id = 'mood/warm'", []),
    ("SELECT 1 FROM previous_track_tags AS p WHERE tag = 'mood/cosy'", []),
    ("SELECT 1 FROM snapshot_1_track_tags WHERE tag = 'mood/warm'", []),
    ("SELECT 1 FROM snapshot_1_track_tags JOIN track_tags USING (track_id, tag) WHERE tag = 'mood/warm'", []),
    ("SELECT 1 FROM track_tags WHERE tag LIKE 'mood/wa%' OR tag LIKE 'mood/war' OR regexp_matches(tag, 'mood/w')", []),
    ("SELECT 'mood/warm' AS label, tag FROM track_tags WHERE tag = 'mood/calm' -- 'mood/warm'", []),
    ("SELECT 1 FROM tracks WHERE title = 'AC/DC' OR uri = 'mood/warm/1.mp3' OR title = 'mood/'", []),
]


@pytest.mark.parametrize("sql, notes", CASES)
def test_tags_that_are_not_there(table, caplog, sql, notes):
    sql = sql.replace("uri", "track_id")
    session = Session(open_snapshot(table), QueryLimits())
    with caplog.at_level(logging.WARNING), contextlib.suppress(CommandFailed), session.ask(sql):
        pass
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == len(notes) and all(map(str.startswith, found, notes))


def test_an_older_snapshot_is_asked_about_its_own_tags(table, caplog):
    with Session(open_snapshot(table, 1), QueryLimits()).ask("FROM track_tags WHERE tag = 'mood/cosy'"):
        assert [r.getMessage().partition(":")[0] for r in caplog.records] == ["snapshot 1 has no tag mood/cosy"]


def asked(words, capsys, caplog):
    """Exit code, stdout, and the notes of a query."""
    caplog.clear()
    code = main(["query", *words, "--format", "csv"])
    return code, capsys.readouterr().out, [record.getMessage() for record in caplog.records]


def test_the_answer_is_not_changed_and_quiet_hides_the_note(table, capsys, caplog):
    words = [table, "SELECT count(*) AS n FROM track_tags WHERE tag = 'mood/warm'"]
    assert asked(words, capsys, caplog) == (0, "n\n0\n", ["mood/warm is now mood/cosy since snapshot 2" + REMEDY])
    assert asked([*words, "--quiet"], capsys, caplog) == (0, "n\n0\n", [])


def test_no_snapshot_before_the_first(table, capsys, caplog):
    words = [table, "SELECT count(*) AS n FROM previous_tracks"]
    note = "there is no snapshot before snapshot 1: the tables previous_... are empty"
    assert asked([*words, "--snapshot", "1"], capsys, caplog) == (0, "n\n0\n", [note])
    assert asked(words, capsys, caplog) == (0, "n\n4\n", [])


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("mood/warm", "--tag mood/warm: mood/warm is now mood/cosy since snapshot 2: give --tag mood/cosy"),
        (
            "instrument/drums",
            "--tag instrument/drums: instrument/drums is now instrument/bongo and instrument/kit since snapshot 2: "
            "give --tag instrument/bongo --tag instrument/kit",
        ),
        ("mood/calmm", "--tag mood/calmm: snapshot 3 has no tag mood/calmm: did you mean mood/calm?"),
        (
            "mud/*",
            "--tag mud/*: no tag of snapshot 3 matches; `catalog-tagger query TABLE 'SELECT tag FROM taxonomy'` "
            "lists them",
        ),
    ],
)
def test_export_says_what_a_tag_is_now(table, pattern, message):
    with pytest.raises(UsageError) as raised:
        chosen_tags(open_snapshot(table), [pattern])
    assert str(raised.value) == message


def test_export_chooses_by_the_new_id(table):
    assert chosen_tags(open_snapshot(table), ["mood/co*", "instrument/kit"]) == ["instrument/kit", "mood/cosy"]


def test_the_place_of_the_change_is_found():
    pairs = [(with_it, last) for last in range(10) for with_it in range(last + 1)]
    assert [_first_without(begin, 10, last.__ge__) for begin, last in pairs] == [last + 1 for _, last in pairs]


def test_few_snapshots_of_many_are_read(table, monkeypatch):
    history, read = TagHistory(open_snapshot(table)), []
    monkeypatch.setattr("transforms.comparison.tag_history.published_numbers", lambda root: list(range(1, 1001)))
    monkeypatch.setattr(
        TagHistory, "_tags_of", lambda self, number: read.append(number) or ({"mood/warm"} if number < 700 else set())
    )
    history.snapshot.manifest.__dict__["number"] = 1001
    assert history.explain("mood/warm") == "mood/warm is now mood/cosy since snapshot 700"
    assert len(read) < 25
