"""Arrow schema of a catalog row."""

import pyarrow as pa

from transforms.schemas.columns import column

FILE, ROW = "_file", "_row"
"""Columns with the origin of a catalog row: the URL of its file, and its data row in that file, from 1."""


TAG_WEIGHT = pa.struct([pa.field("tag", pa.string(), nullable=False), pa.field("weight", pa.float32())])


CATALOG = pa.schema(
    [
        column("track_id", pa.string(), "Unique, non-empty key of the track, kept character by character."),
        column("uri", pa.string(), "Audio file: a path under the catalog root, a local path from `/`, or `gs://`."),
        column("artist_id", pa.string(), "Artist key: splits never share an artist.", nullable=True),
        column("album_id", pa.string(), "Album key.", nullable=True),
        column("title", pa.string(), "Title.", nullable=True),
        column("artist", pa.string(), "Artist's name; replaces a missing artist_id.", nullable=True),
        column("year", pa.int32(), "Year, 1000 to 9999.", nullable=True),
        column("country", pa.string(), "Country.", nullable=True),
        column("language", pa.string(), "Language.", nullable=True),
        column(
            "source_version",
            pa.string(),
            "A value that changes when the audio changes. Without it, the file's folder is listed to get one.",
            nullable=True,
        ),
        column(
            "tags",
            pa.list_(pa.field("element", TAG_WEIGHT, nullable=False)),
            "Annotated tags, sorted by id; a null weight counts as 1.",
            nullable=True,
        ),
    ]
)
"""Known columns. Further columns of the catalog follow under their own names, then `_file` and `_row`."""

ALBUM = column("album", pa.string(), "Album's name, from the metadata of the audio file.", nullable=True)
"""Further column of a catalog written by `import folder`."""


def split_column(name: str) -> pa.Field:
    """The column that `split` adds to a catalog."""
    return column(name, pa.string(), "Split of the track: `train`, `validation`, `test` or `none`.")
