"""Libraries may come from someone else: no entities, no external files, no code, bounded memory, no change."""

import hashlib
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import libraries
from tests.support.bounded import run_bounded
from transforms.catalog.importers.places import PathMap
from transforms.catalog.libraries.beets import import_beets
from transforms.catalog.libraries.itunes import import_itunes
from transforms.catalog.libraries.rekordbox import import_rekordbox
from transforms.catalog.libraries.traktor import import_traktor
from transforms.catalog.libraries.xml_records import xml_records

HERE = PathMap()
XML = {
    import_rekordbox: libraries.rekordbox({"TrackID": "1", "Name": "Blue", "Location": "file:///a.mp3"}),
    import_traktor: libraries.traktor({"LOCATION": {"VOLUME": "", "DIR": "/:", "FILE": "a.mp3"}}),
    import_itunes: libraries.itunes({"Track ID": 1, "Name": "Blue", "Location": "file:///a.mp3"}),
}


def written(tmp_path, data):
    (tmp_path / "x.xml").write_bytes(data)
    return str(tmp_path / "x.xml")


def with_doctype(data, declarations):
    """The document with declarations before its outermost element."""
    head, _, body = data.partition(b"<plist" if b"<plist" in data else b"<NML" if b"<NML" in data else b"<DJ_PLAY")
    name = b"DJ_PLAYLISTS" if b"<DJ_PLAY" in data else b"NML" if b"<NML" in data else b"plist"
    opening = data[len(head) : len(data) - len(body)]
    head = head.split(b"<!DOCTYPE")[0]
    return head + b"<!DOCTYPE " + name + b" [" + declarations + b"]>" + opening + body


ATTACKS = {
    "laughs": b'<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
    "external": b'<!ENTITY x SYSTEM "file:///etc/passwd">',
    "public": b'<!ENTITY x PUBLIC "a" "http://127.0.0.1:1/x">',
    "parameter": b'<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;',
    "unparsed": b'<!NOTATION n SYSTEM "x"><!ENTITY x SYSTEM "file:///etc/passwd" NDATA n>',
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("read", XML, ids=lambda read: read.__name__)
def test_entities_are_refused(tmp_path, read, attack):
    with pytest.raises(ValueError, match=r"x\.xml: line \d+: it declares entities"):
        read(written(tmp_path, with_doctype(XML[read], ATTACKS[attack])), HERE)


def test_a_declared_document_type_is_not_fetched(tmp_path):
    """Apple's libraries name theirs by an address."""
    assert b"<!DOCTYPE plist PUBLIC" in XML[import_itunes]
    assert len(import_itunes(written(tmp_path, XML[import_itunes]), HERE).rows) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no element found"),
        (b"not xml", "syntax error"),
        (b"\x00\x01\x02", "not well-formed"),
        (b"<plist><dict></dict></plist>", "this is not a Rekordbox XML: its outermost element is 'plist'"),
        (XML[import_rekordbox][:-30], "this is not whole XML"),
        (XML[import_rekordbox].replace(b"UTF-8", b"EBCDIC-9"), "unknown encoding"),
        (XML[import_rekordbox].replace(b"Blue", b"Bl\xff"), "not well-formed"),
        (b"<DJ_PLAYLISTS>" + b"<NODE>" * 40, "more than 32 levels"),
        (b"<DJ_PLAYLISTS><COLLECTION><TRACK>" + b"<T/>" * 30_000, "a track has more than"),
        (b'<DJ_PLAYLISTS><COLLECTION><TRACK Name="' + b"x" * 3_000_000, "a tag or comment has more than 1048576 bytes"),
        (b"<DJ_PLAYLISTS><!--" + b"x" * 3_000_000, "a tag or comment has more than 1048576 bytes"),
        (b"<DJ_PLAYLISTS><COLLECTION><TRACK>" + b"x" * 2_000_000, "a track has more than"),
    ],
)
def test_what_is_no_library_is_one_sentence(tmp_path, data, message):
    with pytest.raises(ValueError, match=r"x\.xml") as caught:
        import_rekordbox(written(tmp_path, data), HERE)
    assert message in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_damage_gives_rows_or_one_error(tmp_path, data):
    read = data.draw(st.sampled_from(list(XML)))
    content = bytearray(XML[read])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    try:
        found = read(written(tmp_path, bytes(content)), HERE)
    except ValueError as e:
        assert "x.xml" in str(e)
    else:
        assert len(found.rows) + found.lost_count + found.passed_over.counts.total() <= 1


def test_memory_does_not_grow_with_the_document(tmp_path):
    """80 MB of text and of other elements between tracks are passed over in 40 MB."""
    path = tmp_path / "large.xml"
    with path.open("wb") as file:
        file.write(b"<DJ_PLAYLISTS><COLLECTION>")
        for _ in range(80):
            file.write(b'<TRACK TrackID="1"/>' + b" " * 1_000_000 + b"<X>" + b"<Y/>" * 5_000 + b"</X>")
        file.write(b"</COLLECTION></DJ_PLAYLISTS>")
    code = (
        f"print(sum(1 for _ in xml_records({str(path)!r}, ('DJ_PLAYLISTS', 'COLLECTION', 'TRACK'), 'a Rekordbox XML')))"
    )
    imports = "from transforms.catalog.libraries.xml_records import xml_records"
    assert run_bounded(code, megabytes=40, imports=imports).strip() == "80"


def test_records_are_where_the_path_says(tmp_path):
    url = written(tmp_path, b"<a><b><c n='1'><c n='2'/></c></b><c n='3'/><b><c n='4'>t<d/>u</c></b></a>")
    found = list(xml_records(url, ("a", "b", "c"), "x"))
    assert [element.attributes["n"] for element in found] == ["1", "4"]
    assert found[1].text == "tu" and [child.name for child in found[0].children] == ["c"]


ITEM = {"id": 1, "path": b"/a.mp3", "title": "Blue", "artist": "Anna"}


def state(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_database_is_not_changed_and_nothing_is_left_beside_it(tmp_path):
    url = libraries.beets(tmp_path / "library.db", ITEM)
    before = state(tmp_path), (tmp_path / "library.db").stat().st_mtime_ns
    assert len(import_beets(url, HERE).rows) == 1
    assert (state(tmp_path), (tmp_path / "library.db").stat().st_mtime_ns) == before


def test_changes_that_another_program_has_not_moved_into_the_database_are_read(tmp_path):
    url = libraries.beets(tmp_path / "library.db", ITEM)
    writer = sqlite3.connect(url)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO items (id, path) VALUES (2, ?)", (b"/b.mp3",))
    writer.commit()
    before = state(tmp_path)
    assert (tmp_path / "library.db-wal").stat().st_size and set(import_beets(url, HERE).rows) == {"1", "2"}
    assert state(tmp_path) == before
    writer.close()


def test_what_the_database_defines_is_not_executed(tmp_path):
    url = str(tmp_path / "library.db")
    connection = sqlite3.connect(url)
    connection.execute("CREATE VIEW items AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
                       "SELECT id, 'x' AS path FROM n")  # fmt: skip
    connection.close()
    with pytest.raises(ValueError, match="this is not a Beets library"):
        import_beets(url, HERE)
    url = str(tmp_path / "virtual.db")
    connection = sqlite3.connect(url)
    connection.execute("PRAGMA writable_schema = ON")  # whether or not this SQLite has the module
    sql = "CREATE VIRTUAL TABLE items USING rtree(id, path, other)"
    connection.execute("INSERT INTO sqlite_master VALUES ('table', 'items', 'items', 0, ?)", (sql,))
    connection.commit()
    connection.close()
    with pytest.raises(ValueError, match="this is not a Beets library"):
        import_beets(url, HERE)
    url = str(tmp_path / "computed.db")
    connection = sqlite3.connect(url)
    connection.execute("CREATE TABLE items (id INTEGER, path BLOB, title TEXT AS (hex(zeroblob(100000))))")
    connection.execute("INSERT INTO items (id, path) VALUES (1, ?)", (b"/a.mp3",))
    connection.commit()
    connection.close()
    assert "title" not in import_beets(url, HERE).rows["1"]


def test_a_journal_deletes_no_file(tmp_path):
    """A rollback journal may name a second file, which SQLite reads and deletes once it has rolled back."""
    url = libraries.beets(tmp_path / "library.db", ITEM)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "library.db-journal").write_bytes(libraries.journal(tmp_path / "library.db", str(victim).encode()))
    with pytest.raises(ValueError, match=r"library\.db: the journal beside it belongs to several databases"):
        import_beets(url, HERE)
    assert victim.read_text() == "precious"
    (tmp_path / "library.db-journal").write_bytes(libraries.journal(tmp_path / "library.db", b""))
    assert len(import_beets(url, HERE).rows) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is no SQLite file"),
        (b"x" * 5000, "it is no SQLite file"),
        (b"SQLite format 3\0" * 400, "cannot be read"),
    ],
)
def test_other_files_are_named(tmp_path, data, message):
    (tmp_path / "library.db").write_bytes(data)
    with pytest.raises(ValueError, match=r"library\.db: .*Beets library") as caught:
        import_beets(str(tmp_path / "library.db"), HERE)
    assert message in str(caught.value)


def test_a_huge_value_is_refused_and_one_that_is_not_read_costs_nothing(tmp_path):
    url = libraries.beets(tmp_path / "library.db", ITEM | {"lyrics": "x" * 3_000_000})
    assert import_beets(url, HERE).rows["1"]["title"] == "Blue"
    url = libraries.beets(tmp_path / "title.db", ITEM | {"title": "x" * 3_000_000})
    with pytest.raises(ValueError, match=r"title\.db: .*too big"):
        import_beets(url, HERE)


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_damage_of_a_database_gives_rows_or_one_error(tmp_path, data):
    path = tmp_path / "library.db"
    if not path.exists():
        libraries.beets(path, *({**ITEM, "id": number} for number in range(1, 50)))
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    for place in data.draw(st.lists(st.integers(16, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        found = import_beets(str(path), HERE)
    except ValueError as e:
        assert "library.db" in str(e)
    else:
        assert found.read <= 1000
