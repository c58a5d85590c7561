"""Makes catalogs from the metadata files of published datasets: MTG-Jamendo, MagnaTagATune, FMA."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from transforms import storage
from transforms.catalog.importers.builder import CatalogBuilder, RowTags
from transforms.catalog.importers.layout import CsvLayout
from transforms.catalog.importers.source_table import SourceRow, SourceTable, read_table
from transforms.catalog.importers.tabular import import_csv
from transforms.taxonomy.tag_ids import shown, slug, tag_id

SPLIT = "split"
"""Name of the further column with the official split, for `prepare --split-column split`."""

_MTG_COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
_MTG_FIELDS = len(_MTG_COLUMNS) - 1
"""Least number of fields of a row. Tags fill the further ones."""


def import_mtg_jamendo(urls: Sequence[str], splits: str | None = None) -> CatalogBuilder:
    """Reads MTG-Jamendo's `autotagging*.tsv`, in which tags fill a variable number of columns at the end of a row.

    Args:
      urls: one or more of these tables. The tags of a track that is in several of them are joined.
      splits: folder and common prefix of the official split's files, such as `splits/split-0/autotagging`. If there is
        no `-train.tsv` with the other two, all other tracks are for training.

    Raises:
      ValueError: a table does not have MTG-Jamendo's columns.
    """
    imported = CatalogBuilder()
    for url in urls:
        source = _mtg_table(url)
        imported.sources.append(source.text)
        for row in imported.rows_of(source, ragged=True):
            if len(row.values) < _MTG_FIELDS:
                imported.lose(row, f"{len(row.values)} fields, at least {_MTG_FIELDS} are needed")
            else:
                _add_mtg(imported, row)
    if splits is not None:
        _add_splits(imported, _mtg_splits(splits))
    return imported


def _add_mtg(imported: CatalogBuilder, row: SourceRow) -> None:
    track, artist, album, path, duration, *names = (field.strip() for field in row.values)
    tags: RowTags = {}
    for name in names:
        try:
            tags |= {tag_id(name): None} if name else {}
        except ValueError as e:
            imported.leave_out(row, _MTG_COLUMNS[-1], str(e))
    values = {"track_id": track, "artist_id": artist, "album_id": album, "uri": path, "duration": duration}
    imported.add(row, {**values, "tags": tags})


def _mtg_table(url: str) -> SourceTable:
    source = read_table(url)
    if tuple(source.names[: len(_MTG_COLUMNS)]) != _MTG_COLUMNS:
        raise ValueError(f"{url}: the columns are {list(source.names)}, MTG-Jamendo's are {list(_MTG_COLUMNS)}")
    return source


def _mtg_splits(prefix: str) -> dict[str, str]:
    """track_id -> split, for the tracks that the files name."""
    sides: dict[str, str] = {}
    for split in ("train", "validation", "test"):
        url = f"{prefix}-{split}.tsv"
        if split == "train" and not storage.exists(url):
            continue
        for row in _mtg_table(url).rows():
            track = row.values[0]
            if sides.setdefault(track, split) != split:
                raise ValueError(f"{url}: {track} is in {sides[track]}, too")
    return sides


def _add_splits(imported: CatalogBuilder, splits: Mapping[str, str]) -> None:
    others = "none" if "train" in splits.values() else "train"
    for track, row in imported.rows.items():
        row[SPLIT] = splits.get(track, others)


SYNONYMS = {
    "ambient": ("ambience",),
    "beat": ("beats",),
    "chant": ("chanting", "chants"),
    "choir": ("choral", "choirs"),
    "classical": ("classic", "clasical"),
    "drum": ("drums",),
    "electronic": ("electro", "electronica", "electric music"),
    "fast": ("fast beat", "quick"),
    "female_vocal": (
        *("female", "woman", "women", "woman singing", "female singer", "female singing", "female voice"),
        *("female vocals", "female opera singer"),
    ),
    "flute": ("flutes",),
    "funk": ("funky",),
    "guitar": ("guitars",),
    "harpsichord": ("harpsicord",),
    "heavy_metal": ("heavy", "metal"),
    "horn": ("horns",),
    "indian": ("india",),
    "jazz": ("jazzy",),
    "male_vocal": (*("male", "man", "men", "man singing", "male singer", "male singing", "male voice", "male vocals"),),
    "no_beat": ("no beats",),
    "no_vocal": ("no vocals", "no voice", "no voices", "no singer", "no singing"),
    "orchestra": ("orchestral",),
    "quiet": ("silence",),
    "singing": ("singer", "sing"),
    "space": ("spacey",),
    "string": ("strings",),
    "synth": ("synthesizer",),
    "violin": ("violins",),
    "vocal": ("vocals", "voice", "voices"),
    "weird": ("strange",),
}
"""Tag -> synonyms that players of the tagging game used."""


def import_magnatagatune(
    annotations: str, clip_info: str | None = None, *, top: int | None = 50, merge: bool = True
) -> CatalogBuilder:
    """Reads MagnaTagATune's `annotations_final.csv` with one column per tag, or a table of clips with a column `tags`.

    The split that is common in papers depends on the folder of the file: 0 to b train, c validation, d to f test.

    Args:
      annotations: that table, with `clip_id` and `mp3_path`, or with `clip_id`, `path` and `tags` (joined by `|`).
      clip_info: `clip_info_final.csv` with artist, album and title of each clip.
      top: number of most frequent tags to keep; None keeps all.
      merge: whether synonyms are merged first. They become aliases in the taxonomy.

    Raises:
      ValueError: a table lacks a required column.
    """
    imported = import_csv(annotations, _magna_layout(annotations))
    for row in imported.rows.values():
        folder = row["uri"].partition("/")[0]
        row[SPLIT] = "validation" if folder == "c" else "test" if folder in ("d", "e", "f") else "train"
        row["tags"] = {tag: weight for tag, weight in row["tags"].items() if weight != 0}
    if merge:
        _merge_synonyms(imported)
    if top is not None:
        counts = imported.tag_counts()
        imported.keep_tags(sorted(counts, key=lambda tag: (-counts[tag], tag))[:top])
    if clip_info is not None:
        _add_clip_info(imported, clip_info)
    return imported


def _magna_layout(url: str) -> CsvLayout:
    if "tags" in read_table(url).names:
        return CsvLayout(
            renamed={"track_id": "clip_id", "uri": "path"}, lists=[("tag", "tags")], separator="|", typed=False
        )
    return CsvLayout(renamed={"track_id": "clip_id", "uri": "mp3_path"}, wide=[("tag", ["*"])], typed=False)


def _merge_synonyms(imported: CatalogBuilder) -> None:
    meant = {f"tag/{slug(name)}": f"tag/{tag}" for tag, names in SYNONYMS.items() for name in names}
    aliases: dict[str, set[str]] = {}
    for row in imported.rows.values():
        for tag in row["tags"]:
            if tag in meant:
                aliases.setdefault(meant[tag], set()).add(tag)
        row["tags"] = {meant.get(tag, tag): weight for tag, weight in row["tags"].items()}
    imported.aliases.update({tag: tuple(sorted(names)) for tag, names in aliases.items()})


def _add_clip_info(imported: CatalogBuilder, url: str) -> None:
    source = read_table(url)
    places = {name: source.place(name) for name in ("clip_id", "title", "artist", "album")}
    for row in source.rows():
        if isinstance(row.fields, ValueError) or len(row.fields) != len(source.names):
            message = str(row.fields) if isinstance(row.fields, ValueError) else source.uneven(row)
            imported.leave_out(row, "clip_info", message)
        elif (track := imported.rows.get(row.fields[places["clip_id"]])) is not None:
            track.update({name: row.fields[place] for name, place in places.items() if name != "clip_id"})


def import_fma(tracks: str, genres: str, subset: str | None = None) -> CatalogBuilder:
    """Reads FMA's `tracks.csv` (three header lines) and `genres.csv`.

    The tags are `top_genre` (multiclass) and `genre` with FMA's hierarchy as parents. The split is the official one.

    Args:
      tracks: `tracks.csv`.
      genres: `genres.csv`, names and parents of the genres.
      subset: `small`, `medium` or `large`: tracks of this subset and of smaller ones; None: all tracks.

    Raises:
      ValueError: a table lacks a required column, or the subset is unknown.
    """
    imported = CatalogBuilder(kinds={"top_genre": "multiclass"})
    ids = _fma_genres(imported, genres)
    source = read_table(tracks, headers=2)
    imported.sources.append(source.text)
    columns = {name: source.place(column) for name, column in _FMA_COLUMNS.items()}
    wanted = _fma_subsets(subset)
    for row in imported.rows_of(source):
        values = {name: row.values[place].strip() for name, place in columns.items()}
        if row.values[0] == "track_id":  # the third header line, which names the index
            continue
        if not row.values[0].isdecimal():
            imported.lose(row, f"{shown(row.values[0])} is not the number of a track")
        elif values["subset"] in wanted:
            _add_fma(imported, row, {**values, "track_id": row.values[0]}, ids)
    return imported


_FMA_COLUMNS = {
    "artist_id": "artist.id",
    "artist": "artist.name",
    "album_id": "album.id",
    "album": "album.title",
    "title": "track.title",
    "language": "track.language_code",
    "released": "album.date_released",
    "duration": "track.duration",
    SPLIT: "set.split",
    "subset": "set.subset",
    "genre_top": "track.genre_top",
    "genres": "track.genres",
}
_FMA_SPLITS = {"training": "train", "validation": "validation", "test": "test"}


def _fma_subsets(subset: str | None) -> set[str]:
    order = ["small", "medium", "large", "full"]
    if subset is not None and subset not in order:
        raise ValueError(f"subset {subset!r}: choose {', '.join(order)}")
    return set(order[: order.index(subset or "full") + 1])


def _fma_genres(imported: CatalogBuilder, url: str) -> dict[str, str]:
    """Genre number -> tag. Adds names and parents to the catalog's taxonomy."""
    source = read_table(url)
    number, title, parent = (source.place(name) for name in ("genre_id", "title", "parent"))
    rows = [row.values for row in source.whole_rows()]
    slugs = [slug(fields[title]) for fields in rows]
    ids = {
        fields[number]: f"genre/{one}" if slugs.count(one) == 1 else f"genre/{one}_{fields[number]}"
        for fields, one in zip(rows, slugs, strict=True)
    }
    for fields in rows:
        imported.names[ids[fields[number]]] = fields[title].strip()
        if fields[parent] not in ("", "0"):
            imported.parents[ids[fields[number]]] = (ids[fields[parent]],)
    return ids


def _add_fma(imported: CatalogBuilder, row: SourceRow, values: dict[str, Any], ids: Mapping[str, str]) -> None:
    genres, top, released = (values.pop(name) for name in ("genres", "genre_top", "released"))
    try:
        tags = _fma_tags(genres, top, ids)
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError) as e:
        imported.leave_out(row, "genres", f"genres cannot be read ({e})")
        tags = {}
    key = int(values["track_id"])
    uri = f"{key // 1000:03d}/{key:06d}.mp3"
    split = _FMA_SPLITS.get(values[SPLIT], "none")
    imported.add(row, {**values, "uri": uri, "year": released, SPLIT: split, "tags": tags})


def _fma_tags(genres: str, top: str, ids: Mapping[str, str]) -> RowTags:
    tags: RowTags = dict.fromkeys(ids[str(number)] for number in ast.literal_eval(genres or "[]"))
    if top:
        tags[f"top_genre/{slug(top)}"] = None
    return tags
