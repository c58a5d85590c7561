"""`status`: what a monitor reads of a table."""

import dataclasses
import json
import re

import pytest

from pipelines.cli import main
from tests.support.nightly import age, nightly_bundle, tag_nightly
from transforms import storage
from transforms.audio.errors import SourceNotFound, SourceUnavailable
from transforms.maintenance import last_launch, leases
from transforms.maintenance.leases import held
from transforms.publishing import receipts
from transforms.publishing.audit import Refused
from transforms.publishing.commit import unpublished_runs
from transforms.publishing.gates import GateLimits
from transforms.publishing.receipts import Receipt
from transforms.table.versions import open_table

CATALOG = {"a": "1", "b": "1", "bad-c": "1"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return nightly_bundle(tmp_path_factory.mktemp("status") / "bundle")


@pytest.fixture
def root(table, bundle):
    tag_nightly(str(table), CATALOG, bundle)
    return str(table)


def status(root, capsys, *flags, code=0):
    capsys.readouterr()
    assert main(["status", root, *flags]) == code
    return capsys.readouterr().out


def facts(root, capsys, *flags, code=0):
    return json.loads(status(root, capsys, "--json", *flags, code=code))


def test_the_newest_snapshot(root, capsys):
    found = facts(root, capsys)
    snapshot = found["snapshot"]
    assert (snapshot["number"], found["snapshots"], snapshot["counts"]["tagged"]) == (1, 1, 2)
    assert snapshot["reasons"] == {"silent": 1} and (snapshot["due"], snapshot["unavailable"]) == (0, 0)
    assert snapshot["failed_gates"] == [] and snapshot["gates"]["rejected"]["value"] == pytest.approx(1 / 3)
    assert 0 <= snapshot["age_s"] < 86_400 and found["last_launch"] is None and found["leases"] == []


@pytest.mark.parametrize(
    ("reason", "due", "unavailable", "not_found"),
    [("silent", 0, 0, 0), (SourceUnavailable.reason, 1, 1, 0), (SourceNotFound.reason, 0, 0, 1)],
)
def test_due_unavailable_and_missing_tracks_are_told_apart(
    table, bundle, capsys, monkeypatch, reason, due, unavailable, not_found
):
    from tests.support import nightly

    heard = nightly.heard
    changed = {"bad-c": {"reason": reason, "stage": "read"}}
    monkeypatch.setattr(nightly, "heard", lambda *words: {**heard(*words), **changed.get(words[0], {})})
    monkeypatch.setattr(nightly, "LIMITS", GateLimits(max_reject_ratio=1, max_unavailable_ratio=1))
    tag_nightly(str(table), CATALOG, bundle)
    snapshot = facts(str(table), capsys)["snapshot"]
    wanted = {"due": due, "unavailable": unavailable, "not_found": not_found}
    assert snapshot["reasons"] == {reason: 1} and {name: snapshot[name] for name in wanted} == wanted
    line = f"due again {due}, unavailable {unavailable}; not found {not_found}, tried again when the file is there"
    assert line in status(str(table), capsys).splitlines()
    metrics = status(str(table), capsys, "--prometheus")
    for name, count in wanted.items():
        assert re.search(rf"^catalog_tagger_{name}_tracks{{.*}} {count}$", metrics, re.M)


@pytest.mark.parametrize(("max_age", "text"), [("1s", "1.0 s"), ("90s", "1 min 30 s"), ("1h", "1 h 0 min")])
def test_the_limit_of_the_age_is_told_as_it_was_given(root, capsys, max_age, text, monkeypatch):
    from pipelines.reading import status as module

    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 7_200)
    line = status(root, capsys, "--max-age", max_age, code=6).splitlines()[0]
    assert line.endswith(f" ago, older than {text} (--max-age)")


@pytest.mark.parametrize(("max_age", "code"), [(None, 0), ("26h", 0), ("0s", 6), ("1d", 0)])
def test_the_exit_code_tells_that_it_is_overdue(root, capsys, max_age, code, monkeypatch):
    from pipelines.reading import status as module

    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 7_200)
    found = facts(root, capsys, *(["--max-age", max_age] if max_age else []), code=code)
    assert found["overdue"] == (code == 6) and found["snapshot"]["age_s"] >= 7_100


def test_a_table_without_a_snapshot_is_overdue(table, capsys):
    open_table(str(table), 1)
    assert facts(str(table), capsys)["snapshot"] is None
    assert "no snapshot is published" in status(str(table), capsys, "--max-age", "1d", code=6)


def test_a_folder_that_is_no_table(tmp_path, capsys):
    for place in (tmp_path, tmp_path / "tagz"):
        assert main(["status", str(place)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        why = "is no table, because it has no table.json: give the folder or gs:// prefix of a table"
        assert line == f"catalog-tagger: {place} {why}"


def test_disk_by_kind(root, table, capsys):
    (table / "mine.txt").write_bytes(b"12345")
    (table / "work" / ".partial-0123456789abcdef").write_bytes(b"123")
    disk = facts(root, capsys)["disk"]
    assert disk["other"] == {"files": 1, "bytes": 5} and disk["unfinished"] == {"files": 1, "bytes": 3}
    assert disk["data"]["files"] == 8 and disk["snapshots"]["files"] == 1 and disk["lists"]["files"] == 7
    total = sum(path.stat().st_size for path in table.rglob("*") if path.is_file())
    assert sum(size["bytes"] for size in disk.values()) == total


def test_running_and_killed_jobs(root, table, capsys):
    with held(root, "tag"):
        (lease,) = facts(root, capsys)["leases"]
        assert (lease["job"], lease["live"]) == ("tag", True) and "running" in status(root, capsys)
        age(table / "leases", leases.EXPIRES_S + 60)
        (lease,) = facts(root, capsys)["leases"]
        assert not lease["live"] and lease["heartbeat_s"] > leases.EXPIRES_S
        assert "it was killed" in status(root, capsys)


@pytest.mark.parametrize(
    ("receipt", "state", "problem"),
    [
        (None, "stopped", None),
        (Receipt(run_id="run-1"), "finished", None),
        (Receipt(run_id=None, refused="rows are missing"), "blocked", "rows are missing"),
        (Receipt(run_id=None, problem_count=1, problems=("row 7",)), "blocked", "row 7"),
    ],
)
def test_the_last_launch(root, capsys, receipt, state, problem):
    receipts.begin(root, 1)
    launch = receipts.begin(root, 1)
    if receipt is not None:
        receipts.write(root, launch, receipt)
    found = facts(root, capsys)["last_launch"]
    assert (
        found["gates"] == (["counted"] if receipt is not None and receipt.refused else []) and found["report"] is None
    )
    assert (found["launch"] + ".json", found["state"]) == (launch, state)
    assert (problem is None) == (found["problem"] is None) and (problem or "") in (found["problem"] or "")
    if receipt is None:
        with held(root, "tag"):
            assert facts(root, capsys)["last_launch"]["state"] == "running"


def test_a_launch_whose_run_a_gate_refuses_is_blocked(table, bundle, capsys, monkeypatch):
    from tests.support import nightly

    monkeypatch.setattr(nightly, "LIMITS", GateLimits(max_reject_ratio=0))
    with pytest.raises(Refused):
        tag_nightly(str(table), CATALOG, bundle)
    (run,) = unpublished_runs(str(table))
    root, page = str(table), f"{table}/reports/{run.run_id}/report.html"
    if not list((table / "launches").glob("*.json")):
        receipts.write(root, receipts.begin(root, None), Receipt(run_id=run.run_id))
    failed = {"value": 1 / 3, "limit": 0, "passed": False}
    judged = dataclasses.replace(run, gates={"rejected": failed, "empty": {**failed, "passed": True}})
    monkeypatch.setattr(last_launch, "read_run", lambda root, run_id: judged)
    launch = facts(root, capsys)["last_launch"]
    assert (launch["state"], launch["gates"], launch["report"]) == ("blocked", ["rejected"], None)
    assert "last launch without a snapshot: blocked by gate rejected, " in status(root, capsys)
    metrics = status(root, capsys, "--prometheus")
    assert f'catalog_tagger_last_launch{{table="{root}",state="blocked"}} 1' in metrics
    assert f'catalog_tagger_last_launch{{table="{root}",state="finished"}} 0' in metrics
    assert f'catalog_tagger_last_launch_blocked{{table="{root}",gate="rejected"}} 1' in metrics
    monkeypatch.undo()
    assert main(["publish", root]) == 3
    launch = facts(root, capsys)["last_launch"]
    assert (launch["state"], launch["report"]) == ("blocked", page) and "gate rejected (value" in launch["problem"]
    assert f"its report: {page}" in status(root, capsys).splitlines()
    assert main(["publish", root, "--max-reject-ratio", "1"]) == 0
    receipts.write(root, receipts.begin(root, None), Receipt(run_id=run.run_id))
    assert facts(root, capsys)["last_launch"] is None  # the snapshot has overtaken it
    assert facts(root, capsys)["last_launch"] is None


def test_prometheus(root, capsys):
    text = status(root, capsys, "--prometheus", "--max-age", "1d")
    values = dict(re.findall(r"^(catalog_tagger_\w+(?:\{.*\})?) (\S+)$", text, re.M))
    label = f'table="{root}"'
    assert values[f"catalog_tagger_snapshot_number{{{label}}}"] == "1"
    assert values[f'catalog_tagger_tracks{{{label},count="tagged"}}'] == "2"
    assert values[f'catalog_tagger_rejected_tracks{{{label},reason="silent"}}'] == "1"
    assert values[f'catalog_tagger_gate_passed{{{label},gate="rejected"}}'] == "1"
    assert values[f'catalog_tagger_disk_files{{{label},kind="data"}}'] == "8"
    assert values[f"catalog_tagger_overdue{{{label}}}"] == "0"
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|catalog_tagger_\w+(\{.+\})? -?\d+(\.\d+)?(e[+-]?\d+)?", line), line
    names = re.findall(r"^# TYPE (\w+) gauge$", text, re.M)
    assert len(names) == len(set(names)) and {re.split(r"[ {]", line)[0] for line in values} == set(names)


def test_prometheus_is_a_format_of_its_own(root, capsys):
    assert main(["status", root, "--prometheus", "--json"]) == 2
    assert "leave --format" in capsys.readouterr().err


def test_on_cloud_storage(gcs, bundle, capsys):
    root = storage.join(gcs, "table")
    tag_nightly(root, CATALOG, bundle)
    assert facts(root, capsys)["disk"]["data"]["files"] == 8
