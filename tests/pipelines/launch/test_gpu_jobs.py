"""`submit train`: the job that a command line becomes, and who takes it."""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml

from pipelines import train
from pipelines.cli import main
from pipelines.inputs.flags import Arguments
from pipelines.inputs.places import with_places
from pipelines.jobs.submit import JOB_FLAGS
from pipelines.launch.gpu_job import MACHINE_TYPES, command_words, job_name
from pipelines.launch.vertex import ENDPOINT

TRAIN = ["train", "--dataset=gs://music/dataset", "--output=gs://music/bundles/moods"]
IMAGE = "--image=reg.example/catalog-tagger:0.1.0-gpu"
SUBMIT = ["submit", *TRAIN]
VERTEX = [*SUBMIT, "--to=vertex", IMAGE, "--project=music", "--region=europe-west4"]
KUBERNETES = [*SUBMIT, "--to=kubernetes", IMAGE]


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What --dry-run prints, and nothing else."""
    assert main([*words, "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert not shown.err
    return shown.out


def vertex_job(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    return json.loads(printed(capsys, *VERTEX, *words))


def objects(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict]:
    return list(yaml.safe_load_all(printed(capsys, *KUBERNETES, *words)))


def test_vertex_job(capsys):
    job = vertex_job(capsys, "--gpu=nvidia-l4", "--gpus=4", "--spot", "--max-hours=2", "--epochs=7")
    spec = job["jobSpec"]
    (pool,) = spec["workerPoolSpecs"]
    assert pool["machineSpec"] == {
        "machineType": "g2-standard-48",
        "acceleratorType": "NVIDIA_L4",
        "acceleratorCount": 4,
    }
    assert pool["containerSpec"]["imageUri"] == IMAGE.partition("=")[2]
    assert pool["containerSpec"]["args"] == [*TRAIN, "--epochs=7"]
    assert spec["scheduling"] == {
        "timeout": "7200s",
        "restartJobOnWorkerRestart": True,
        "disableRetries": False,
        "strategy": "SPOT",
    }
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://music/bundles/moods.job"}
    assert job["displayName"] == "train-moods"


def test_vertex_workers_have_a_chief(capsys):
    account = "--service-account=trainer@music.iam.gserviceaccount.com"
    job = vertex_job(capsys, "--machines=4", "--retries=0", account, "--tensorboard=123")
    assert [pool["replicaCount"] for pool in job["jobSpec"]["workerPoolSpecs"]] == ["1", "3"]
    assert job["jobSpec"]["scheduling"]["disableRetries"] is True
    assert job["jobSpec"]["serviceAccount"] == account.partition("=")[2]
    assert job["jobSpec"]["tensorboard"] == "projects/music/locations/europe-west4/tensorboards/123"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--spot", "--service-account=trainer", "--namespace=music", "--machine-type=g2-standard-8"),
        ("--machines=3", "--gpus=8", "--volume=music-data:/data", "--logs=/data/logs"),
        ("--gpu=nvidia.com/gpu.product=NVIDIA-L40S",),
    ],
)
def test_kubernetes_takes_the_manifests(capsys, words):
    for found in objects(capsys, *words):
        kubernetes_validate.validate(found, "1.30", strict=True)


def test_kubernetes_job(capsys):
    (job,) = objects(capsys, "--gpus=2", "--retries=5", "--spot", "--epochs=7")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"] == [*TRAIN, "--epochs=7"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-accelerator": "nvidia-l4",
        "cloud.google.com/gke-spot": "true",
    }
    assert job["spec"]["backoffLimit"] == 5
    actions = {rule["action"]: rule for rule in job["spec"]["podFailurePolicy"]["rules"]}
    assert actions["FailJob"]["onExitCodes"]["values"] == [2]
    assert actions["Ignore"]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert {"name": "AIP_CHECKPOINT_DIR", "value": "gs://music/bundles/moods.job/checkpoints/"} in container["env"]


def test_kubernetes_workers_find_each_other(capsys):
    service, job = objects(capsys, "--machines=2")
    template = job["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["subdomain"] == service["metadata"]["name"] == job["metadata"]["name"]
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", 2)
    (config,) = (e["value"] for e in template["spec"]["containers"][0]["env"] if e["name"] == "TF_CONFIG")
    found = json.loads(config.replace("$(TASK_INDEX)", "1"))  # as the kubelet does
    assert found["cluster"]["worker"] == ["train-moods-0.train-moods:2222", "train-moods-1.train-moods:2222"]
    assert found["task"] == {"type": "worker", "index": 1}


def sample(option) -> list[str]:
    """Words that give a flag another value than its default."""
    flag = option.opts[0]
    if option.is_flag:
        return [flag]
    if isinstance(option.type, click.Choice):
        return [f"{flag}={next(c for c in option.type.choices if c != option.default)}"]
    kind = {"integer": int, "float": float, "number": float}.get(option.type.name)
    value = (
        "gs://music/some where"
        if kind is None
        else str(kind((option.default if isinstance(option.default, int | float) else 0) * 2 or 2))
    )
    return [f"{flag}={value}"] * (2 if option.multiple else 1)


def values(words: list[str]) -> dict:
    return train.command.make_context("train", list(words)).params


def test_every_option_of_a_local_run_reaches_the_job():
    own = [param for param in train.command.params if param.expose_value and param.name not in JOB_FLAGS]
    assert len(own) > 20
    for option in own:
        given = values([*TRAIN[1:], *sample(option)])
        words = command_words(Arguments(**given), own)
        assert values(words) == given != values(TRAIN[1:]) or option.name in ("dataset", "output"), option.name


REFIT = [
    "refit",
    "--table=gs://music/tags",
    "--model=gs://music/b",
    "--catalog=gs://music/c",
    "--output=gs://music/new",
]


def test_refit_needs_no_gpu(capsys):
    place = [IMAGE, "--dry-run"]
    assert main(["submit", *REFIT, "--to=vertex", "--project=music", "--region=europe-west4", *place]) == 0
    (pool,) = json.loads(capsys.readouterr().out)["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "n2-standard-8"} and pool["containerSpec"]["args"] == REFIT
    assert main(["submit", *REFIT, "--to=kubernetes", *place]) == 0
    pod = yaml.safe_load(capsys.readouterr().out)["spec"]["template"]["spec"]
    assert (pod["nodeSelector"], pod["tolerations"]) == ({}, []) and "limits" not in pod["containers"][0]["resources"]


def test_text_that_is_no_place_is_let_through(capsys):
    words = ["--precision-target=0.9", "--precision-target=mood/calm=0.8"]
    (job,) = objects(capsys, *words)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [*TRAIN, *words]


def test_words_that_kubernetes_would_expand_stay_as_they_are(capsys):
    (job,) = objects(capsys, "--logs=gs://music/$(HOME)/logs")
    assert "--logs=gs://music/$$(HOME)/logs" in job["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*TRAIN, "--dry-run"], "unknown flag --dry-run"),
        ([*TRAIN, "--gpus=2"], "unknown flag --gpus"),
        ([*SUBMIT, IMAGE], "missing --to"),
        ([*SUBMIT, "--to=vertex", IMAGE], "missing --project, --region"),
        ([*SUBMIT, "--to=kubernetes"], "missing --image"),
        (["submit", "train", "--dataset=gs://b/d", "--to=kubernetes", IMAGE], "missing --output"),
        ([*VERTEX, "--namespace=x"], "--namespace does not apply to --to vertex"),
        ([*KUBERNETES, "--project=x"], "--project does not apply to --to kubernetes"),
        ([*VERTEX, "--dataset=/data/set"], "--dataset=/data/set: the job cannot access"),
        ([*KUBERNETES, "--output=bundle"], "--output=bundle: the job cannot access"),
        ([*KUBERNETES, "--volume=c:/data", "--logs=/data/../logs"], "or a path under /data"),
        ([*KUBERNETES, "--trunk=bundles/base"], "--trunk=bundles/base: the job cannot access"),
        ([*KUBERNETES, "--volume=/data"], "give CLAIM:/PATH"),
        ([*KUBERNETES, "--job-name=Moods"], "--job-name=Moods: give at most 49 lower-case"),
        ([*KUBERNETES, "--namespace=Music"], "--namespace=Music: give at most 63 lower-case"),
        ([*KUBERNETES, "--image=Reg/Tagger"], "--image=Reg/Tagger: give an image name"),
        ([*KUBERNETES, "--spot", "--gpu=a=b"], "--spot selects nodes by a label of GKE"),
        ([*KUBERNETES, "--machines=0"], "--machines=0: at least 1"),
        ([*VERTEX, "--retries=5"], "--retries=5: Vertex restarts a job up to 3 times"),
        ([*VERTEX, "--tensorboard=1"], "--tensorboard needs --service-account"),
        ([*VERTEX, "--tensorboard=main", "--service-account=a"], "give the instance's number"),
        ([*VERTEX, "--gpu=nvidia-x9"], "--gpu=NVIDIA_X9: known types are"),
        ([*VERTEX, "--gpus=3"], "--gpus=3: machines with NVIDIA_L4 have 1, 2, 4, 8"),
        ([*VERTEX, "--gpu=a=b"], "--gpu=a=b: give a GPU type of Vertex, such as nvidia-l4"),
        ([*VERTEX, "--region=Europe"], "--region=Europe: give a region"),
        ([*VERTEX, "--project=My Project"], "--project=My Project: give a project id"),
    ],
)
def test_mistakes_are_named(capsys, words, message):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert message in shown.err and not shown.out


def test_jobs_are_named_after_their_bundle():
    assert job_name("train", "gs://b/" + "Ä long name " * 9) == "train-" + "long-name-" * 4 + "lon"


def test_places_of_vertex_stand_in_for_flags():
    environ = {f"AIP_{name}_DIR": f"gs://b/j/{name}/" for name in ("MODEL", "CHECKPOINT", "TENSORBOARD_LOG")}
    found = with_places(Arguments(**values(["--dataset=gs://b/d", "--logs=gs://mine"])), environ)
    assert (found.output, found.checkpoints, found.logs) == ("gs://b/j/MODEL", "gs://b/j/CHECKPOINT", "gs://mine")


def test_a_container_of_vertex_writes_where_it_is_told(tmp_path, monkeypatch, capsys):
    command = ["train", "--dataset", str(tmp_path / "none")]
    assert main(command) == 2 and "missing --output" in capsys.readouterr().err
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("here before")
    monkeypatch.setenv("AIP_MODEL_DIR", f"{tmp_path}/model/")
    assert main(command) == 1
    assert f"{tmp_path}/model" in capsys.readouterr().err


def test_a_local_bundle_is_no_name_of_a_trunk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert main([*KUBERNETES, "--trunk=mobile", "--trunk=mine"]) == 2
    assert "--trunk=mine: the job cannot access" in capsys.readouterr().err


class _Service(http.server.BaseHTTPRequestHandler):
    """Gives tokens and takes jobs, as long as `refusal` is empty."""

    taken: list[tuple[str, str | None, dict]]
    refusal: tuple[int, bytes] | None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            return self._answer(200, b'{"access_token": "t0", "expires_in": 3600, "token_type": "Bearer"}')
        type(self).taken.append((self.path, self.headers["Authorization"], json.loads(body)))
        return self._answer(*(self.refusal or (200, b'{"name": "projects/1/locations/europe-west4/customJobs/77"}')))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def service(tmp_path, monkeypatch, refusal=None) -> Iterator[list]:
    """A stand-in for Vertex on this machine; what it is sent."""
    handler = type("Handler", (_Service,), {"taken": [], "refusal": refusal})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv(ENDPOINT, root)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", write_credentials(tmp_path, f"{root}/token"))
        yield handler.taken
        server.shutdown()


def write_credentials(tmp_path, token_uri: str) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@b.example", "token_uri": token_uri, "project_id": "music"}
    (tmp_path / "key.json").write_text(json.dumps({**account, "private_key": key.decode()}))
    return str(tmp_path / "key.json")


def test_vertex_is_sent_what_dry_run_prints(tmp_path, monkeypatch, capsys):
    wanted = vertex_job(capsys, "--machines=2")
    with service(tmp_path, monkeypatch) as taken:
        assert main([*VERTEX, "--machines=2"]) == 0
    assert taken == [("/v1/projects/music/locations/europe-west4/customJobs", "Bearer t0", wanted)]
    assert "customJobs/77" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, b'{"error": {"status": "PERMISSION_DENIED", "message": "no act-as"}}', "403 PERMISSION_DENIED: no act"),
        (502, b"<html>bad gateway</html>", "502 Bad Gateway: <html>"),
    ],
)
def test_a_refusal_of_vertex_is_told_once(tmp_path, monkeypatch, capsys, status, body, message):
    with service(tmp_path, monkeypatch, (status, body)) as taken:
        assert main(VERTEX) == 1
    assert message in capsys.readouterr().err and len(taken) == 1


def test_no_answer_and_no_credentials_are_told(tmp_path, monkeypatch, capsys):
    with service(tmp_path, monkeypatch):
        pass
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    assert main(VERTEX) == 1
    assert "no Google credentials" in capsys.readouterr().err  # the token's server is gone too


KUBECTL = """#!/bin/sh
echo "$@" > {folder}/words
cat > {folder}/manifest
{end}
"""


def kubectl(tmp_path, monkeypatch, end: str) -> None:
    """A kubectl that keeps what it is given."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(KUBECTL.format(folder=tmp_path, end=end))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_kubectl_is_handed_what_dry_run_prints(tmp_path, monkeypatch, capsys):
    wanted = objects(capsys, "--namespace=music")
    kubectl(tmp_path, monkeypatch, "echo job.batch/train-moods created")
    assert main([*KUBERNETES, "--namespace=music"]) == 0
    assert "train-moods created" in capsys.readouterr().out
    assert (tmp_path / "words").read_text() == "create --filename -\n"
    assert list(yaml.safe_load_all((tmp_path / "manifest").read_text())) == wanted


def test_a_refusal_of_kubectl_is_told(tmp_path, monkeypatch, capsys):
    kubectl(tmp_path, monkeypatch, "echo 'jobs.batch \"train-moods\" already exists' >&2; exit 1")
    assert main(KUBERNETES) == 1
    assert "already exists" in capsys.readouterr().err


def test_kubectl_may_be_missing(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(KUBERNETES) == 1
    assert "kubectl is not on PATH" in capsys.readouterr().err


GOOGLES_CLIENT = """
import json, sys
from apitools.base.py import encoding
from googlecloudsdk.generated_clients.apis.aiplatform.v1 import aiplatform_v1_messages as messages
job = encoding.JsonToMessage(messages.GoogleCloudAiplatformV1CustomJob, sys.stdin.read())
types = messages.GoogleCloudAiplatformV1MachineSpec.AcceleratorTypeValueValuesEnum
unknown = [list(fields) for _, fields in encoding.UnrecognizedFieldIter(job)]
print(json.dumps([json.loads(encoding.MessageToJson(job)), unknown, [kind.name for kind in types]]))
"""


def test_googles_own_client_knows_every_field(capsys):
    gcloud = shutil.which("gcloud")
    library = Path(gcloud).resolve().parents[1] / "lib" if gcloud else Path("/nowhere")
    if not (library / "googlecloudsdk").is_dir():
        pytest.skip("gcloud, whose client knows Vertex's messages, is not installed")
    account = "--service-account=trainer@music.iam.gserviceaccount.com"
    job = vertex_job(capsys, "--machines=2", "--spot", "--retries=0", account, "--tensorboard=1")
    path = os.pathsep.join(map(str, (library, library / "third_party")))
    read = subprocess.run(
        [sys.executable, "-c", GOOGLES_CLIENT],
        input=json.dumps(job),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    back, unknown, types = json.loads(read.stdout)
    assert (back, unknown) == (job, []) and set(MACHINE_TYPES) <= set(types)
