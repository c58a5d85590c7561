"""`doctor`: one line for each check, with a remedy if it fails; exit 1 exactly if a job would fail."""

import json
import re
import resource
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import grpc
import pytest

from pipelines.checks import control_group, limits
from pipelines.checks.engine import address_finding, job_server_finding
from pipelines.checks.machine import extras_finding, sandbox_findings
from pipelines.checks.places import place_findings
from pipelines.cli import main
from pipelines.reading.doctor import parted
from pipelines.terminal.errors import CommandFailed
from tests.support.waiting import PATIENCE_S
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


def test_extras_that_are_missing_are_named_with_what_installs_them(monkeypatch):
    """Those of `setup.py` that users need; the others are for developers, for GPU jobs and for one engine."""
    others = {"gpu", "dataflow", "schemathesis", "browser", "test", "dev"}
    extras = set(metadata.metadata("catalog-tagger").get_all("Provides-Extra")) - others
    finding = extras_finding()
    assert finding.state == "ok" and "tokenizers" in finding.text

    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("pipelines.checks.machine.version", version)
    finding = extras_finding()
    assert finding.state == "warning" and finding.text.count("is not installed") == len(extras)
    assert set(re.search(r"\[(.*)\]", finding.remedy)[1].split(",")) == extras


def test_limits_that_are_too_low_fail_doctor_and_tag(world, tmp_path):
    tagging = ["tag", "--catalog", str(world.catalog), "--model", str(world.bundle), "--table", str(tmp_path / "t")]
    low = {"address space": (resource.RLIMIT_AS, 2 * limits.GIB), "file handles": (resource.RLIMIT_NOFILE, 64)}
    for words, names in ((["doctor"], ["address space", "file handles"]), (tagging, ["address space"])):

        def lower(names=names):
            for kind, limit in map(low.get, names):
                resource.setrlimit(kind, (limit, limit))

        command = [sys.executable, "-m", "pipelines.cli", *words]
        done = subprocess.run(command, preexec_fn=lower, capture_output=True, text=True, timeout=PATIENCE_S)
        said = [line for line in (done.stdout + done.stderr).splitlines() if "ulimit" in line]
        assert done.returncode == 1 and all(any(name in line for line in said) for name in names)
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("version", [1, 2])
def test_limits_of_control_groups_above_the_process_count(version, monkeypatch, tmp_path):
    mount, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text("4:memory:/a/b\n8:pids:/a/b\n" if version == 1 else "0::/a/b\n")
    for controller, names in (
        ("memory", ("limit_in_bytes usage_in_bytes", "max current")),
        ("pids", ("max current",) * 2),
    ):
        folder = mount / controller / "a" if version == 1 else mount / "a"
        (folder / "b").mkdir(parents=True, exist_ok=True)
        limit, use = (f"{controller}.{name}" for name in names[version - 1].split())
        (folder / limit).write_text("700\n")
        (folder / use).write_text("690\n")
        (folder / "b" / limit).write_text("max\n")
        (folder / "b" / use).write_text("600\n")
    monkeypatch.setattr(control_group, "_MOUNT", mount)
    monkeypatch.setattr(control_group, "_OWN", own)
    assert (control_group.room("memory"), control_group.room("pids")) == (10, 10)
    with pytest.raises(CommandFailed, match="processes and threads: 10, which is too little: let its control group"):
        limits.require_limits()
    monkeypatch.setattr(control_group, "_MOUNT", tmp_path / "none")
    assert control_group.room("memory") is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
def test_a_machine_that_hides_its_processes_is_refused_before_a_job_starts(monkeypatch, tmp_path):
    assert [finding.state for finding in limits.limit_findings() if finding.name == "/proc"] == ["ok"]
    monkeypatch.setattr(limits, "_PROCESS", tmp_path / "proc" / "self" / "status")
    with pytest.raises(CommandFailed, match="/proc: it is not mounted: mount it"):
        limits.require_limits()


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


NOWHERE = "nothing is here; a new table could begin here"


@pytest.mark.parametrize(
    ("place", "state", "text", "remedy"),
    [
        ("catlog.parquet", "failed", "no such file", "did you mean catalog.parquet?"),
        ("other.csv", "failed", "no such file", "correct the name"),
        ("models", "failed", "a folder of bundles", "name one of them: models/musicnn-msd, models/musicnn-mtt"),
        ("models/musicn-msd", "failed", "no such folder", "did you mean models/musicnn-msd?"),
        (
            "models/new",
            "failed",
            "no such folder",
            "models holds bundles: models/musicnn-msd, models/",
        ),
        ("tagz", "warning", NOWHERE, "did you mean tags?"),
        ("music/a", "failed", "has files of another kind", "name a catalog, a bundle, a dataset, a table or a new"),
        ("music", "failed", "has files of another kind", "name a catalog, a bundle, a dataset, a table or a new"),
        ("fresh", "ok", NOWHERE, ""),
        ("fresh-v1.5", "ok", NOWHERE, ""),
        ("deep/below/fresh", "ok", NOWHERE, ""),
    ],
)
def test_names_at_which_nothing_is(tmp_path, monkeypatch, place, state, text, remedy):
    monkeypatch.chdir(tmp_path)
    for name in [
        "models/musicnn-msd/bundle.json",
        "models/musicnn-mtt/bundle.json",
        "tags/table.json",
        "music/a/b.mp3",
    ]:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")
    Path("catalog.parquet").write_bytes(b"")
    found, *writing = place_findings(place)
    assert (found.name, found.state, found.text) == (place, state, text)
    assert found.remedy.startswith(remedy) and bool(remedy) == bool(found.remedy)
    assert [finding.name for finding in writing] == ([] if state == "failed" else [f"{place}, disk"])
    assert not Path("fresh").exists()


def test_a_mistyped_catalog_fails(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "nope.parquet")]) == 1
    said = capsys.readouterr().out
    assert f"FAILED   {tmp_path}/nope.parquet: no such file: correct the name" in said and "1 check failed" in said


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


DATAFLOW = (
    "--runner=DataflowRunner --project=music --region=europe-west1 --temp_location=gs://beam/x/temp "
    "--sdk_container_image=reg/tagger:1"
)


@pytest.fixture
def silent():
    """Address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def launch(tmp_path, *flags):
    """Exit code of `tag` with places that would be looked up next; they do not exist."""
    places = ["--catalog", str(tmp_path / "c.csv"), "--model", str(tmp_path / "b"), "--table", str(tmp_path / "t")]
    places = [place.replace(str(tmp_path), "gs://m") for place in places] if "Dataflow" in flags[0] else places
    return main(["tag", *places, *flags])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no-such-host.invalid:8099", "silent"])
def test_a_job_server_that_does_not_answer(address, silent, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipelines.checks.engine.CONNECT_S", 0.5)
    address = address.replace("silent", silent)
    for runner in ("FlinkRunner", "PortableRunner"):
        flags = [f"--runner={runner}", f"--job_endpoint={address}", "--environment_type=LOOPBACK"]
        assert launch(tmp_path, *flags) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"catalog-tagger: job server: {address} ") and error.count("\n") == 1
        assert "answer" in error and "start it, or correct" in error and list(tmp_path.iterdir()) == []


def test_a_job_server_that_answers(tmp_path):
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert job_server_finding(f"127.0.0.1:{port}").state == "ok"
    server.stop(None)


def test_dataflow_without_a_network_or_credentials(tmp_path, capsys, monkeypatch, silent):
    monkeypatch.setattr("pipelines.checks.engine.DATAFLOW_API", "127.0.0.1:1")
    assert launch(tmp_path, *DATAFLOW.split()) == 1
    error = capsys.readouterr().err
    assert "catalog-tagger: Dataflow: 127.0.0.1:1 does not answer" in error and "start it" not in error
    assert error.endswith("connect this machine to the network, or correct its proxy and firewall\n")
    monkeypatch.setattr("pipelines.checks.engine.DATAFLOW_API", silent)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert launch(tmp_path, *DATAFLOW.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("catalog-tagger: credentials: ") and "none.json" in error and error.count("\n") == 1


def test_a_question_without_an_answer_ends(monkeypatch, tmp_path, capsys):
    """As the look-up of a name whose server does not answer, which Python cannot end."""
    monkeypatch.setattr("pipelines.checks.engine.ENGINE_S", 0.1)
    never = threading.Event()
    monkeypatch.setattr("pipelines.checks.engine.address_finding", lambda name, address: never.wait())
    assert launch(tmp_path, *DATAFLOW.split()) == 1
    never.set()
    assert "no answer from dataflow.googleapis.com:443 within" in capsys.readouterr().err


def test_a_dry_run_asks_no_engine(tmp_path, capsys):
    assert launch(tmp_path, *DATAFLOW.split(), "--dry_run=True") == 1
    assert "Dataflow:" not in capsys.readouterr().err


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
    assert "File " not in finding.text and "^" not in finding.text  # the error, and no part of its traceback
