"""Paths of other machines: what is recognised, where it is mapped to, and what a user is told."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.catalog.importers.places import PathMap, UnmappedPath, UnmappedPaths, parse_maps
from transforms.catalog.problems import Problem

MAPS = parse_maps(
    [r"D:\Music=/mnt/music", r"D:\Music\Live=/mnt/live", r"\\nas\share=gs://bucket/x", "/Users/a=/home/a", r"\Old=/old"]
)
UNMAPPED = [r"E:\a.mp3", "E:/a.mp3", "file:///E:/a.mp3", r"\\other\x\a.mp3", r"D:\Musical\a.mp3", r"\Music\a.mp3"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (r"D:\Music\A\b.mp3", "/mnt/music/A/b.mp3"),
        (r"d:\MUSIC\A\b.mp3", "/mnt/music/A/b.mp3"),
        ("D:/Music/A/b.mp3", "/mnt/music/A/b.mp3"),
        (r"D:\Music\Live\b.mp3", "/mnt/live/b.mp3"),
        (r"\\nas\share\b.mp3", "gs://bucket/x/b.mp3"),
        (r"\\NAS\Share\A\b.mp3", "gs://bucket/x/A/b.mp3"),
        ("file://localhost/D:/Music/a%20b%231.mp3", "/mnt/music/a b#1.mp3"),
        ("file:///D:/Music/%C3%BC.mp3", "/mnt/music/ü.mp3"),
        ("file://D:/Music/b.mp3", "/mnt/music/b.mp3"),
        ("FILE:///Users/a/b.mp3", "/home/a/b.mp3"),
        ("file://nas/share/b.mp3", "gs://bucket/x/b.mp3"),
        ("file:/Users/a/b.mp3", "/home/a/b.mp3"),
        ("/Users/a/b.mp3", "/home/a/b.mp3"),
        ("/users/a/b.mp3", "/users/a/b.mp3"),
        ("/Users/anna/b.mp3", "/Users/anna/b.mp3"),
        ("gs://other/b.mp3", "gs://other/b.mp3"),
        ("http://host/b.mp3", "http://host/b.mp3"),
        (r"\Old\a\b.mp3", "/old/a/b.mp3"),
        ("A/b.mp3", "/base/A/b.mp3"),
        (r"A\b.mp3", "/base/A/b.mp3"),
        (r"A/b\c.mp3", r"/base/A/b\c.mp3"),
        ("D:\\Music\\.\\A\\..\\b.mp3", "/mnt/music/b.mp3"),
        ("100%.mp3", "/base/100%.mp3"),
    ],
)
def test_paths_of_other_machines(text, place):
    assert MAPS.place(text, "/base") == place


@pytest.mark.parametrize("text", UNMAPPED)
def test_paths_of_windows_that_nothing_maps(text):
    with pytest.raises(UnmappedPath) as caught:
        MAPS.place(text)
    assert "\\" in caught.value.path and "/" not in caught.value.path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"D:\Music\..\..\etc\passwd", "names no file below the folder that --map replaces"),
        ("D:\\Music\\", "names no file below"),
        ("file:///%FF.mp3", "the path is not UTF-8"),
        ("file:///a%00b.mp3", "names no file"),
        ("file://", "names no file"),
    ],
)
def test_wrong_paths(text, message):
    with pytest.raises(ValueError, match=message):
        MAPS.place(text)


@pytest.mark.parametrize("text", ["D:", "=x", "D:\\Music=", r"D:\Music=E:\Music", "x=http://host"])
def test_wrong_maps(text):
    with pytest.raises(ValueError, match="--map="):
        parse_maps([text])


names = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(names, min_size=1, max_size=5))
def test_what_is_below_a_mapped_folder_keeps_its_name(parts):
    path = "\\".join(["D:", "Music", "All", *parts])
    assert parse_maps([r"d:\music\all=/here"]).place(path) == posixpath.join("/here", *parts)


@given(st.text())
def test_any_text_gives_a_path_or_an_error(text):
    try:
        assert isinstance(MAPS.place(text, "/base"), str)
    except ValueError as e:
        assert str(e)


@given(st.lists(names, min_size=1, max_size=4))
def test_paths_without_windows_and_maps_stay(parts):
    path = "/" + "/".join(parts)
    if not path[1:2].isalpha() or path[2:3] != ":":
        assert PathMap().place(path) == path


def test_one_message_names_the_flag_for_each_drive():
    found = UnmappedPaths()
    for path in (r"D:\Music\A\1.mp3", r"D:\Music\B\2.mp3", r"e:\x\3.mp3", r"E:\x\y\4.mp3", r"\\nas\share\a\5.mp3"):
        found.add(path, Problem(file="t.csv", row=7, column=None, message="", line=8))
    assert list(found.flags()) == [r"--map 'D:\Music=FOLDER'", r"--map 'E:\x=FOLDER'", r"--map '\\nas\share\a=FOLDER'"]
    assert found.message().startswith(
        r"5 rows have paths of Windows, for example 'D:\\Music\\A\\1.mp3' (t.csv, row 7 (line 8)): give --map"
    )
    one = UnmappedPaths()
    one.add(r"D:\Music\1.mp3")
    assert one.message().startswith(r"1 row has a path of Windows, for example 'D:\\Music\\1.mp3': give --map")
