"""The counts of the code's structure, and the page with the road of `tag`."""

import re
from pathlib import Path

from benchmarks.road import Road, module_name, road_page, room
from benchmarks.structure import PACKAGES, circles, files_per_folder, names_in_several_modules, read_modules, room_graph

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "road-of-tag.md").read_text(encoding="utf-8")


def write(root: Path, **texts: str) -> Path:
    """A checkout with these files, named by their dotted names."""
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_road_names_modules_that_exist_and_their_rooms() -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    rooms = {module_name(path, ROOT): room(path, ROOT) for path in paths}
    listed = re.findall(r"^\| \d+ \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.M)
    assert listed and all(rooms.get(name) == where for name, where in listed), "run `make docs`"
    assert road_page(Road(*map(tuple, zip(*listed, strict=True)))) == PAGE


def test_the_road_leads_from_the_command_line_to_the_commit() -> None:
    listed = re.findall(r"^\| \d+ \| `([^`]+)`", PAGE, re.M)
    assert listed[0] == "pipelines.cli"
    stations = ("pipelines.waves.catalog_rows", "transforms.extraction.child", "transforms.publishing.commit")
    places = [listed.index(name) for name in stations]
    assert places == sorted(places)


def test_counts_of_a_small_checkout(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        pipelines__tag="from transforms.audio import flac\nSAME = 1\n",
        transforms__audio__flac="import transforms.audio.mp3\nSAME: int = 2\n",
        transforms__audio__mp3="def f():\n    from transforms.audio.flac import SAME\n",
        transforms__table__rows="from transforms.audio.flac import SAME\n_OWN = 1\n",
    )
    modules = read_modules(root)
    assert names_in_several_modules(modules) == ["SAME"]
    assert files_per_folder(root) == {"pipelines": 1, "transforms/audio": 2, "transforms/table": 1}
    assert room_graph(modules) == {
        "pipelines": {"transforms.audio"},
        "transforms.audio": set(),
        "transforms.table": {"transforms.audio"},
    }


def test_circles() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"e"}, "e": {"d"}}) == [["b", "c"], ["d", "e"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
