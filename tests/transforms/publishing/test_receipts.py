"""Receipts: the newest says what to publish, and a published run clears them away."""

import concurrent.futures
from pathlib import Path

import pytest

from transforms.publishing import receipts
from transforms.publishing.receipts import Receipt
from transforms.table.versions import TableError


def _left(table: Path) -> list[str]:
    return sorted(path.name for path in (table / "launches").iterdir())


def test_a_receipt_survives_its_file(table: Path) -> None:
    path, receipt = receipts.begin(str(table)), Receipt(run_id=None, problem_count=3, problems=("c.csv, row 1: no id",))
    receipts.write(str(table), path, receipt)
    assert receipts.read(str(table), path) == receipt == receipts.newest(str(table))


def test_receipts_of_other_versions_are_read() -> None:
    old = {"run_id": "run-1", "counts": {"tagged": 3}, "problem_count": 0, "problems": []}
    expected = Receipt(run_id="run-1", counts={"tagged": 3})
    assert Receipt.from_json(old) == Receipt.from_json({**old, "later": 1}) == expected


def test_problems_are_told_with_what_was_not_done() -> None:
    receipt = Receipt(run_id=None, problem_count=3, problems=("a.csv, row 1: no id", "a.csv, row 7: no id"))
    assert receipt.problem_report("tagged").splitlines() == [
        "3 problems in the catalog, nothing was tagged:",
        "a.csv, row 1: no id",
        "a.csv, row 7: no id",
    ]


def test_the_launch_that_began_last_is_the_newest(table: Path) -> None:
    assert receipts.newest(str(table)) is None
    paths = [receipts.begin(str(table)) for _ in range(3)]
    for number in (2, 0, 1):
        receipts.write(str(table), paths[number], Receipt(run_id=f"run-{number}"))
    assert receipts.newest(str(table)) == Receipt(run_id="run-2")


def test_a_published_run_takes_older_receipts_with_it(table: Path) -> None:
    paths = [receipts.begin(str(table)) for _ in range(4)]
    for number, path in enumerate(paths):
        receipts.write(str(table), path, Receipt(run_id=f"run-{number % 3}"))
    receipts.forget_run(str(table), "run-9")
    assert len(_left(table)) == 8
    receipts.forget_run(str(table), "run-1")
    left = [Path(path).name for path in paths[2:]]
    assert _left(table) == sorted([*left, *(name.replace(".json", ".begun") for name in left)])


def test_launches_are_ordered_by_the_table_and_not_by_the_clock(table: Path, monkeypatch) -> None:
    first = receipts.begin(str(table), 7)
    monkeypatch.setattr("time.time", lambda: 0.0)
    second, follower = receipts.begin(str(table), 7), receipts.begin(str(table), 8)
    assert first < second < follower
    for path in (follower, second, first):
        receipts.write(str(table), path, Receipt(run_id=path))
    assert receipts.newest(str(table)) == Receipt(run_id=follower)
    receipts.forget(str(table), follower)
    assert receipts.newest(str(table)) == Receipt(run_id=second)


def test_a_receipt_of_an_earlier_version_is_older_than_all_others(table: Path) -> None:
    receipts.write(str(table), "launches/20991231T235959.000000Z-01234567.json", Receipt(run_id="old"))
    receipts.write(str(table), receipts.begin(str(table)), Receipt(run_id="new"))
    assert receipts.newest(str(table)) == Receipt(run_id="new")


def test_launches_that_begin_at_once_get_different_names(table: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: receipts.begin(str(table), 3), range(40)))
    assert len(set(paths)) == 40


def test_a_damaged_receipt_is_named_and_does_not_stop_the_clearing(table: Path) -> None:
    paths = [receipts.begin(str(table)) for _ in range(2)]
    for number, path in enumerate(paths):
        receipts.write(str(table), path, Receipt(run_id=f"run-{number}"))
    damaged = table / paths[0]
    damaged.write_bytes(damaged.read_bytes().replace(b"run-0", b"run-8"))
    assert receipts.newest(str(table)) == Receipt(run_id="run-1")
    receipts.forget_run(str(table), "run-1")
    assert _left(table) == []
    receipts.write(str(table), paths[0], Receipt(run_id="run-0"))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(TableError, match="or remove it, and give `publish` the id of the run") as refused:
        receipts.newest(str(table))
    assert paths[0] in str(refused.value) and "\n" not in str(refused.value)
