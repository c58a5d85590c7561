"""Sources are looked up before a job: none there ends it at once, with the likely root; some missing is a warning."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.checks import in_time, nearby, sources
from pipelines.checks.in_time import answer_in_time, answers_in_time
from pipelines.checks.nearby import Nearby, find_root
from pipelines.checks.sources import look_up_sources, require_sources, sampled_rows, spread
from pipelines.cli import main
from pipelines.planning.job import _require_few_known_rejects
from pipelines.terminal.errors import CommandFailed, UsageError
from tests.support.waiting import PATIENCE_S, wait_until
from tests.support.world import World, tag_code
from transforms import storage
from transforms.catalog.reader import default_root, list_shards
from transforms.publishing.gates import GateLimits
from transforms.storage import SourceRoots
from transforms.tagging.forecast import Forecast


def write(path: Path, uris: list[str], tags: list[list[str]] | None = None, group: int = 1000) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict = {"track_id": [f"t{number}" for number in range(len(uris))], "uri": uris}
    if tags is not None:
        columns["tags"] = pa.array(tags, pa.list_(pa.string()))
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return str(path)


def make_files(folder: Path, uris: list[str]) -> None:
    for uri in uris:
        (folder / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / uri).touch()


URIS = [f"a/{number}.mp3" for number in range(20)]


def test_the_sample_is_spread_over_row_groups_and_bounded(tmp_path: Path) -> None:
    shards = list_shards(write(tmp_path / "c.parquet", [f"{number}.mp3" for number in range(30_000)]))
    rows = sampled_rows(shards)["uri"].to_pylist()
    assert len(rows) == len(set(rows)) == sources.SAMPLED
    assert {int(uri.split(".")[0]) // 1000 for uri in rows} == {round(i * 29 / 9) for i in range(10)}
    few = list_shards(write(tmp_path / "d.parquet", ["x.mp3"]))
    assert sampled_rows(few)["uri"].to_pylist() == ["x.mp3"]


def test_of_a_large_file_only_the_first_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("track_id,uri\n" + "".join(f"t{n},{n}.mp3\n" for n in range(12_000)))
    rows = [int(uri.split(".")[0]) for uri in sampled_rows(list_shards(str(path)))["uri"].to_pylist()]
    assert len(rows) == 50 and sources.MOST_ROWS_READ - 100 < max(rows) < sources.MOST_ROWS_READ + 1100


def test_for_training_only_labelled_rows_are_sampled(tmp_path: Path) -> None:
    tags = [["mood/calm"] if number % 2 else [] for number in range(20)]
    shards = list_shards(write(tmp_path / "c.parquet", URIS, tags))
    assert sampled_rows(shards, labelled=True)["uri"].to_pylist() == URIS[1::2]
    none = list_shards(write(tmp_path / "d.parquet", URIS, [[] for _ in URIS]))
    require_sources(none, SourceRoots(str(tmp_path)), default_root=str(tmp_path), labelled=True)  # nothing to look up


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (1000, 50), (7, 1)])
def test_spread_items_are_distinct_and_reach_both_ends(count: int, most: int) -> None:
    chosen = list(spread(range(count), most))
    assert len(set(chosen)) == len(chosen) == min(count, most) and sorted(chosen) == chosen
    if count and most > 1:
        assert (chosen[0], chosen[-1]) == (0, count - 1)


def place(tmp_path: Path, uris: list[str], root: str, *allowed: str) -> Nearby | None:
    return find_root(uris, SourceRoots(root, allowed), str(tmp_path / "catalogs"))


@pytest.mark.parametrize("where", ["data", "data/x/y", "catalogs", "other", "other/deep/er"])
def test_the_likely_root_is_found_in_the_roots(tmp_path: Path, where: str) -> None:
    make_files(tmp_path / where, URIS[:9])
    (tmp_path / "data").mkdir(exist_ok=True)
    found = place(tmp_path, URIS[:10], str(tmp_path / "data"), str(tmp_path / "other"))
    assert found == Nearby(str(tmp_path / where), 9, 10, str(tmp_path / where), "")


def test_a_root_that_contains_the_beginning_of_the_uris_is_cut(tmp_path: Path) -> None:
    make_files(tmp_path / "music", URIS)
    uris = [f"music/{uri}" for uri in URIS]
    found = place(tmp_path, uris, str(tmp_path / "music"))
    assert found is not None and (found.root, found.found) == (str(tmp_path), 10)


@pytest.mark.parametrize(("beginning", "dropped"), [("old/", "old"), ("/mnt/old/", "/mnt/old"), ("gs://b/", "gs://b")])
def test_a_beginning_that_no_root_explains_is_named(tmp_path: Path, beginning: str, dropped: str) -> None:
    make_files(tmp_path / "music", URIS)
    found = place(tmp_path, [beginning + uri for uri in URIS[:4]], str(tmp_path / "music"))
    assert found == Nearby(None, 4, 4, str(tmp_path / "music"), dropped)


def test_nothing_outside_of_the_roots_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path / "secret", URIS)  # beside the root, and behind a link
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    looked: list[str] = []
    exists = storage.exists
    monkeypatch.setattr(storage, "exists", lambda url: looked.append(url) or exists(url))
    uris = [*URIS[:3], "link/a/1.mp3", "../secret/a/1.mp3", str(tmp_path / "secret" / URIS[0])]
    assert place(tmp_path, uris, str(tmp_path / "data")) is None
    shards = list_shards(write(tmp_path / "data" / "c.parquet", uris))
    found = look_up_sources(shards, SourceRoots(str(tmp_path / "data")))
    assert found.missing == URIS[:3] and len(found.refused) == 3
    roots = (str(tmp_path / "data"), str(tmp_path / "catalogs"))
    assert looked and all(os.path.realpath(url).startswith(roots) for url in looked)


def test_objects_are_looked_up_and_found_in_their_bucket(tmp_path: Path, gcs: str) -> None:
    bucket = gcs
    for uri in URIS[:9]:
        storage.create(f"{bucket}/audio/new/{uri}", b"x")
    shards = list_shards(write(tmp_path / "c.parquet", URIS), f"{bucket}/audio/new")
    found = look_up_sources(shards, SourceRoots(shards[0].root))
    assert sum(found.there.values()) == 9 and found.missing == URIS[9:]
    for root in (f"{bucket}/audio/new/deeper", f"{bucket}/audio"):  # the folder is above, or below
        assert place(tmp_path, URIS, root) == Nearby(f"{bucket}/audio/new", 9, 10, f"{bucket}/audio/new", "")


def test_the_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path / "data", [f"b/{number}.txt" for number in range(30)])
    make_files(tmp_path / "data" / "z", URIS)
    monkeypatch.setattr(nearby, "MOST_LISTED", 10)
    assert place(tmp_path, URIS, str(tmp_path / "data")) is None
    monkeypatch.setattr(nearby, "MOST_LISTED", 1000)
    assert place(tmp_path, URIS, str(tmp_path / "data")) is not None


def test_questions_without_an_answer_in_time_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    never = Event()

    def ask(number: int) -> int:
        if number == 3:
            raise storage.PermissionDenied("no")
        if number > 4:
            never.wait()
        return number * 10

    class Queue(SimpleQueue):
        """Its time is over when all five who answer or fail have done so, and not earlier."""

        come = 0

        def put(self, entry):
            super().put(entry)
            self.come += 1

        def get(self, timeout):
            wait_until(lambda: self.qsize() or self.come == 5, "five have answered or failed")
            return super().get(timeout=0)

    monkeypatch.setattr(in_time, "SimpleQueue", Queue)
    assert answers_in_time(range(6), ask, seconds=0.1, threads=6) == {0: 0, 1: 10, 2: 20, 4: 40}
    assert answers_in_time([], ask, seconds=0.1, threads=6) == {}
    with pytest.raises(TimeoutError):
        answer_in_time(never.wait, 0.05)
    with pytest.raises(storage.PermissionDenied):
        answer_in_time(lambda: ask(3), PATIENCE_S)
    never.set()


def run(world: World, table: Path, catalog: Path, *flags: str) -> int:
    return main(["tag", "--catalog", str(catalog), "--model", str(world.bundle), "--table", str(table), *flags])


def test_tag_ends_at_once_and_names_path_flag_and_root(world: World, tmp_path: Path, capsys) -> None:
    catalog = tmp_path / "away" / "catalog.parquet"
    catalog.parent.mkdir()
    shutil.copy(world.catalog, catalog)
    assert run(world, tmp_path / "table", catalog) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "none of 16 sampled sources is there" in message and "--catalog-root" in message
    assert f"was looked up as {catalog.parent}/audio/" in message and not (tmp_path / "table").exists()
    assert run(world, tmp_path / "table", catalog, "--allow-root", str(world.folder)) == 2
    assert f"with --catalog-root {world.folder}, " in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--plan",), ("--plan", "--sample", "50%"), ("--sample", "50%")])
def test_a_plan_and_a_sample_are_refused_as_the_run_is(world: World, tmp_path: Path, capsys, flags) -> None:
    shutil.copy(world.catalog, catalog := tmp_path / "catalog.parquet")
    assert run(world, tmp_path / "table", catalog, *flags, "--quiet") == 2
    message = capsys.readouterr().err
    assert "none of 16 sampled sources is there" in message and "--catalog-root" in message
    assert not (tmp_path / "table").exists()
    assert run(world, tmp_path / "table", catalog, "--plan", "--catalog-root", str(world.folder), "--quiet") == 0


def test_prepare_ends_at_once(world: World, tmp_path: Path, capsys) -> None:
    shutil.copy(world.catalog, tmp_path / "catalog.parquet")
    words = ["--catalog", str(tmp_path / "catalog.parquet"), "--taxonomy", str(world.folder / "taxonomy.yaml")]
    assert main(["prepare", *words, "--output", str(tmp_path / "dataset")]) == 2
    assert "sampled sources is there" in capsys.readouterr().err and not (tmp_path / "dataset").exists()


def test_some_missing_sources_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_files(tmp_path, URIS[:17])
    shards = list_shards(write(tmp_path / "c.parquet", URIS))
    require_sources(shards, SourceRoots(str(tmp_path)), default_root=str(tmp_path))
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        f"3 of 20 sampled sources are not there, for example {URIS[17]!r} was looked up as {tmp_path}/{URIS[17]}"
    )


def test_who_accepts_all_rejects_gets_a_warning(world: World, tmp_path: Path, caplog) -> None:
    shutil.copy(world.catalog, tmp_path / "catalog.parquet")
    assert run(world, tmp_path / "table", tmp_path / "catalog.parquet", "--max-reject-ratio", "1") == 0
    assert [record for record in caplog.records if "none of 16 sampled sources is there" in record.getMessage()]


def test_tracks_that_are_not_read_may_be_gone(world: World, tmp_path: Path, capsys) -> None:
    music = shutil.copytree(world.folder, tmp_path / "music")
    rows = pq.read_table(world.catalog)
    versioned = rows.append_column("source_version", pa.array(["1"] * rows.num_rows))
    pq.write_table(versioned, music / "catalog.parquet")
    mine, table = World(music), tmp_path / "table"
    assert tag_code(mine, table) == 0
    shutil.rmtree(music / "audio")
    capsys.readouterr()
    assert tag_code(mine, table) == 0  # carried: nothing is read
    shown = capsys.readouterr()
    assert "decoded 0" in shown.out and "sampled sources" not in shown.err
    pq.write_table(rows, music / "catalog.parquet")  # without versions, all would be read again
    assert tag_code(mine, table) == 2


def test_the_check_can_only_warn_if_workers_may_see_other_files(tmp_path: Path, caplog) -> None:
    shards = list_shards(write(tmp_path / "c.parquet", URIS))
    roots, base = SourceRoots(str(tmp_path)), default_root(str(tmp_path / "c.parquet"))
    require_sources(shards, roots, default_root=base, refuse=False)
    assert "none of 20 sampled sources is there" in caplog.text
    with pytest.raises(UsageError, match=r"relative uris start from .*: give the folder"):
        require_sources(shards, roots, default_root=base)


@pytest.mark.parametrize("root", ["s3://b/x", "https://host/x"])
def test_roots_in_other_storages_are_refused(world: World, tmp_path: Path, capsys, root: str) -> None:
    assert run(world, tmp_path / "table", world.catalog, "--catalog-root", root) == 2
    assert f"--catalog-root={root}: give a local folder or a gs:// prefix" in capsys.readouterr().err


def test_a_plan_is_refused_if_known_rejects_alone_are_too_many() -> None:
    few, many = (
        Forecast(causes=Counter(new=20), actions=Counter(extract=15 - n, reuse=n + 2, remember=3), reused_rejects=n)
        for n in (1, 2)
    )
    limits = GateLimits(max_reject_ratio=0.2)
    _require_few_known_rejects(few, limits)
    with pytest.raises(CommandFailed, match="gate rejected would refuse this run: 5 of 20 tracks") as raised:
        _require_few_known_rejects(many, limits)
    assert raised.value.code == 3


@pytest.mark.long
def test_a_plan_after_a_blocked_run_is_refused_for_the_rejects_that_it_takes(world: World, tmp_path, capsys) -> None:
    music = shutil.copytree(world.folder, tmp_path / "music")
    table, catalog = tmp_path / "table", music / "catalog.parquet"
    mine = World(music)
    paths = sorted(path for path in (music / "audio").rglob("*") if path.is_file())
    for path in paths[4:]:
        path.unlink()
    assert run(mine, table, catalog) == 3
    assert "gate rejected" in capsys.readouterr().err
    assert run(mine, table, catalog, "--plan") == 3
    told = capsys.readouterr().err
    assert re.search(r"gate rejected would refuse this run: 1\d of \d+ tracks were rejected by earlier runs", told), (
        told
    )
    assert run(mine, table, catalog, "--plan", "--max-reject-ratio", "0.95") == 0
    for path in paths[:4]:
        path.unlink()
    for flags in (("--plan",), ()):
        assert run(mine, table, catalog, *flags) == 2
        assert "none of 16 sampled sources is there" in capsys.readouterr().err
    assert run(mine, table, catalog, "--plan", "--catalog-root", str(world.folder)) == 0
