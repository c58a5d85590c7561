"""Source versions from listings: one look at a folder, whatever way it is written."""

from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipelines.launch.beam import LOCAL
from transforms import storage, version_sources
from transforms.formats.arrow import from_ipc, to_ipc
from transforms.storage import SourceRoots
from transforms.tagging.outcomes.prior import MISSING
from transforms.version_sources import UNLISTED, VersionSources


def _versions(root: Path, *rows: tuple[str, str | None], allowed: tuple[str, ...] = ()) -> dict[str, str]:
    """Source version of each uri, through the transform."""
    roots = SourceRoots(str(root), allowed)
    table = pa.table({"uri": [uri for uri, _ in rows], "source_version": pa.array([v for _, v in rows], pa.string())})
    found: dict[str, str] = {}
    batches = [to_ipc(table.slice(0, 2)), to_ipc(table.slice(2))]
    sources = iter(batches)
    known, groups = [], {}
    for batch in sources:
        for item in version_sources._split(batch, roots):
            if isinstance(item, beam.pvalue.TaggedOutput):
                groups.setdefault(item.value[0], []).append(item.value[1])
            else:
                known.append(item)
    listed = [version_sources._from_listing(group, roots) for group in groups.items()]
    for part in known + listed:
        found |= dict(zip(*from_ipc(part).select(["uri", "source_version"]).to_pydict().values(), strict=True))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1.wav", "a/2.wav", "b/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_versions_come_from_the_listing(root: Path) -> None:
    listed = {f.url: f.version for f in storage.list_files(str(root))}
    found = _versions(root, ("a/1.wav", None), ("b/1.wav", None), ("a/3.wav", None), ("c/1.wav", None))
    assert found["a/1.wav"] == listed[f"{root}/a/1.wav"] and found["b/1.wav"] == listed[f"{root}/b/1.wav"]
    assert (found["a/3.wav"], found["c/1.wav"]) == (MISSING, MISSING)


def test_a_folder_written_in_another_way_is_the_same_folder(root: Path) -> None:
    found = _versions(root, ("a/1.wav", None), ("./a/1.wav", None), ("a//1.wav", None), ("b/../a/1.wav", None))
    assert len(set(found.values())) == 1 and MISSING not in found.values()


def test_given_versions_are_kept_and_cost_no_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "list_folder", lambda url, **_: pytest.fail("listed"))
    assert _versions(root, ("a/1.wav", "v1"), ("nowhere/2.wav", "v2")) == {"a/1.wav": "v1", "nowhere/2.wav": "v2"}


def test_each_folder_is_listed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = storage.list_folder
    monkeypatch.setattr(storage, "list_folder", lambda url, roots: calls.append(url) or real(url, roots=roots))
    _versions(root, ("a/1.wav", None), ("b/1.wav", None), ("a/2.wav", None), ("b/9.wav", None))
    assert sorted(calls) == [f"{root}/a/", f"{root}/b/"]


def test_as_a_transform(root: Path) -> None:
    table = pa.table({"uri": ["a/1.wav", "a/2.wav"], "source_version": pa.array(["mine", None], pa.string())})
    with beam.Pipeline(LOCAL) as pipeline:
        found = pipeline | beam.Create([to_ipc(table)]) | VersionSources(SourceRoots(str(root)))
        kept = found | beam.FlatMap(lambda batch: from_ipc(batch)["uri"].to_pylist())
        assert_that(kept, equal_to(["a/1.wav", "a/2.wav"]))


def test_a_folder_that_may_not_be_listed_leaves_its_rows_to_be_tried(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_folder = storage.list_folder

    def refuse(url: str, **roots: object) -> object:
        if url.endswith("/b/"):
            raise storage.PermissionDenied(f"{url}: Permission denied")
        return list_folder(url, **roots)

    monkeypatch.setattr(storage, "list_folder", refuse)
    found = _versions(root, ("a/1.wav", None), ("b/1.wav", None))
    assert found["b/1.wav"] == UNLISTED
    assert found["a/1.wav"] not in (UNLISTED, MISSING)


def test_an_unavailable_listing_fails_the_job(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every track of the folder would look changed, and be decoded again."""

    def fail(url: str, **_: object) -> object:
        raise storage.Unavailable(f"{url}: still failing")

    monkeypatch.setattr(storage, "list_folder", fail)
    with pytest.raises(storage.Unavailable):
        _versions(root, ("a/1.wav", None))


def test_files_at_the_root_of_the_disk_are_looked_for_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(storage, "list_folder", lambda url, **_: asked.append(url) or iter(()))
    _versions(root, ("/one.wav", None), allowed=("/",))
    assert asked == ["/"]


def test_a_folder_outside_of_the_roots_is_not_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = root.parent / f"{root.name}-outside"
    outside.mkdir()
    (outside / "1.wav").write_bytes(b"1")
    (root / "linked").symlink_to(outside)
    rows = [(f"{outside}/1.wav", None), ("linked/1.wav", None), (f"../{outside.name}/1.wav", None)]
    assert set(_versions(root, *rows).values()) == {UNLISTED}
    assert set(_versions(root, *rows, allowed=(str(outside),)).values()).isdisjoint({UNLISTED, MISSING})
