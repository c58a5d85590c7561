"""`doctor`: one line for each check, with a remedy if it fails; exit 1 exactly if a job would fail."""

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.checks import limits
from pipelines.checks.engine import address_finding
from pipelines.checks.machine import sandbox_findings
from pipelines.checks.places import place_findings
from pipelines.cli import main
from pipelines.reading.doctor import parted
from tests.support.world import make_world, tag


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("doctor"), 6)


def states(url, **options):
    return {finding.name: finding.state for finding in place_findings(str(url), **options)}


def test_a_machine_that_can_run_jobs(world, tmp_path, capsys):
    table = tmp_path / "table"
    tag(world, table)
    capsys.readouterr()
    assert main(["doctor", str(world.bundle), str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = {check["check"] for check in document["checks"]}
    assert {"Python", "packages", "libraries", "memory", "address space", "clock", "sandbox, seccomp"} <= names
    assert document["failed"] == 0 and "a table, snapshot 1" in json.dumps(document)


@pytest.mark.parametrize(
    ("kind", "limit", "name"),
    [(resource.RLIMIT_AS, 2 * limits.GIB, "address space"), (resource.RLIMIT_NOFILE, 64, "file handles")],
)
def test_a_limit_that_is_too_low_fails_doctor_and_tag(world, tmp_path, kind, limit, name):
    def lower():
        resource.setrlimit(kind, (limit, limit))

    tagging = ["tag", "--catalog", str(world.catalog), "--model", str(world.bundle), "--table", str(tmp_path / "t")]
    for words in [["doctor"]] if kind == resource.RLIMIT_NOFILE else [["doctor"], tagging]:
        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(command, preexec_fn=lower, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and name in done.stdout + done.stderr and "ulimit" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_no_room_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert limits.temporary_files().state == "failed"
    assert limits.disk_finding("disk", "/x", limits.LEAST_DISK - 1).state == "failed"
    assert limits.disk_finding("disk", "/x", limits.LEAST_DISK).state == "warning"
    assert limits.disk_finding("disk", "/x", 4 * limits.LEAST_DISK).state == "ok"


def test_places_of_every_kind(world, tmp_path):
    assert states(world.bundle) == {str(world.bundle): "ok"}
    assert states(world.catalog, catalog_root=str(world.folder))[str(world.catalog)] == "ok"
    assert states(world.catalog, catalog_root=str(tmp_path)) == {
        str(world.catalog): "ok",
        f"{world.catalog}, audio": "failed",
    }
    assert states(tmp_path / "new")[str(tmp_path / "new")] == "ok"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("x")
    assert states(tmp_path / "other") == {str(tmp_path / "other"): "failed"}
    (tmp_path / "bad.csv").write_text("id,path\n1,a\n")
    assert states(tmp_path / "bad.csv") == {str(tmp_path / "bad.csv"): "failed"}


def test_damaged_places(world, tmp_path):
    table = tmp_path / "table"
    tag(world, table)
    assert set(states(table).values()) == {"ok"}
    (table / "table.json").write_text("{")
    assert states(table)[str(table)] == "failed"
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_bytes((Path(world.bundle) / "bundle.json").read_bytes())
    assert states(bundle)[str(bundle)] == "failed"


def test_nothing_is_left_in_a_table(world, tmp_path):
    table = tmp_path / "table"
    tag(world, table)
    before = sorted(table.rglob("*"))
    place_findings(str(table))
    assert sorted(table.rglob("*")) == before


def test_addresses():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert address_finding("job server", address).state == "ok"
    for wrong in (address, "nowhere", "host:port", ""):
        assert address_finding("job server", wrong).state == "failed"


def test_flags_of_an_engine_are_checked(capsys):
    engine = ["--runner=FlinkRunner", "--job_endpoint=127.0.0.1:1", "--environment_type=LOOPBACK"]
    assert main(["doctor", *engine]) == 1
    assert "FAILED   job server: 127.0.0.1:1 does not answer" in capsys.readouterr().out
    assert main(["doctor", "--runnr=FlinkRunner"]) == 2
    assert "did you mean --runner?" in capsys.readouterr().err
    assert parted(["a", "--runner", "X", "b"]) == (["a", "b"], ["--runner", "X"])


def test_a_child_that_does_not_start_is_a_finding(monkeypatch):
    monkeypatch.setattr("pipelines.checks.machine.EXTRACTOR", "tests.support.poison:nothing")
    (finding,) = sandbox_findings(allow_weak=False)
    assert (finding.name, finding.state) == ("sandbox", "failed") and "nothing" in finding.text
