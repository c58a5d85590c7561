"""Tables whose folders are links: nothing outside of the table is removed, and no search passes tracks over."""

import pytest

from pipelines.cli import main
from tests.support.nightly import age, tag_nightly
from transforms import storage
from transforms.maintenance import collection
from transforms.maintenance.kinds import FOLDERS

DAY = 86_400.0


@pytest.fixture(scope="module")
def nights(tmp_path_factory, bundle):
    table = tmp_path_factory.mktemp("linked") / "table"
    for version in "12":
        tag_nightly(str(table), {"a": version, "b": "1"}, bundle)
    age(table, 10 * DAY)
    return table


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def moved(table, folder):
    """Moves a folder of a table elsewhere, and leaves a link to it."""
    outside = table.parent / "outside"
    outside.mkdir()
    target = (table / folder).rename(outside / "folder")
    (table / folder).symlink_to(target)
    return outside


def inner(table, folder, depth):
    """A folder so many levels below one of a table."""
    path = table / folder
    for _ in range(depth):
        path = next(one for one in sorted(path.iterdir()) if one.is_dir())
    return path.relative_to(table)


PLACES = [
    *((folder, 0) for folder in sorted({*FOLDERS.values(), "leases", "log"} - {"retired", "index"})),
    ("work", 1),
    ("data", 1),
    ("data", 2),
]


@pytest.mark.parametrize(
    "command", [("gc", "--keep-last", "1", "--apply"), ("purge", "--track-id", "a", "--apply", "--reader-grace", "0s")]
)
@pytest.mark.parametrize(("folder", "depth"), PLACES)
def test_nothing_behind_a_link_is_removed(command, folder, depth, nights, copied, capsys):
    table = copied(nights, "table")
    for name in ("leases", "log", "reports"):
        (table / name).mkdir(exist_ok=True)
    outside = moved(table, inner(table, folder, depth))
    before = files(outside) | files(table)
    assert main([command[0], str(table), *command[1:]]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "is a link to a folder" in last and "nothing was removed" in last
    after = files(outside) | files(table)
    new = {path for path in after if path not in before}
    assert {path: after.get(path) for path in before} == before and all(
        "lease" in path or "/" not in path for path in new
    )


def test_a_link_among_what_is_not_the_tables_own_is_no_matter(nights, copied):
    table = copied(nights, "table")
    (table / "notes").mkdir()
    (table / "notes" / "elsewhere").symlink_to(table.parent)
    assert main(["gc", str(table), "--keep-last", "1", "--apply"]) == 0


def test_a_folder_that_becomes_a_link_while_files_are_removed(nights, copied, monkeypatch):
    table = copied(nights, "table")
    outside, once = [], []

    def swapped(found):
        if not once:
            once.append(True)
            outside.append(moved(table, "snapshots"))
        return found

    batches = collection._batches
    monkeypatch.setattr(collection, "_batches", lambda group: map(swapped, batches(group)))
    assert main(["gc", str(table), "--keep-last", "1", "--apply"]) == 1
    assert sorted(files(outside[0])) == ["folder/0000000001.json", "folder/0000000002.json"]


def test_deleting_beneath_a_folder_follows_no_link_below_it(tmp_path):
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "inner" / "file").write_text("kept")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "real" / "inner")
    root = str(tmp_path / "root")
    with pytest.raises(storage.StorageError):
        storage.delete(f"{root}/link/file", beneath=root)
    assert (tmp_path / "real" / "inner" / "file").read_text() == "kept"
    storage.delete(f"{root}/inner/file", beneath=root)
    storage.delete(f"{root}/inner/file", beneath=root)
    assert not (tmp_path / "real" / "inner" / "file").exists()
