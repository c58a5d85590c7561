"""Small libraries of other programs, in the forms that those programs write."""

import plistlib
import sqlite3
import struct
from xml.sax.saxutils import quoteattr

BEETS_COLUMNS = {
    "id": "INTEGER PRIMARY KEY",
    "path": "BLOB",
    "title": "TEXT",
    "artist": "TEXT",
    "album": "TEXT",
    "genre": "TEXT",
    "genres": "TEXT",
    "year": "INTEGER",
    "month": "INTEGER",
    "day": "INTEGER",
    "bpm": "INTEGER",
    "initial_key": "TEXT",
    "length": "REAL",
    "added": "REAL",
    "mb_artistid": "TEXT",
    "mb_trackid": "TEXT",
    "lyrics": "TEXT",
}


def _element(name, attributes, inner=""):
    return f"<{name} {' '.join(f'{key}={quoteattr(str(value))}' for key, value in attributes.items())}>{inner}</{name}>"


def rekordbox(*tracks):
    """A collection of tracks, each a mapping of attributes."""
    elements = "\n".join(_element("TRACK", track, '<TEMPO Inizio="0.1" Bpm="124.0"/>') for track in tracks)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<DJ_PLAYLISTS Version="1.0.0">\n<PRODUCT Name="rekordbox"/>\n'
        f'<COLLECTION Entries="{len(tracks)}">\n{elements}\n</COLLECTION>\n'
        '<PLAYLISTS><NODE Type="0" Name="ROOT"><NODE Name="x" Type="1"><TRACK Key="1"/></NODE></NODE></PLAYLISTS>'
        "</DJ_PLAYLISTS>\n"
    ).encode()


def traktor(*entries):
    """A collection of entries, each a mapping of element (`ENTRY` for its own) to attributes."""
    made = []
    for entry in entries:
        inner = "".join(_element(name, attributes) for name, attributes in entry.items() if name != "ENTRY")
        made.append(_element("ENTRY", entry.get("ENTRY", {}), inner))
    playlist = '<NODE TYPE="PLAYLIST"><PLAYLIST><ENTRY><PRIMARYKEY KEY="x"/></ENTRY></PLAYLIST></NODE>'
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n<NML VERSION="19"><HEAD/>'
        f'<COLLECTION ENTRIES="{len(made)}">{"".join(made)}</COLLECTION><PLAYLISTS>{playlist}</PLAYLISTS></NML>'
    ).encode()


def itunes(*tracks):
    """A library of tracks, each a mapping of keys, with a playlist."""
    numbered = {str(track["Track ID"]): track for track in tracks}
    items = [{"Track ID": track["Track ID"]} for track in tracks]
    return plistlib.dumps(
        {"Major Version": 1, "Tracks": numbered, "Playlists": [{"Name": "x", "Playlist Items": items}]},
        sort_keys=False,
    )


def beets(path, *items, attributes=()):
    """Writes a library of items, each a mapping of columns, with (item, key, value) of flexible attributes."""
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE items ({', '.join(f'{name} {kind}' for name, kind in BEETS_COLUMNS.items())})")
    connection.execute("CREATE TABLE item_attributes (id INTEGER PRIMARY KEY, entity_id INTEGER, key TEXT, value TEXT)")
    for item in items:
        marks = ", ".join("?" * len(item))
        connection.execute(f"INSERT INTO items ({', '.join(item)}) VALUES ({marks})", tuple(item.values()))
    connection.executemany("INSERT INTO item_attributes (entity_id, key, value) VALUES (?, ?, ?)", attributes)
    connection.commit()
    connection.close()
    return str(path)


def journal(path, other):
    """A rollback journal of a database, as a killed transaction leaves it; `other` is the file that it names."""
    connection = sqlite3.connect(path)
    (size,), (pages,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "page_count"))
    connection.close()
    page, nonce = path.read_bytes()[:size], 7
    checksum = nonce + sum(page[place] for place in range(size - 200, 0, -200))
    magic = bytes.fromhex("d9d505f920a163d7")
    head = (magic + struct.pack(">5I", 1, nonce, pages, 512, size)).ljust(512, b"\0")
    record = struct.pack(">I", 1) + page + struct.pack(">I", checksum)
    if not other:
        return head + record
    return (
        head
        + record
        + struct.pack(">I", 2**30 // size + 1)
        + other
        + struct.pack(">2I", len(other), sum(other))
        + magic
    )
